"""A second kind of the outbox, which only the tests know: a postcard for each write, to whoever the site names.

What it takes to add a kind is all in this file: what a write owes, how one entry is sent, and `register`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import pytest

from syncd.loop.context import Context
from syncd.loop.delivery import Delivery
from syncd.loop.outbox import kinds
from syncd.model.outbox import OutboxEntry
from syncd.model.work import StudyRecord

POSTCARD = "postcard"


@dataclass(slots=True)
class Receiver:
    """Takes postcards, or does with them what `answer` does: raise, wait."""

    answer: Callable[[OutboxEntry], None] = lambda entry: None
    taken: list[OutboxEntry] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    """The keys of all that was sent, whether it was taken or not."""
    threads: set[str] = field(default_factory=set)

    def take(self, entry: OutboxEntry) -> None:
        self.asked.append(entry.key)
        self.threads.add(threading.current_thread().name)
        self.answer(entry)
        self.taken.append(entry)

    @property
    def keys(self) -> list[str]:
        return [entry.key for entry in self.taken]


@dataclass(frozen=True, slots=True)
class Postcards:
    """Postcards to one receiver."""

    sink: str
    receiver: Receiver
    kind: str = POSTCARD

    def owe(self, before: StudyRecord | None, after: StudyRecord, *, intended_at: float) -> tuple[OutboxEntry, ...]:
        word = "new" if before is None else "changed"
        key, payload = f"{after.study_uid}|{after.version}", {"word": word, "at": intended_at}
        return (OutboxEntry(kind=self.kind, sink=self.sink, study_uid=after.study_uid, key=key, payload=payload),)

    def send(self, entry: OutboxEntry) -> None:
        self.receiver.take(entry)


def register(monkeypatch: pytest.MonkeyPatch, receivers: Mapping[str, Receiver]) -> None:
    """From here on every write owes a postcard to each of the receivers, by their names."""

    def postcards(context: Context) -> Iterable[Delivery]:
        return [Postcards(sink, receiver) for sink, receiver in receivers.items()]

    monkeypatch.setattr(kinds, "KINDS", (*kinds.KINDS, postcards))
