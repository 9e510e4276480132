"""`Ledger`: the room's only door, and its parts; every method of a part is one transaction or one short read, or a walk of
such.

Any thread may call any method. What writes waits until it has reached the disk; what reads sees the last commit. The
owner does everything, once per ledger and for life; a guest beside a live daemon reads, and writes marks only.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from syncd.errors import LedgerRefused, LedgerUnavailable
from syncd.ledger.db.backend import Backend, Hold, backend_of
from syncd.ledger.db.transactions import Owner, Transactions
from syncd.ledger.db.writer import Writer
from syncd.ledger.inventories.archive_inventory import Sweep
from syncd.ledger.inventories.archives import Archives
from syncd.ledger.inventories.companions import Companions
from syncd.ledger.inventories.feed import Feed
from syncd.ledger.inventories.fhir_inventory import Verification
from syncd.ledger.inventories.rounds import Rounds
from syncd.ledger.owner import takeover
from syncd.ledger.owner.clock_steps import ClockSteps
from syncd.ledger.owner.facts import Facts
from syncd.ledger.owner.overview import Overview
from syncd.ledger.owner.progress import Progress
from syncd.ledger.studies.claims import Claim, Claims
from syncd.ledger.studies.corrections import Corrections
from syncd.ledger.studies.marks import Marks
from syncd.ledger.studies.outbox import Outbox
from syncd.ledger.studies.outcomes import Outcomes
from syncd.ledger.studies.parking import Parking
from syncd.ledger.studies.records import Records
from syncd.ledger.studies.references import References
from syncd.ledger.studies.rejections import Rejections
from syncd.ledger.studies.rendering import Rendering
from syncd.ledger.studies.retractions import Retractions
from syncd.ledger.studies.safety import SafetyNotes
from syncd.ledger.studies.unselected import SelectionLedger

__all__ = ["Claim", "Ledger"]


class Ledger:
    """Raises `LedgerUnavailable` while the disk does not take writes; works again as soon as it does."""

    def __init__(
        self, backend: Backend, *, hold: Hold | None, clock: Callable[[], float], max_pages: int | None = None
    ) -> None:
        """Not for callers: `open` and `open_guest` make sure that there is a ledger to open."""
        self._hold = hold
        self._owner = Owner()
        self._readers = backend.create_reading_engine()
        self._engine = backend.create_writing_engine(max_pages=max_pages)
        self._writer = Writer(self._engine, guard=takeover.guard(self._owner.epoch))
        transactions = Transactions(readers=self._readers, writer=self._writer, owner=self._owner, clock=clock)
        self._transactions = transactions
        self.feed = Feed(transactions)
        """Where each archive's change feed stands (RULES A1–A3)."""
        self.sweep = Sweep(transactions)
        """An archive's listing, compared (RULES A8)."""
        self.archives = Archives(transactions)
        """Which archives are known, and how one is forgotten (RULES C8)."""
        self.verification = Verification(transactions)
        """The FHIR server's listing, compared."""
        self.rounds = Rounds(transactions)
        """What is asked of the FHIR server again and again, in turn."""
        self.marks = Marks(transactions)
        """What is pending."""
        self.claims = Claims(transactions)
        """Work handed out."""
        self.outcomes = Outcomes(transactions, self.claims.handed_out)
        """What became of it."""
        self.records = Records(transactions)
        """What was published, from which copies, and what is parked."""
        self.parking = Parking(transactions)
        """What the operator says of a parked study (RULES E2)."""
        self.corrections = Corrections(transactions)
        """What others change of ours again and again (RULES C4)."""
        self.rejections = Rejections(transactions)
        """What rejection notes say (RULES B7)."""
        self.retractions = Retractions(transactions)
        """What is taken back, and the brake (RULES D3)."""
        self.companions = Companions(transactions)
        """Our resources beside the studies."""
        self.references = References(transactions)
        """What published studies refer to."""
        self.selection = SelectionLedger(transactions)
        """What the site does not select, and the first import."""
        self.safety = SafetyNotes(transactions)
        """What is in doubt of published studies."""
        self.rendering = Rendering(transactions)
        """Which mapping and settings rendered what is published."""
        self.outbox = Outbox(transactions)
        """What is owed after a study's write (RULES B8)."""
        self.facts = Facts(transactions)
        """Which FHIR server this ledger belongs to."""
        self.clock_steps = ClockSteps(transactions)
        """The wall clock, set forward or back (RULES E5)."""
        self.progress = Progress(transactions)
        """How far a one-shot command has come."""
        self.overview = Overview(transactions)
        """How the ledger stands, and what is known of single studies, for people and for metrics."""

    @classmethod
    def open(cls, url: str, *, clock: Callable[[], float] = time.time, max_pages: int | None = None) -> Ledger:
        """As the owner, creating the ledger or bringing its schema up to date.

        `max_pages` limits the file's size, in SQLite's pages of 4 KiB. Raises `LedgerRefused` saying what to do: held by
        another process, newer, damaged, not a ledger, on a network file system, in a folder that cannot be written,
        behind a proxy that pools transactions.
        """
        backend = backend_of(url)
        hold = backend.take()
        try:
            backend.make_ready()
            ledger = cls(backend, hold=hold, clock=clock, max_pages=max_pages)
        except BaseException:
            hold.release()
            raise
        try:
            ledger._owner.begin(ledger._transactions.write(lambda tx: takeover.take_over(tx, now=clock())))
            backend.finish_open()
        except BaseException:
            ledger.close()
            raise
        return ledger

    @classmethod
    def open_guest(cls, url: str, *, clock: Callable[[], float] = time.time) -> Ledger:
        """Beside an owner, or without one: reads and marks. Raises `LedgerRefused` when there is no ledger of ours."""
        backend = backend_of(url)
        if not backend.exists():
            raise LedgerRefused(backend.missing)
        backend.require_ready()
        return cls(backend, hold=None, clock=clock)

    @staticmethod
    def exists(url: str) -> bool:
        """Whether there is a ledger, whatever its state."""
        return backend_of(url).exists()

    @staticmethod
    def owner_alive(url: str) -> int | None:
        """The process that owns the ledger now; 0 when it cannot be named, `None` when nobody does."""
        return backend_of(url).owner()

    def require_ownership(self) -> None:
        """Asked immediately before every FHIR write (RULES E4). Raises `LedgerRefused` when this process is not the owner
        or another one has become it, `LedgerUnavailable` while that cannot be known. On SQLite it costs nothing."""
        epoch = self._owner.require()
        if self._transactions.is_closed or self._hold is None:
            raise LedgerUnavailable("the ledger is closed")
        self._hold.require(epoch)

    def close(self) -> None:
        """Finish what is queued or waits for a transaction, and let go of the ledger; claims become void with the next
        owner."""
        self._transactions.close()
        self._writer.close()
        self._engine.dispose()
        self._readers.dispose()
        if self._hold is not None:
            self._hold.release()
            self._hold = None

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
