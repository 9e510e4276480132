"""The two ways into the database: a short read, and a transaction; the owner's only where this process is the owner.

Every part of the ledger is given these and nothing else. The owner's epoch lies in a holder of its own because the writer's
guard asks for it too, and the writer is there before the ledger is owned.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, Engine, Table

from syncd.errors import LedgerRefused, LedgerUnavailable
from syncd.ledger.db.errors import translate_errors
from syncd.ledger.db.riders import Riders
from syncd.ledger.db.statements import Values
from syncd.ledger.db.writer import Transaction, Writer

T = TypeVar("T")


class Owner:
    """Whether this process owns the ledger: the epoch it began by taking over, None for a guest (RULES E4)."""

    def __init__(self) -> None:
        self._epoch: int | None = None

    def epoch(self) -> int | None:
        """The owner's epoch: claims that carry it hold."""
        return self._epoch

    def begin(self, epoch: int) -> None:
        """From here on this process is the owner."""
        self._epoch = epoch

    def require(self) -> int:
        """The epoch. Raises `LedgerRefused` for a guest."""
        if self._epoch is None:
            raise LedgerRefused("only the ledger's owner may do this; a second process may only mark studies")
        return self._epoch


class Transactions:
    """One short read, one transaction of the owner's, one of anybody's; and the ledger's clock.

    All raise `LedgerUnavailable` while the database does not answer, and once the ledger is closed."""

    def __init__(self, *, readers: Engine, writer: Writer, owner: Owner, clock: Callable[[], float]) -> None:
        self._readers = readers
        self._writer = writer
        self._owner = owner
        self._clock = clock
        self._closed = False

    @property
    def is_closed(self) -> bool:
        return self._closed

    def read(self, question: Callable[[Connection], T]) -> T:
        """What `question` finds in the last commit."""
        if self._closed:
            raise LedgerUnavailable("the ledger is closed")
        with translate_errors(), self._readers.connect() as connection:
            return question(connection)

    def write(self, change: Callable[[Transaction], T]) -> T:
        """What `change` returns, once it has reached the disk; a guest may do so too."""
        return self._writer.run(change)

    def own(self, change: Callable[[Transaction], T]) -> T:
        """The same for the owner alone. Raises `LedgerRefused` for a guest."""
        self._owner.require()
        return self.write(change)

    @property
    def riders(self) -> Riders:
        """What waits for the owner's next transaction."""
        return self._writer.riders

    def ride(self, table: Table, row: Values) -> None:
        """Let the row be written with the next transaction, or soon without one. Raises `LedgerRefused` for a guest."""
        self._owner.require()
        if self._closed:
            raise LedgerUnavailable("the ledger is closed")
        self.riders.put(table, row)
        self._writer.remind()

    def now(self) -> float:
        """Seconds since the epoch, by the ledger's clock."""
        return self._clock()

    def epoch(self) -> int | None:
        """The owner's epoch, None for a guest."""
        return self._owner.epoch()

    def require_epoch(self) -> int:
        """The owner's epoch. Raises `LedgerRefused` for a guest."""
        return self._owner.require()

    def close(self) -> None:
        """Let nobody in any more; what is queued is the writer's to carry out."""
        self._closed = True
