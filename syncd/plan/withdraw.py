"""Taking a study back: what is to become of the resource that shows it, as a value with its reason (RULES D1, D2, C4).

Why a study goes is proven by the caller; here it is decided what that means for what the ledger remembers and the
server was seen to hold. Little of it is ours alone to take: what another writer withdrew keeps their word, what was
theirs at first is never deleted, and what nobody remembers is touched only if it carries our tag.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from syncd.model.outcome import Retraction
from syncd.model.words import WITHDRAWN, Cause, ParkedReason
from syncd.model.words import Tombstone as Kind
from syncd.model.work import Intent, StudyRecord
from syncd.plan.decide import (
    Absent,
    Current,
    Deleted,
    Found,
    Known,
    NeedRead,
    Park,
    Wait,
    Wanted,
    foreign_of,
    own_statuses,
    parked_as_before,
)
from syncd.plan.elements import elements
from syncd.plan.essence import essence
from syncd.plan.ownership import installation_of, join_owned, merge_foreign, own_identifiers

KEEP, DELETE = "keep", "delete"
"""Two of the words of POLICY__ON_DELETE and ON_DESELECT; the others are statuses."""

_MOST_FAULTS = 3

Identifiers = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Why the study is taken back, and how the site wants it.

    `how` is POLICY__ON_DELETE or ON_DESELECT, `word` the status by which the FHIR version says it; `listed`: its archive was
    listed as a whole once (A1). Three pure questions: whether the resource under an id was another writer's at first
    (`adopted`, C2), what may stay of a resource under a status, of its identifiers those that were ours (`cut_down`, MAPPING
    F.3), and why a resource may not be sent (`faults`, B1)."""

    cause: Cause
    how: str
    word: str
    cut_down: Callable[[Mapping[str, Any], str, Identifiers], Wanted]
    faults: Callable[[Mapping[str, Any]], Sequence[str]]
    adopted: Callable[[str], bool]
    listed: bool
    fhir_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Remains:
    """What is to be said of the resource that the server holds: our part cut down, beside all that is foreign."""

    found: Found
    goal: Wanted
    foreign: Mapping[str, Any]

    @property
    def resource(self) -> dict[str, Any]:
        """The resource to send."""
        return merge_foreign(self.goal.resource, self.foreign)


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdraw:
    """Send the remains under the version that was found."""

    reason: str
    remains: Remains


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """Send the remains, which proves the version, and delete the resource at once; `said`: the server says them already."""

    reason: str
    remains: Remains
    said: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Tombstone:
    """Send nothing, and remember what became of the resource.

    `remains`: the server says them already; `lost_reply`: because we wrote them, and the reply was lost (C5).
    `ask_sentinel`: the server may have lost more than this, so its sentinel is asked for first (C6)."""

    reason: str
    kind: Kind
    status: str
    version: str
    remains: Remains | None = None
    lost_reply: Intent | None = None
    ask_sentinel: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """Send nothing, and remember nothing; `retraction` is what becomes of one that was planned or paid for."""

    reason: str
    retraction: Retraction = Retraction.DONE


TakingBack = Withdraw | Delete | Tombstone | NeedRead | Park | Wait | Leave


def withdrawal(asked: Asked, known: Known) -> TakingBack:
    """What to do so that FHIR shows the study no more. `known.read_fhir`: a mark, or a conflict, says that the server must
    be read; `known.current` is what of it may be ours (`ours_among`)."""
    record, cause = known.record, asked.cause
    # It came and went before anything of it was published: nothing here is ours to take back (D2).
    if cause is Cause.GONE and record is None and known.intent is None and not known.read_fhir:
        return Leave(reason="gone from the archive before it was published", retraction=Retraction.OFF)
    # It was taken back before, and nothing asks for a look at the server itself (C5).
    if record is not None and record.retracted and not _must_read(record, asked, known):
        return _remember(record, Kind(record.retracted), reason=f"{cause.value}, and taken back already")
    # The site wants it to stay as it is (POLICY__ON_DELETE).
    if asked.how == KEEP:
        reason = f"{cause.value}; it stays as it is, for so the site decided"
        return _remember(record, Kind.KEPT, reason=reason)
    # Nothing is taken back unseen: another writer may have been there (C4, D2).
    if known.current is None:
        return NeedRead()
    if not isinstance(known.current, Found):
        return _not_there(asked, record, known.current)
    return _found(asked, known, known.current)


def ours_among(seen: Sequence[Current], *, remembers: bool, installation_id: str) -> Current:
    """Of the server's copies, the one to take back: the remembered resource, or, where no record says which that is, what
    carries our tag (RULES D2, E7)."""
    if remembers:
        return seen[0]
    tagged = (one for one in seen if isinstance(one, Found) and installation_of(one.resource) == installation_id)
    return next(tagged, Absent())


