"""Errors say who must act: wait (`Transient`), a study (`StudyError`), the operator (`ConfigurationError`, `TargetPaused`).

A library's exceptions end at the rim and are chained with `from`. A message may be logged, so none carries patient data
or a server's free text. An OperationOutcome travels beside the message, in `outcome`, and is shown only where an
operator asks for it (RULES S1).
"""

from __future__ import annotations

from typing import Any


class SyncdError(Exception):
    """Something went wrong."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").split("\n")[0])


class Transient(SyncdError):
    """A server did not answer as it should; the work is kept and tried again."""

    def __init__(self, message: str = "", *, server: str = "", retry_after: float | None = None) -> None:
        super().__init__(message)
        self.server = server
        self.retry_after = retry_after


class Unreachable(Transient):
    """A server cannot be reached."""


class Unsuitable(Unreachable):
    """A server answers, but is not what it should be (HTML, wrong version, refused certificate or credentials); the
    operator must act, and the daemon waits for it (exit code 3 of a one-shot command)."""


class TargetPaused(SyncdError):
    """The FHIR server refuses us as a whole (credentials, address); nothing is sent until it accepts us."""

    def __init__(self, message: str = "", *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class StudyError(SyncdError):
    """This study cannot be published as it is; it is parked, replayable, and its neighbours go on.

    `reason` is one of README.md's parked reasons (`syncd.model.words.ParkedReason`); `detail` names rule, tag or
    issue codes and never a value; `outcome` is the server's OperationOutcome, shown only on request.
    """

    def __init__(self, reason: str, detail: str = "", *, outcome: dict[str, Any] | None = None) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
        self.outcome = outcome
        self.digest = ""
        """The essence that was refused, where something was sent: not sent again until it changes (RULES E2)."""
        self.target_version = ""
        """The version of the resource that stood in the way, where one did."""


class Conflict(SyncdError):
    """Somebody else wrote the resource meanwhile; the reconcile starts again (RULES C4)."""


class ServerReset(SyncdError):
    """The FHIR server no longer holds what it confirmed; everything is verified again (RULES C6, E3)."""


class StudyGone(SyncdError):
    """The archive answered 404 for an Orthanc id; a hint, never a proof of absence (RULES D1)."""


class TornRead(SyncdError):
    """The study changed while it was read; what was read counts as unknown (RULES A7)."""


class CopyAway(TornRead):
    """A copy of the study may lie in an archive that cannot be asked now; the study waits for it (RULES C8)."""


class ConfigurationError(SyncdError):
    """The settings contradict themselves or a server; the operator must act (exit code 2)."""


class LedgerRefused(SyncdError):
    """The ledger cannot be used: held by another process, newer, damaged, or of another target (exit code 4)."""


class LedgerUnavailable(SyncdError):
    """The ledger cannot be written now (disk full, read-only); nothing is sent until it can."""
