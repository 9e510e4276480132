"""The ledger's side door: what it tells of itself, to somebody who asks once and goes.

A file of this version's schema is asked by SQLite's driver alone. Everything else goes through `Ledger.open_guest`: a
PostgreSQL database, and a ledger that must be refused with the right words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from syncd.errors import LedgerRefused
from syncd.ledger.db.file import missing, place_of
from syncd.ledger.db.plain import inspect, open_to_ask, schema_of_this_version
from syncd.ledger.owner.glance import Glance

T = TypeVar("T")


def glance(url: str, question: Callable[[Glance], T]) -> T:
    """The answer to `question`, of one state of the ledger. Raises as `Ledger.open_guest` does."""
    if url.startswith("sqlite:"):
        place = place_of(url)
        if not place.file.exists():
            raise LedgerRefused(missing(place))
        inspect(place, thorough=False)
        with open_to_ask(place) as ask:
            if ask("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'", {}):
                found = Glance(ask)
                if found.schema() == schema_of_this_version():
                    return question(found)
    from syncd.ledger.ledger import Ledger

    with Ledger.open_guest(url) as ledger:
        return ledger.overview.ask(question)
