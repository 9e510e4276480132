"""Which name the server gave to which id of ours, as the ledger keeps it (RULES C1).

A dry run holds no ledger to write to; what it learns is known to that run alone.
"""

from __future__ import annotations

from syncd.ledger.ledger import Ledger


class LedgerNames:
    """`syncd.publish.assigned.Names` on a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def find_assigned_id(self, resource_type: str, own_id: str) -> str | None:
        return self._ledger.companions.assigned_id(resource_type, own_id)

    def own(self, resource_type: str, assigned_id: str) -> str | None:
        return self._ledger.companions.own_id(resource_type, assigned_id)

    def keep(self, resource_type: str, own_id: str, assigned_id: str) -> None:
        self._ledger.companions.keep_assigned(resource_type, own_id, assigned_id)


class DryNames(LedgerNames):
    """The same for looking only."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self._theirs: dict[tuple[str, str], str] = {}
        self._ours: dict[tuple[str, str], str] = {}

    def find_assigned_id(self, resource_type: str, own_id: str) -> str | None:
        return self._theirs.get((resource_type, own_id)) or super().find_assigned_id(resource_type, own_id)

    def own(self, resource_type: str, assigned_id: str) -> str | None:
        return self._ours.get((resource_type, assigned_id)) or super().own(resource_type, assigned_id)

    def keep(self, resource_type: str, own_id: str, assigned_id: str) -> None:
        self._theirs[resource_type, own_id] = assigned_id
        self._ours[resource_type, assigned_id] = own_id
