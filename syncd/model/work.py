"""The ledger's nouns: marks, dirty rows, records, intents, what is parked and what is taken back.

A mark is a reason to look at a study again; the dirty row is all marks of one StudyInstanceUID merged. RULES A5 decides
when it is due: a row of a study that still receives instances must neither be asked at every event nor wait for ever,
so it carries when its unbroken stream began. All times are seconds since the epoch (wall clock) unless said otherwise;
durations are seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from syncd.model.change import Change
from syncd.model.ids import ArchiveName, OrthancId
from syncd.model.snapshot import Note
from syncd.model.words import ArchiveState, BrakeState, Cause, ParkedReason, Priority

LONGEST_STREAM = 600.0
"""Seconds of unbroken streaming after which `available` is published although instances still arrive (RULES A5)."""

LONGEST_BACKOFF = 300.0
"""The longest pause between two attempts at one study (RULES C6)."""

ATTEMPTS = 20
"""Failures of one study, the server being well otherwise, before it is parked `server-error` (RULES C6)."""

OWN_ATTEMPTS = 3
"""Attempts that count after which a study shares one slot with all others that fail as often (RULES C6)."""

CONTEST_WINDOW = 7 * 86400.0
"""Seconds for which it is remembered that somebody else's change was corrected (RULES C4)."""

MOST_CORRECTIONS = 2
"""So often one element of a study is corrected within the window, and no third time (RULES C4)."""


FEWEST_RETRACTIONS = 10
"""So many studies of an archive may be taken back in a day, however few it has (RULES D3)."""

BUDGET_WINDOW = 86400.0
"""Seconds for which a retraction counts against the budget (RULES D3)."""


NAMED, ORDERS, REFERENCES = "named", "orders", "references"
"""In `StudyRecord.raw`: whether somebody else's Patient carries the study's own identifier (and was not only led to);
digest of an order's identifier → the id of its ServiceRequest, empty where none was found; the other literal references
(`Type/id`) that were written."""

UNLIKE = " as Patient/"
"""In the detail of a study that is parked because a Patient says something else than it (`values-strict`)."""

REFERS_TO = (ORDERS, REFERENCES)
"""The raw facts that tell what a study refers to beside its subject."""


class MarkKind(StrEnum):
    EVENT = "event"
    """A durable feed event: something was stored."""
    STABLE = "stable"
    """A Stable* event: due now, whether the study is stable is asked anew."""
    INVENTORY = "inventory"
    """The archive's inventory shows it new or changed."""
    RESYNC = "resync"
    """An operator asked."""
    RERENDER = "rerender"
    """Another mapping or other settings rendered it (RULES B3)."""
    VERIFY = "verify"
    """FHIR itself must be read (server reset, repair, audit; RULES C5)."""
    REJECTION = "rejection"
    """A rejection note that names it came, changed or went (RULES B7)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A reason to look at a study. `orthanc_id` tells the copy, where the reason knows it."""

    study_uid: str
    kind: MarkKind
    archive: ArchiveName
    orthanc_id: OrthancId | None = None
    priority: int = Priority.FEED
    read_fhir: bool = False
    study_date: str = ""
    """`YYYYMMDD` where the reason tells it: the newest are worked on first at backfill priority (RULES A9)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DirtyRow:
    """Everything pending for one StudyInstanceUID.

    `generation` comes from one ledger-wide sequence (RULES E1); a publication clears the row only if it is unchanged.
    `not_before` is the backoff, which no mark shortens (RULES C6).
    """

    study_uid: str
    generation: int
    priority: int
    due: float
    first_marked: float
    last_event: float = 0.0
    streaming_since: float = 0.0
    read_fhir: bool = False
    attempts: int = 0
    not_before: float = 0.0
    reason: str = ""
    study_date: str = ""


def merge_mark(
    row: DirtyRow | None, mark: Mark, *, generation: int, published: bool, settle_after: float, now: float
) -> DirtyRow:
    """The row after `mark`; `published` says whether a record (registered or more) exists.

    An event of a study that is already published moves the due time to `settle_after` of quiet, but never beyond
    `LONGEST_STREAM` of unbroken streaming (no gap above `settle_after`). Every other mark makes the row due now.
    """
    before = row or DirtyRow(
        study_uid=mark.study_uid, generation=generation, priority=mark.priority, due=now, first_marked=now
    )
    streaming_since, last_event, due = before.streaming_since, before.last_event, now
    if mark.kind is MarkKind.EVENT:
        unbroken = last_event and now - last_event <= settle_after
        streaming_since = streaming_since if unbroken and streaming_since else now
        last_event = now
        if published:
            due = min(now + settle_after, max(now, streaming_since + LONGEST_STREAM))
    return replace(
        before,
        generation=generation,
        priority=min(before.priority, mark.priority),
        due=max(due, before.not_before),
        last_event=last_event,
        streaming_since=streaming_since,
        read_fhir=before.read_fhir or mark.read_fhir,
        reason=mark.kind.value,
        study_date=mark.study_date or before.study_date,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """One Orthanc study that holds a StudyInstanceUID (RULES C8), and what was last seen of it."""

    archive: ArchiveName
    orthanc_id: OrthancId
    study_uid: str
    last_update: str = ""
    instances: int = -1
    """How many the last whole read or count saw; below 0: not told."""
    labels: str | None = None
    """Sorted, joined by backslashes (Orthanc allows none in a label); None: not told, as by versions without labels."""
    tags_digest: str | None = None
    """The digest of its main tags, which change without an event (RULES A8); None: not told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedPosition:
    """Where the change feed of one archive stands (RULES A1, A3).

    `high_water` is the highest number the feed ever named, `moved_at` when it last moved; `seen` maps each Seq within
    the overlap to the change seen there and when it was first seen.
    """

    archive: ArchiveName
    state: ArchiveState
    cursor: int = 0
    high_water: int = 0
    moved_at: float = 0.0
    seen: Mapping[int, tuple[Change, float]] = field(default_factory=dict)
    sweep_wanted: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRecord:
    """What was published for a study, confirmed by the server.

    `digest` is the essence (RULES B3) of what we sent; `fingerprint` that of mapping version and settings; `foreign` the
    part of the resource that belongs to others and survives our updates (RULES C3), `owned` the list values that are
    ours in shared lists; `raw` the archive's tuple read before the snapshot (RULES A8).
    """

    study_uid: str
    resource_id: str
    version: str
    last_updated: str
    digest: str
    fingerprint: str
    status: str
    raw: Mapping[str, Any]
    foreign: Mapping[str, Any] = field(default_factory=dict)
    owned: Mapping[str, Any] = field(default_factory=dict)
    subject: str = ""
    series: int = 0
    instances: int = 0
    study_date: str = ""
    modalities: str = ""
    summary: bool = False
    notes: int = 0
    published_at: float = 0.0
    archive: str = ""
    """The archive that it was published from: whose budget pays when it is taken back (RULES D3)."""
    adopted: bool = False
    """The resource was somebody else's before, or keeps an id that is not ours: never deleted (RULES C2)."""
    retracted: str = ""
    """A `words.Tombstone` once it was taken back (RULES D2); empty while it is shown."""
    retracted_at: float = 0.0


