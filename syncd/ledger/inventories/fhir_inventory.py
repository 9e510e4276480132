"""The FHIR server's listing, staged, and compared with the records: what is missing, drifted, or should not be there.

As with the archive's listing nobody holds all of it (RULES E8), and what is found is only a hint (RULES C9). The walk
over a million resources takes hours, so how far it is lies in the ledger, moved in the transaction of each slice: a
restart goes on. We write meanwhile, too: a record published after the listing began is not compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, Table, delete, func, or_, select

from syncd.ledger.db.rows import to_noun, to_row
from syncd.ledger.db.schema import copies, facts, listed, parked, records, upsert
from syncd.ledger.db.transactions import Transactions
from syncd.ledger.db.writer import Transaction
from syncd.ledger.studies.records import fact, save_fact
from syncd.model.inventories import Inventory, ListedResource, Walk
from syncd.model.words import ParkedReason

WINDOW = 2000
"""Rows that one comparison looks at."""

_WALK, _WANTED, _LAST, _SINCE = "verify walk", "verify wanted", "verify last", "verify since"

_IN_THE_WAY = (ParkedReason.FOREIGN_IMAGINGSTUDY.value, ParkedReason.OWNED_ELSEWHERE.value)


_STANDING = select(facts.c.name, facts.c.value).where(facts.c.name.in_((_WALK, _WANTED, _LAST, _SINCE)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """A record and what the listing shows in its place; `version` is empty where it shows nothing."""

    study_uid: str
    resource_id: str
    record_version: str
    record_last_updated: str
    version: str = ""
    last_updated: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stranger:
    """A listed resource that no record speaks of; `published`: we publish its study under another id."""

    resource: ListedResource
    published: bool


class Verification:
    """`ledger.verification`: what the FHIR inventory needs, each method one short transaction or read."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def now(self) -> float:
        """The ledger's clock."""
        return self._transactions.now()

    def want(self, reason: str) -> None:
        """Ask for a FHIR inventory as soon as can be; a second process may, too. Wished again, it stays one wish."""
        if not self.why_wanted():
            self._transactions.write(lambda tx: save_fact(tx, _WANTED, reason))

    def why_wanted(self) -> str:
        """Why one is wished; empty when none is."""
        return str(self._fact(_WANTED) or "")

    def since(self) -> float:
        """When this ledger was first asked whether it was ever verified: then the interval began."""
        value = self._fact(_SINCE)
        if value is None:
            value = self._transactions.now()
            self._transactions.own(lambda tx: save_fact(tx, _SINCE, value))
        return float(value)

    def last(self) -> Inventory | None:
        """The last inventory that was finished."""
        value = self._fact(_LAST)
        return None if value is None else Inventory(**value)

    def walk(self) -> Walk | None:
        """The inventory under way."""
        value = self._fact(_WALK)
        return None if value is None else Walk(**value)

    def is_quiet(self, *, interval: float) -> bool:
        """Whether nothing is under way, wished or due `interval` seconds after the last one: asked at every tick, in one
        look."""
        told = self._transactions.read(lambda connection: {row.name: row.value for row in connection.execute(_STANDING)})
        if _WALK in told or told.get(_WANTED):
            return False
        since = told[_LAST]["ended_at"] if _LAST in told else told.get(_SINCE)
        return since is not None and self._transactions.now() < float(since) + interval

    def begin(self, *, reason: str, phase: str) -> Walk:
        """Begin one from nothing; a wish that comes from here on asks for another one."""
        self._clear()
        walk = Walk(began_at=self._transactions.now(), reason=reason, phase=phase)
        self._transactions.own(lambda tx: _begin(tx, walk))
        return walk

    def advance(self, walk: Walk, *, resources: Sequence[ListedResource] = ()) -> None:
        """Keep what a slice brought, and how far the walk is now."""
        self._transactions.own(lambda tx: _advance(tx, walk, resources=resources))

    def finish(self, walk: Walk) -> Inventory:
        """Keep how many were found of each kind."""
        inventory = Inventory(
            began_at=walk.began_at, ended_at=self._transactions.now(), listed=walk.listed, found=walk.found
        )
        self._clear()
        self._transactions.own(lambda tx: _finish(tx, inventory))
        return inventory

    def studies(self, after: str, *, most: int) -> list[str]:
        """The next StudyInstanceUIDs that an archive holds or that were published, in order."""
        return self._transactions.read(lambda connection: _studies(connection, after, most))

    def window_of(self, table: Table, after: str) -> str | None:
        """The last key of the next window of `RECORDS` or `LISTED`; None behind the end."""
        return self._transactions.read(lambda connection: _window_end(connection, table, after))

    def find_drifted(self, after: str, upto: str, *, began: float) -> list[Drift]:
        """Records of the window whose resource is not listed, or with another version or time."""
        rows = self._rows(select_drifted().where(records.c.study_uid > after, records.c.study_uid <= upto, _before(began)))
        return [
            Drift(
                study_uid=row.study_uid,
                resource_id=row.resource_id,
                record_version=row.version,
                record_last_updated=row.last_updated,
                version=row.listed_version or "",
                last_updated=row.listed_at or "",
            )
            for row in rows
        ]

    def strangers(self, after: str, upto: str) -> list[Stranger]:
        """Listed resources of the window that are no record's."""
        rows = self._rows(strangers().where(listed.c.resource_id > after, listed.c.resource_id <= upto))
        return [Stranger(resource=to_noun(ListedResource, row), published=row.published is not None) for row in rows]

    def find_unhindered(self, after: str, *, most: int) -> list[str]:
        """Studies parked because of somebody else's resource, which is not listed any more."""
        rows = self._rows(select_unhindered().where(parked.c.study_uid > after).order_by(parked.c.study_uid).limit(most))
        return [row.study_uid for row in rows]

    def _fact(self, name: str) -> Any:
        return self._transactions.read(lambda connection: fact(connection, name))

    def _rows(self, wanted: Select[Any]) -> Sequence[Any]:
        return self._transactions.read(lambda connection: connection.execute(wanted).all())

    def _clear(self) -> None:
        while (upto := self.window_of(listed, "")) is not None:
            part = delete(listed).where(listed.c.resource_id <= upto)
            self._transactions.own(lambda tx, part=part: tx.connection.execute(part))  # type: ignore[misc]


