"""What was found lately of people and their Patients, in memory only (RULES B10, S1).

Nothing of a person may be kept in the ledger, not even a digest: birth date and sex are guessed in a second. So a judgement
is remembered by this process, and a restart asks once more. It also remembers who was told to use which Patient of ours:
their studies are under way and in no record yet, and must hear of it when that Patient turns out to be somebody else.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from syncd.model.study.person import Said, Trait

MOST = 10_000
"""Judgements kept, the latest ones."""

MOST_USERS = 1_000
"""Studies kept, the latest ones: many times as many as are ever under way at once."""


class Judged:
    """Any thread may call any method."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._found: OrderedDict[tuple[str, str, Said], frozenset[Trait]] = OrderedDict()
        self._users: OrderedDict[tuple[str, str], None] = OrderedDict()

    def find(self, reference: str, version: str, said: Said) -> frozenset[Trait] | None:
        """What that version of a Patient says otherwise than `said`; None where it was not compared."""
        with self._guard:
            return self._found.get((reference, version, said))

    def keep(self, reference: str, version: str, said: Said, traits: frozenset[Trait]) -> None:
        with self._guard:
            self._found[reference, version, said] = traits
            self._found.move_to_end((reference, version, said))
            if len(self._found) > MOST:
                self._found.popitem(last=False)

    def use(self, reference: str, study_uid: str) -> None:
        """The study refers to that Patient, whatever the ledger says yet."""
        with self._guard:
            self._users[reference, study_uid] = None
            self._users.move_to_end((reference, study_uid))
            if len(self._users) > MOST_USERS:
                self._users.popitem(last=False)

    def users(self, reference: str) -> tuple[str, ...]:
        """Who was told lately to refer to that Patient."""
        with self._guard:
            return tuple(study_uid for known, study_uid in self._users if known == reference)
