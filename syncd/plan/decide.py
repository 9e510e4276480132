"""The decision: what must be done about one study, as a value with its reason.

Four ladders of early returns over what we want, what we remember and what the server was seen to hold. They never do
anything; the caller reads and writes. It reads as little as it can: most studies are decided from the ledger alone, and
the ladders say when that is not enough (`NeedRead`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from syncd.model.words import WITHDRAWN, Decision, ParkedReason, Tombstone
from syncd.model.work import DELETING, Intent, ParkedStudy, StudyRecord
from syncd.plan.adoption import REGISTERED, may_adopt
from syncd.plan.contest import RESOURCE, differing_elements, was_written_since
from syncd.plan.elements import elements
from syncd.plan.essence import digest
from syncd.plan.ownership import foreign_part, installation_of, join_owned, merge_foreign

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
    """Send `resource` under `expected_version` (`CREATE_ONLY`: it must not exist).

    `adopted`: it was another writer's until now (RULES C2). `corrects`: elements that somebody else had changed (C4)."""

    decision: Decision
    reason: str
    resource: Mapping[str, Any]
    expected_version: str
    foreign: Mapping[str, Any]
    adopted: bool = False
    corrects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """Nothing to send. `found` is the server's copy where it was read: the record takes its version."""

    reason: str
    found: Found | None = None
    foreign: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Park:
    """Nothing may be sent. `digest` is the essence that is kept back, `outcome` what the server once answered to it."""

    reason: str
    detail: str
    target_version: str = ""
    digest: str = ""
    outcome: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Nothing is said now, because the server's copy says more than what is wanted."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """An operator wants to hear nothing of this study until its digest changes (RULES E2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedRead:
    """The ledger alone cannot tell; ask the server for the resource and decide again."""


