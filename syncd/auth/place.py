"""For which server credentials are: its name in errors, the settings to be named in messages, and who must act."""

from __future__ import annotations

from dataclasses import dataclass

from syncd.errors import SyncdError, TargetPaused, Transient, Unreachable, Unsuitable

FHIR = "fhir"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """`server` is what errors name: `fhir`, or the archive's name; the circuit breaker of that server is concerned."""

    server: str = FHIR
    prefix: str = "SYNCD_FHIR__AUTH__"

    @property
    def whose(self) -> str:
        """The server in words."""
        return "the FHIR server" if self.server == FHIR else f"archive {self.server}"

    def setting(self, word: str) -> str:
        """The environment variable that holds `word`, for messages (docs/settings.md)."""
        return f"{self.prefix}{word}"

    def refusal(self, message: str, *, status: int = 0) -> SyncdError:
        """The operator must act: the target pauses, an archive waits (RULES C6)."""
        if self.server == FHIR:
            return TargetPaused(message, status=status)
        return Unsuitable(message, server=self.server)

    def outage(self, message: str, *, retry_after: float | None = None) -> Transient:
        """Somebody who is needed to reach the server is away, or in trouble: an outage of that server."""
        return Unreachable(message, server=self.server, retry_after=retry_after)
