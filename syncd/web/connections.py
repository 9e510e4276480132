"""Connections that cost the daemon next to nothing: as many as a monitor needs, none that is kept without asking anything.

uvicorn waits for ever for a request that does not come, or comes byte by byte, and for a reader that does not read. Each
such connection is an open file of the process that also speaks with the archive and the FHIR server, and of open files a
process has some thousand: whoever reaches the port could end its work (RULES S3, docs/security.md).
"""

from __future__ import annotations

import asyncio
from typing import cast

from uvicorn.protocols.http.h11_impl import H11Protocol

LARGEST_NUMBER = 100
"""Connections at a time. One more ends the oldest that has asked nothing yet: a health check still gets through."""

PATIENCE = 10.0
"""Seconds for a request to come, and for an answer to be taken."""

_OURS = float("inf")


class Connection(H11Protocol):
    """One connection of uvicorn's own kind, with a deadline whenever it is the other side's turn."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_something()
        if len(self.connections) > LARGEST_NUMBER:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect_nothing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        before = self.cycle
        super().data_received(data)
        # A request is here, and answering it is our turn; but not before the answers to earlier ones are taken.
        if self.cycle is not before and not self.flow.write_paused:
            self._expect_nothing()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete:
            self._expect_something()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._expect_something()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.cycle is None or self.cycle.response_complete:
            self._expect_something()
        else:
            self._expect_nothing()

    @property
    def ends_at(self) -> float:
        """When the other side's turn ends; never while it is ours."""
        return self._timer.when() if self._timer else _OURS

    def drop(self) -> None:
        """End it without another word: who does not read would not read that either."""
        self._expect_nothing()
        self.transport.abort()

    def _expect_something(self) -> None:
        self._expect_nothing()
        self._timer = self.loop.call_later(PATIENCE, self.drop)

    def _expect_nothing(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _make_room(self) -> None:
        everybody = cast("set[Connection]", self.connections)  # the server makes no others
        oldest = min(everybody, key=lambda one: one.ends_at if one is not self else _OURS)
        dropped = oldest if oldest.ends_at < _OURS else self
        dropped.drop()
        everybody.discard(dropped)
