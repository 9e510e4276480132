"""The ledger's ways in, as its parts use them that have a name of their own (`ledger.sweep`, `ledger.verification`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import Connection

from syncd.ledger.db.writer import Transaction

if TYPE_CHECKING:
    from syncd.ledger.ledger import Ledger

T = TypeVar("T")


class Ways:
    """One short read, one transaction of the owner's, one of anybody's; and the ledger's clock."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def read(self, question: Callable[[Connection], T]) -> T:
        return self._ledger._read(question)

    def own(self, change: Callable[[Transaction], T]) -> T:
        return self._ledger._own(change)

    def write(self, change: Callable[[Transaction], T]) -> T:
        return self._ledger._write(change)

    def now(self) -> float:
        return self._ledger._clock()

    def epoch(self) -> int | None:
        """The owner's epoch: claims that carry it hold."""
        return self._ledger._epoch