def takes_back(status: str, record: StudyRecord | None) -> bool:
    """Whether saying `status` shows less than before: what is withdrawn already, and only said again, does not (D3)."""
    return status in WITHDRAWN and not (record is not None and record.retracted)


def _not_there(asked: Asked, record: StudyRecord | None, current: Absent | Deleted) -> Leave | Tombstone:
    """The server holds nothing that is ours to take back."""
    # Nobody remembers it either.
    if record is None:
        return Leave(reason=f"{asked.cause.value}, and nothing of ours is on the server")
    # It is gone there, too; where not even a tombstone is left, the server may have lost everything (C6).
    return Tombstone(
        reason=f"{asked.cause.value}, and not on the server any more",
        kind=Kind.DELETED,
        status=record.status if record.status in WITHDRAWN else asked.word,
        version=current.version if isinstance(current, Deleted) else "",
        ask_sentinel=isinstance(current, Absent),
    )


def _found(asked: Asked, known: Known, current: Found) -> TakingBack:
    """The server holds a resource of ours."""
    cause = asked.cause.value
    # Another writer withdrew it already: their word stands (C4).
    says = elements(asked.fhir_version).status_of(current.resource)
    if says in WITHDRAWN - _own(known):
        reason = f"{cause}, and another writer withdrew it already"
        return _remember(known.record, Kind.THEIRS, reason=reason, status=says, version=current.version)

    # What was withdrawn for another reason keeps that reason's word (MAPPING F.3: a retracted status stays).
    remains = _remains(asked, known, current, status=says if says in WITHDRAWN else asked.word)
    said = essence(remains.resource) == essence(current.resource, base_url=known.base_url)
    adopted = asked.adopted(str(current.resource["id"]))
    deletes = asked.how == DELETE and not adopted

    # The server says so already; a deletion that it refused is paid for, and not tried again (D2).
    if said and (not deletes or _was_refused(known.record)):
        return Tombstone(
            reason=f"{cause}, and the server says so already",
            kind=Kind.WITHDRAWN,
            status=remains.goal.status,
            version=current.version,
            remains=remains,
            lost_reply=known.intent if known.intent and known.intent.digest == remains.goal.digest else None,
        )

    # What may not be sent at all (B1), or was refused before (E2), costs nobody a retraction.
    kept_back = _kept_back(asked, known, remains)
    if kept_back is not None:
        return kept_back

    # Nothing is judged gone before the archive was listed once (A1).
    if asked.cause is Cause.GONE and not asked.listed:
        return Wait(reason="gone, but the archive is being listed for the first time")

    # Only what was ours from the beginning is deleted (C2).
    if deletes:
        return Delete(reason=cause, remains=remains, said=said)
    spared = "; withdrawn, not deleted: it was not ours at first" if asked.how == DELETE else ""
    return Withdraw(reason=f"{cause}{spared}", remains=remains)


def _kept_back(asked: Asked, known: Known, remains: Remains) -> Park | None:
    faults = asked.faults(remains.goal.resource)
    if faults:
        return Park(reason=ParkedReason.UNMAPPABLE, detail="; ".join(faults[:_MOST_FAULTS]))
    parked = known.parked
    if parked is None or parked.digest != remains.goal.digest or parked.target_version not in ("", remains.found.version):
        return None
    return parked_as_before(parked)


def _remains(asked: Asked, known: Known, current: Found, *, status: str) -> Remains:
    record, intent = known.record, known.intent
    held = join_owned(record.owned if record else {}, intent.owned if intent else {})
    goal = asked.cut_down(current.resource, status, own_identifiers(current.resource, held=held))
    return Remains(found=current, goal=goal, foreign=foreign_of(goal, known, current))


def _remember(
    record: StudyRecord | None, kind: Kind, *, reason: str, status: str | None = None, version: str | None = None
) -> Tombstone | Leave:
    """A tombstone, where there is a record to make one of."""
    if record is None:
        return Leave(reason=reason)
    return Tombstone(
        reason=reason,
        kind=kind,
        status=record.status if status is None else status,
        version=record.version if version is None else version,
    )


def _must_read(record: StudyRecord, asked: Asked, known: Known) -> bool:
    """A mark asks for it, a reply may have been lost (C5), or the site changed its mind about what it kept."""
    changed_mind = record.retracted == Kind.KEPT and asked.how != KEEP
    return known.read_fhir or known.intent is not None or changed_mind


def _own(known: Known) -> frozenset[str]:
    """The statuses that are our own word; where nothing is remembered, the tag says that each is (E7)."""
    if known.record is None and known.intent is None:
        return WITHDRAWN
    return own_statuses(known.record, known.intent)


def _was_refused(record: StudyRecord | None) -> bool:
    return record is not None and record.retracted == Kind.WITHDRAWN
