"""Which FHIR server this ledger belongs to, and under which id it published (RULES C6, E3)."""

from __future__ import annotations

from syncd.ledger.db.rows import to_row
from syncd.ledger.db.transactions import Transactions
from syncd.ledger.studies.records import fact, save_fact
from syncd.model.work import Target

_TARGET, _INSTALLATION = "target", "installation"


class Facts:
    """`ledger.facts`: each method one transaction or one short read."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def target(self) -> Target | None:
        value = self._transactions.read(lambda connection: fact(connection, _TARGET))
        return None if value is None else Target(**value)

    def save_target(self, target: Target) -> None:
        self._transactions.own(lambda tx: save_fact(tx, _TARGET, to_row(target)))

    def installation(self) -> str | None:
        """The INSTALLATION_ID that this ledger published under; comparing it with the settings is the caller's part."""
        value = self._transactions.read(lambda connection: fact(connection, _INSTALLATION))
        return None if value is None else str(value)

    def save_installation(self, installation_id: str) -> None:
        self._transactions.own(lambda tx: save_fact(tx, _INSTALLATION, installation_id))