Action = Write | Skip | Park | Wait | Silence | NeedRead


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Everything that bears on what is done about one study, beside what is wanted of it.

    `current` is None while the server was not read; `read_fhir`: a mark says that it must be. `endpoints` are references to
    all Endpoints of ours, `adopt` is POLICY__ADOPT, `fought_over` are the elements that were corrected too often lately
    (RULES C4)."""

    record: StudyRecord | None
    intent: Intent | None
    parked: ParkedStudy | None
    current: Current | None
    read_fhir: bool
    installation_id: str
    base_url: str = ""
    endpoints: Collection[str] = ()
    adopt: str = REGISTERED
    fought_over: Collection[str] = ()


def decide(wanted: Wanted, known: Known) -> Action:
    """What to do so that the server says `wanted`: a ladder each for what is parked, not read, not there, and there."""
    # What kept exactly this from being sent may still do so (RULES E2).
    kept_back = _parked(wanted, known)
    if kept_back is not None:
        return kept_back
    # Most studies are decided from the ledger alone.
    current = known.current
    if current is None:
        return _unread(wanted, known)
    if not isinstance(current, Found):
        return _absent(wanted, known, current)
    # A record remembers one resource, not whatever else names the study (C2).
    if known.record is not None and current.resource.get("id") != known.record.resource_id:
        known = replace(known, record=None)
    return _found(wanted, known, current)


def _parked(wanted: Wanted, known: Known) -> Silence | NeedRead | Park | None:
    """Parked is not a storm, and not deaf; None where nothing stands in the way, or not any more (RULES E2)."""
    parked, current = known.parked, known.current
    # It is not parked, or has something new to say.
    if parked is None or parked.digest != wanted.digest:
        return None
    # An operator silenced it until it has.
    if parked.dropped:
        return Silence()
    # One version of the server's copy stood in the way: only the server knows whether it still does.
    if parked.target_version and current is None:
        return NeedRead()
    # The server refused exactly this before, and nothing asked for another try.
    if _same_target(parked, current) and not _is_judged_anew(parked, current):
        return parked_as_before(parked)
    return None


def _unread(wanted: Wanted, known: Known) -> NeedRead | Skip | Write:
    """The server was not read: what the ledger alone can tell."""
    record = known.record
    # A first write, a reply that may have been lost (C5), or a mark that says so: only the server knows.
    # What was taken back may be a tombstone, or another writer's word: seen before it is shown again (D2).
    if record is None or known.intent is not None or known.read_fhir or record.retracted:
        return NeedRead()
    # What was confirmed is what is wanted: no request at all (B3).
    if record.digest == wanted.digest:
        return Skip(reason="unchanged")
    # The confirmed version is in the write's condition, so whoever wrote meanwhile is noticed (C4).
    return _update(wanted, record.foreign, record.version, reason="changed")


def _absent(wanted: Wanted, known: Known, current: Absent | Deleted) -> Write | Park:
    """The server holds no such resource: it is created, and never unconditionally (RULES C2)."""
    record = known.record
    # There never was one, or the server lost it (C6).
    if isinstance(current, Absent):
        return _create(wanted, CREATE_ONLY, reason="missing on the server" if record else "new")
    # We deleted it ourselves, or were about to; what others had written comes back with it (D2).
    deleting = known.intent is not None and DELETING in known.intent.owned
    if record is not None and (record.retracted == Tombstone.DELETED or deleting):
        return _create(wanted, current.version, reason="back in the archive", foreign=record.foreign)
    # It was deleted before our time, or by nobody: the server was set back (E3).
    if record is None or not was_written_since(record.version, current.version):
        return _create(wanted, current.version, reason="deleted on the server" if record else "over a tombstone")
    # Brought back twice, and deleted again: somebody means it (C4).
    if RESOURCE in known.fought_over:
        return _park_contested(wanted, [RESOURCE], current.version)
    return _create(wanted, current.version, reason="deleted on the server", corrects=(RESOURCE,))


def _found(wanted: Wanted, known: Known, current: Found) -> Wait | Park | Skip | Write:
    """The server holds a resource for this study: whose it is, what it says, and what of it differs from ours."""
    record, intent = known.record, known.intent
    # Ours by memory, or by our tag where the ledger was lost (E7); anything else stays untouched (C2). An intent is no
    # memory of the resource: it may never have been carried out, and another writer may have been quicker.
    owner = installation_of(current.resource)
    lost_reply = intent is not None and digest(current.resource, base_url=known.base_url) == intent.digest
    adopted = record is None and owner != known.installation_id and not lost_reply
    if adopted and (owner is not None or not _may_adopt(wanted, known, current)):
        return _not_ours(wanted, owner, current.version)

    # What we said ourselves is not taken back because more is arriving (A6), nor because it returns (MAPPING F.3).
    says = elements(wanted.fhir_version).status_of(current.resource)
    if wanted.status == "registered" and says != "registered":
        return Wait(reason="still arriving, and more than that was said already")

    # A human withdrew it: never undone by itself (C4). We withdraw, too, and the reply to that may have been lost.
    if says in WITHDRAWN - {*own_statuses(record, intent), wanted.status}:
        return _park(wanted, ParkedReason.WITHDRAWN_BY_OTHER, "status was set by another writer", current.version)

    # Equal in essence, with all that others wrote: nothing to send (B3, C3).
    foreign = foreign_of(wanted, known, current)
    sent = merge_foreign(wanted.resource, foreign)
    others = differing_elements(sent, current.resource, base_url=known.base_url)
    if not others:
        return Skip(reason="the server already says so", found=current, foreign=foreign)

    # Somebody else put the same element back twice: never a third correction (C4).
    corrects = _elements_changed_by_another(others, wanted, known, current)
    if corrects & set(known.fought_over):
        return _park_contested(wanted, corrects & set(known.fought_over), current.version)
    return Write(
        decision=Decision.UPDATE,
        reason="adopted from another writer" if adopted else "differs on the server",
        resource=sent,
        expected_version=current.version,
        foreign=foreign,
        adopted=adopted,
        corrects=tuple(sorted(corrects)),
    )


def goal_of(resource: Mapping[str, Any], *, fingerprint: str, fhir_version: str = "r4") -> Wanted:
    return Wanted(resource=resource, digest=digest(resource), fingerprint=fingerprint, fhir_version=fhir_version)


def parked_as_before(parked: ParkedStudy) -> Park:
    """Nothing was sent, so that what the server said to the last try still stands (RULES E2)."""
    return Park(
        reason=parked.reason,
        detail=parked.detail,
        target_version=parked.target_version,
        digest=parked.digest,
        outcome=parked.outcome,
    )


def _same_target(parked: ParkedStudy, current: Current | None) -> bool:
    if not parked.target_version:
        return True
    version = current.version if isinstance(current, Found | Deleted) else ""
    return version == parked.target_version


def _is_judged_anew(parked: ParkedStudy, current: Current | None) -> bool:
    """Nothing was refused there: it was our own judgement, by a policy that may be another one now (POLICY__ADOPT)."""
    return parked.reason == ParkedReason.FOREIGN_IMAGINGSTUDY and isinstance(current, Found)


def foreign_of(wanted: Wanted, known: Known, current: Found) -> dict[str, Any]:
    """What of the server's copy belongs to others, by all that is remembered of what we wrote (RULES C3)."""
    record, intent = known.record, known.intent
    return foreign_part(
        current.resource,
        wanted.resource,
        held=join_owned(record.owned if record else {}, intent.owned if intent else {}),
        base_url=known.base_url,
        fhir_version=wanted.fhir_version,
        endpoints=known.endpoints,
    )