DELETING = "foreign"
"""In `Intent.owned`: what others had written into a resource that is deleted next (RULES D2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """Committed before a write is sent, so a crash between PUT and commit cannot make our values foreign (RULES C3)."""

    study_uid: str
    resource_id: str
    digest: str
    expected_version: str
    """The version our `If-Match` names: `0` for create-only."""
    owned: Mapping[str, Any] = field(default_factory=dict)
    created_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkedStudy:
    """A study that cannot be published now; a mark re-evaluates it, but nothing is sent again for the same `digest`
    against the same `target_version` (RULES E2). `outcome` is the server's OperationOutcome, shown only on request.
    `dropped`: an operator wants silence until the digest changes."""

    study_uid: str
    reason: str
    detail: str = ""
    digest: str = ""
    target_version: str = ""
    outcome: Mapping[str, Any] | None = None
    parked_at: float = 0.0
    dropped: bool = False

    @property
    def disputes_patient(self) -> bool:
        """Whether it is parked for what a Patient says otherwise: it stands by that one no more (RULES B10)."""
        strict = self.reason == ParkedReason.VALUES_STRICT and UNLIKE in self.detail
        return strict or self.reason == ParkedReason.PATIENT_MISMATCH


@dataclass(frozen=True, slots=True, kw_only=True)
class Companion:
    """An Endpoint, a Patient or an optional companion (MAPPING J) of ours on the FHIR server. `source_key` is the greatest
    study's key (RULES B4).

    `replaced_by` is the Patient (`Patient/<id>`) that ours gave way to: while that one stands, ours stays inactive."""

    resource_type: str
    resource_id: str
    version: str
    digest: str
    source_key: str = ""
    replaced_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The FHIR server that this ledger belongs to (RULES E3). `create_form` is the create-only form that it honours:
    `if-match-0`, `if-none-match`, `version-in-body` or `get-then-put`."""

    url: str
    sentinel_id: str
    fhir_version: str
    create_form: str
    sentinel_version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRetraction:
    """A study that waits at the closed brake. `accepted_at`: when the operator accepted the plan it is in; 0 before."""

    study_uid: str
    archive: ArchiveName
    cause: Cause
    planned_at: float
    accepted_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Brake:
    """The budget of one archive (RULES D3): how many of its studies are shown, how many were taken back in the last day
    without the operator's word, and how many wait for that word."""

    archive: ArchiveName
    published: int = 0
    spent: int = 0
    planned: int = 0

    @property
    def limit(self) -> int:
        """At most so many in a day: ten, or a tenth of what was shown before the first of them."""
        return max(FEWEST_RETRACTIONS, (self.published + self.spent) // 10)

    @property
    def state(self) -> BrakeState:
        return BrakeState.CLOSED if self.planned else BrakeState.OPEN


@dataclass(frozen=True, slots=True, kw_only=True)
class DoubtfulStudy:
    """A published study with `safety` notes, and since when it has these."""

    study_uid: str
    notes: tuple[Note, ...]
    since: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryLine:
    """One decision of the past, for people."""

    study_uid: str
    at: float
    decision: str
    reason: str
    correlation_id: str = ""
