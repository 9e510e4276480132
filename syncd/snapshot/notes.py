"""Notes: what was odd about a study and what was done about it, gathered while its values are read.

A note must say enough to find the value in the archive (tag, rule) and never the value itself: notes are logged and
shown (RULES S1). They are a set, not a list: the same oddity in 30,000 instances is one note with a number, and their
order does not depend on the order in which the archive lists things.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from syncd.model.snapshot import Note
from syncd.model.study.reading import Reading

Noting = Callable[[str, str], None]
"""What a value room calls when a value is odd: with the rule (`C.1-4`) and what was done."""


def note_nothing(_rule: str, _done: str) -> None:
    """For callers that only want the value."""


class Notes:
    """The notes of one study in the making."""

    def __init__(self, reading: Reading | None = None) -> None:
        """`reading` is how the site wants values read; it goes wherever values are noted."""
        self.reading = reading or Reading()
        self._once: set[Note] = set()
        self._counted: Counter[Note] = Counter()

    def add(self, tag: str, *, rule: str, done: str, safety: bool = False) -> None:
        """Note something once, however often it is met (a value may be looked at from two places)."""
        self._once.add(Note(tag=tag, rule=rule, done=done, safety=safety))

    def count(self, tag: str, *, rule: str, done: str, safety: bool = False) -> None:
        """Note one more instance to which this happened; the note says how many."""
        self._counted[Note(tag=tag, rule=rule, done=done, safety=safety)] += 1

    def at(self, tag: str) -> Noting:
        """The `Noting` of one tag."""
        return lambda rule, done: self.add(tag, rule=rule, done=done)

    def counter_for(self, tag: str) -> Noting:
        """The `Noting` of one tag of many instances."""
        return lambda rule, done: self.count(tag, rule=rule, done=done)

    def in_order(self) -> tuple[Note, ...]:
        counted = {replace(note, done=f"{note.done} ({number})") for note, number in self._counted.items()}
        return tuple(sorted(self._once | counted, key=lambda note: (note.tag, note.rule, note.done)))
