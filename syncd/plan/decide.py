"""The decision: what must be done about one study, as a value with its reason.

A ladder of early returns over what we want, what we remember and what the server was seen to hold. It never does
anything; the caller reads and writes. The difficulty is *not reading*: most studies are decided from the ledger alone,
and the ladder says when that is not enough (`NeedRead`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from syncd.model.words import WITHDRAWN, Decision, ParkedReason, Tombstone
from syncd.model.work import Intent, ParkedStudy, StudyRecord
from syncd.plan.elements import elements
from syncd.plan.essence import digest, essence
from syncd.plan.ownership import foreign_part, installation_of, joined, merged

CREATE_ONLY = "0"
"""The version that means "must not exist yet" in an expected version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """The server says that there is no such resource and never was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """The server holds a tombstone of this version."""

    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The server holds this."""

    resource: Mapping[str, Any]
    version: str
    last_updated: str


Current = Absent | Deleted | Found


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What should be there: the resource without anything foreign, its essence's digest, and the mapping fingerprint."""

    resource: Mapping[str, Any]
    digest: str
    fingerprint: str
    fhir_version: str = "r4"

    @property
    def status(self) -> str:
        """What the resource says, in R4's words."""
        return elements(self.fhir_version).status_of(self.resource)


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """Send `resource` under `expected_version` (`CREATE_ONLY`: it must not exist)."""

    decision: Decision
    reason: str
    resource: Mapping[str, Any]
    expected_version: str
    foreign: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """Nothing to send. `found` is the server's copy where it was read: the record takes its version."""

    reason: str
    found: Found | None = None
    foreign: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Park:
    reason: str
    detail: str
    target_version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Nothing is said now, because the server's copy says more than what is wanted."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedRead:
    """The ledger alone cannot tell; ask the server for the resource and decide again."""


Action = Write | Skip | Park | Wait | NeedRead


def decide(
    wanted: Wanted,
    *,
    record: StudyRecord | None,
    intent: Intent | None,
    parked: ParkedStudy | None,
    current: Current | None,
    read_fhir: bool,
    installation_id: str,
    base_url: str = "",
    endpoints: Collection[str] = (),
) -> Action:
    """What to do so that the server says `wanted`; `current` is None when the server was not read. `endpoints` are
    references to all Endpoints of ours."""
    # The server refused exactly this before, and nothing asked for another try (RULES E2).
    if parked and parked.digest == wanted.digest and current is None and parked.target_version:
        return NeedRead()
    if parked and parked.digest == wanted.digest and _same_target(parked, current):
        return Park(reason=parked.reason, detail=parked.detail, target_version=parked.target_version)

    if current is None:
        # A first write, a reply that may have been lost (C5), or a mark that says so: only the server knows.
        # What was taken back may be a tombstone, or another writer's word: seen before it is shown again (D2).
        if record is None or intent is not None or read_fhir or record.retracted:
            return NeedRead()
        if record.digest == wanted.digest:
            return Skip(reason="unchanged")
        return _update(wanted, record.foreign, record.version, reason="changed")

    if isinstance(current, Absent):
        reason = "missing on the server" if record else "new"
        return _create(wanted, CREATE_ONLY, reason=reason)
    if isinstance(current, Deleted):
        if record is not None and record.retracted == Tombstone.DELETED:
            return _create(wanted, current.version, reason="back in the archive", foreign=record.foreign)
        return _create(wanted, current.version, reason="deleted on the server" if record else "over a tombstone")

    # Ours by memory, or by our tag where the ledger was lost (E7); anything else stays untouched (C2). An intent is no
    # memory of the resource: it may never have been carried out, and another writer may have been quicker.
    owner = installation_of(current.resource)
    lost_reply = intent is not None and digest(current.resource, base_url=base_url) == intent.digest
    if record is None and owner != installation_id and not lost_reply:
        return _not_ours(owner, current)

    # What we said ourselves is not taken back because more is arriving (A6), nor because it returns (MAPPING F.3).
    says = elements(wanted.fhir_version).status_of(current.resource)
    if wanted.status == "registered" and says != "registered":
        return Wait(reason="still arriving, and more than that was said already")

    # A human withdrew it: never undone by itself (C4). We withdraw, too, and the reply to that may have been lost.
    said = record.status if record is not None and record.retracted != Tombstone.THEIRS else None
    ours = {said, intent.owned.get("status") if intent else None, wanted.status}
    if says in WITHDRAWN - ours:
        return Park(
            reason=ParkedReason.WITHDRAWN_BY_OTHER, detail="status was set by another writer", target_version=current.version
        )

    held = joined(record.owned if record else {}, intent.owned if intent else {})
    foreign = foreign_part(
        current.resource,
        wanted.resource,
        held=held,
        base_url=base_url,
        fhir_version=wanted.fhir_version,
        endpoints=endpoints,
    )
    sent = merged(wanted.resource, foreign)
    if _same_essence(sent, current.resource, base_url):
        return Skip(reason="the server already says so", found=current, foreign=foreign)
    return _update(wanted, foreign, current.version, reason="differs on the server")


def wanted(resource: Mapping[str, Any], *, fingerprint: str, fhir_version: str = "r4") -> Wanted:
    return Wanted(resource=resource, digest=digest(resource), fingerprint=fingerprint, fhir_version=fhir_version)


def _same_target(parked: ParkedStudy, current: Current | None) -> bool:
    if not parked.target_version:
        return True
    version = current.version if isinstance(current, Found | Deleted) else ""
    return version == parked.target_version


def _same_essence(ours: Mapping[str, Any], theirs: Mapping[str, Any], base_url: str) -> bool:
    return essence(ours, base_url=base_url) == essence(theirs, base_url=base_url)


def _create(wanted: Wanted, version: str, *, reason: str, foreign: Mapping[str, Any] = MappingProxyType({})) -> Write:
    return Write(
        decision=Decision.CREATE,
        reason=reason,
        resource=merged(wanted.resource, foreign),
        expected_version=version,
        foreign=dict(foreign),
    )


def _update(wanted: Wanted, foreign: Mapping[str, Any], version: str, *, reason: str) -> Write:
    return Write(
        decision=Decision.UPDATE,
        reason=reason,
        resource=merged(wanted.resource, foreign),
        expected_version=version,
        foreign=foreign,
    )


def _not_ours(owner: str | None, current: Found) -> Park:
    if owner is None:
        return Park(
            reason=ParkedReason.FOREIGN_IMAGINGSTUDY,
            detail="another writer's ImagingStudy names this study",
            target_version=current.version,
        )
    return Park(
        reason=ParkedReason.OWNED_ELSEWHERE, detail="another installation published it", target_version=current.version
    )