RECORDS, LISTED = records, listed
"""The tables that are walked in windows."""


def select_drifted() -> Select[Any]:
    """The anti-join of what is missing or differs; `Verification.find_drifted` reads it window by window."""
    return (
        select(records, listed.c.version.label("listed_version"), listed.c.last_updated.label("listed_at"))
        .select_from(records.outerjoin(listed, listed.c.resource_id == records.c.resource_id))
        .where(
            or_(
                listed.c.resource_id.is_(None),
                listed.c.version != records.c.version,
                (listed.c.last_updated != records.c.last_updated) & (records.c.last_updated != ""),
            )
        )
        .order_by(records.c.study_uid)
    )


def strangers() -> Select[Any]:
    """The anti-join of what no record speaks of; `Verification.strangers` reads it window by window."""
    own, other = records.alias("own"), records.alias("other")
    joined = listed.outerjoin(own, own.c.resource_id == listed.c.resource_id).outerjoin(
        other, other.c.study_uid == listed.c.study_uid
    )
    return (
        select(listed, other.c.study_uid.label("published"))
        .select_from(joined)
        .where(own.c.resource_id.is_(None))
        .order_by(listed.c.resource_id)
    )


def select_unhindered() -> Select[Any]:
    """The anti-join of studies that nobody's resource stands in the way of any more."""
    there = select(listed.c.resource_id).where(listed.c.study_uid == parked.c.study_uid).exists()
    return select(parked.c.study_uid).where(parked.c.reason.in_(_IN_THE_WAY), ~there)


def _before(began: float) -> Any:
    return records.c.published_at < began


def _window_end(connection: Connection, table: Table, after: str) -> str | None:
    (key,) = table.primary_key
    part = select(key.label("key")).where(key > after).order_by(key).limit(WINDOW).subquery()
    return connection.execute(select(func.max(part.c.key))).scalar()


def _studies(connection: Connection, after: str, most: int) -> list[str]:
    found: set[str] = set()
    for key in (records.c.study_uid, copies.c.study_uid, parked.c.study_uid):
        page = select(key).distinct().where(key > after).order_by(key).limit(most)
        found.update(connection.execute(page).scalars())
    return sorted(found)[:most]


def _begin(tx: Transaction, walk: Walk) -> None:
    tx.connection.execute(delete(facts).where(facts.c.name == _WANTED))
    save_fact(tx, _WALK, to_row(walk))


def _advance(tx: Transaction, walk: Walk, *, resources: Sequence[ListedResource]) -> None:
    upsert(tx.connection, listed, rows=[to_row(one) for one in {one.resource_id: one for one in resources}.values()])
    save_fact(tx, _WALK, to_row(walk))


def _finish(tx: Transaction, inventory: Inventory) -> None:
    tx.connection.execute(delete(facts).where(facts.c.name == _WALK))
    save_fact(tx, _LAST, to_row(inventory))
