"""Whose failure was it? What the studies' attempts tell about each other (RULES C6).

A server may let us read and fail every write: the probe says that all is well, and each study looks guilty. So failures
are held against each other: one counts against its study only if another study was written since the study's last
attempt, and five different studies that fail in a row are the server's fault. This is a memory of minutes, not of the
ledger; a restart forgets it, and then nothing counts until something is written.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from syncd.model.work import OWN_ATTEMPTS

IN_A_ROW = 5
"""Different studies that fail one after the other before their server's breaker opens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One failed attempt: how many are held against the study, and how many there were (for the backoff)."""

    attempts: int
    tries: int


@dataclass(slots=True, kw_only=True)
class _Last:
    written: int
    attempts: int
    tries: int


class Failures:
    """Told by every worker thread."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._written = 0
        self._last: dict[str, _Last] = {}
        self._in_a_row: dict[str, set[str]] = {}

    def note_write(self, study_uid: str) -> None:
        """The server took a write of this study."""
        with self._guard:
            self._written += 1
            self._last.pop(study_uid, None)
            self._in_a_row.clear()

    def forget(self, study_uid: str) -> None:
        """The study is dealt with otherwise: parked, or nothing was to be done."""
        with self._guard:
            self._last.pop(study_uid, None)

    def note_torn_read(self, study_uid: str, *, attempts: int) -> None:
        """It cannot be read as a whole: it waits for its archive, and nobody for it."""
        with self._guard:
            self._last[study_uid] = _Last(written=self._written, attempts=attempts, tries=OWN_ATTEMPTS + 1)

    def in_a_row(self, study_uid: str, *, server: str) -> bool:
        """Whether this failure is one too many of different studies; then counting begins anew, as the breaker opens."""
        with self._guard:
            failed = self._in_a_row.setdefault(server, set())
            failed.add(study_uid)
            if len(failed) < IN_A_ROW:
                return False
            failed.clear()
            return True

    def count_failure(self, study_uid: str, *, attempts: int, own: bool = False) -> Failure:
        """Count one more failure of a study against which the ledger holds `attempts`; `own`: it is known to be the study's,
        whether anything was written or not."""
        with self._guard:
            last = self._last.get(study_uid)
            before = last.written if last is not None else 0
            counts = own or attempts == 0 or self._written > before
            tries = max(last.tries if last is not None else 0, attempts) + 1
            held = attempts + 1 if counts else attempts
            self._last[study_uid] = _Last(written=self._written, attempts=held, tries=tries)
            return Failure(attempts=held, tries=tries)

    @property
    def number_given_up(self) -> int:
        """Studies that failed more often than a one-shot run waits for, though few attempts count against them."""
        with self._guard:
            return sum(one.tries > OWN_ATTEMPTS >= one.attempts for one in self._last.values())