def own_statuses(record: StudyRecord | None, intent: Intent | None) -> frozenset[str]:
    """The statuses that the ledger remembers as our own word, one that was only intended included."""
    remembered = {record.status} if record is not None and record.retracted != Tombstone.THEIRS else set()
    intended = {str(intent.owned.get("status", ""))} if intent is not None else set()
    return frozenset(remembered | intended)


def _may_adopt(wanted: Wanted, known: Known, current: Found) -> bool:
    return may_adopt(
        current.resource,
        wanted.resource,
        adopt=known.adopt,
        base_url=known.base_url,
        fhir_version=wanted.fhir_version,
    )


def _elements_changed_by_another(others: frozenset[str], wanted: Wanted, known: Known, current: Found) -> frozenset[str]:
    """Of the elements that differ, those in which somebody else contradicts us, and not we ourselves."""
    record, intent, parked = known.record, known.intent, known.parked
    if record is None or not was_written_since(record.version, current.version):
        return frozenset()
    # What differs may be our own other word: a newer goal, or a write whose reply was lost.
    ours_moved = record.digest != wanted.digest or (intent is not None and intent.digest != wanted.digest)
    quarrel = parked is not None and parked.reason == ParkedReason.CONTESTED and bool(parked.digest)
    return frozenset() if ours_moved and not quarrel else others


def _park(wanted: Wanted, reason: str, detail: str, version: str) -> Park:
    return Park(reason=reason, detail=detail, target_version=version, digest=wanted.digest)


def _park_contested(wanted: Wanted, fought_over: Collection[str], version: str) -> Park:
    detail = f"another writer keeps changing {', '.join(sorted(fought_over))}"
    return _park(wanted, ParkedReason.CONTESTED, detail, version)


def _create(
    wanted: Wanted,
    version: str,
    *,
    reason: str,
    foreign: Mapping[str, Any] = MappingProxyType({}),
    corrects: tuple[str, ...] = (),
) -> Write:
    return Write(
        decision=Decision.CREATE,
        reason=reason,
        resource=merge_foreign(wanted.resource, foreign),
        expected_version=version,
        foreign=dict(foreign),
        corrects=corrects,
    )


def _update(wanted: Wanted, foreign: Mapping[str, Any], version: str, *, reason: str) -> Write:
    return Write(
        decision=Decision.UPDATE,
        reason=reason,
        resource=merge_foreign(wanted.resource, foreign),
        expected_version=version,
        foreign=foreign,
    )


def _not_ours(wanted: Wanted, owner: str | None, version: str) -> Park:
    if owner is None:
        detail = "another writer's ImagingStudy names this study"
        return _park(wanted, ParkedReason.FOREIGN_IMAGINGSTUDY, detail, version)
    return _park(wanted, ParkedReason.OWNED_ELSEWHERE, "another installation published it", version)
