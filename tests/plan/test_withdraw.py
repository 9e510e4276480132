"""Taking back as a table: what we remember and see, what the site wants → what is done, and why (RULES D1, D2, C4, C5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from syncd.model.outcome import Retraction
from syncd.model.words import Cause
from syncd.model.words import Tombstone as Kind
from syncd.model.work import Intent, ParkedStudy, StudyRecord
from syncd.plan.decide import Absent, Current, Deleted, Found, Known, NeedRead, Park, Wait, Wanted, goal_of
from syncd.plan.ownership import owned_values
from syncd.plan.withdraw import Asked, Delete, Leave, TakingBack, Tombstone, Withdraw, ours_among, takes_back, withdrawal
from tests.plan.test_decide import DSTU2, RECORD, RESOURCE, TAG, found

INTENT = Intent(study_uid="1.2.3", resource_id="1.2.3", digest="another", expected_version="4", owned=owned_values(RESOURCE))
NOTE = [{"text": "seen by the tumour board"}]


def remaining(resource: Mapping[str, Any], status: str, identifiers: Sequence[Mapping[str, Any]]) -> Wanted:
    """As MAPPING F.3: identifiers of ours, subject and status."""
    kept = [one for one in resource.get("identifier", ()) if one in identifiers or one["system"] == "urn:dicom:uid"]
    told = {name: resource[name] for name in ("resourceType", "id", "meta", "subject")}
    return goal_of({**told, "identifier": kept, "status": status}, fingerprint="f1")


SENT = remaining(RESOURCE, "cancelled", RESOURCE["identifier"])
REFUSED = ParkedStudy(study_uid="1.2.3", reason="refused", detail="no", digest=SENT.digest, outcome={"issue": []})
ASKED = Asked(
    cause=Cause.GONE,
    how="cancelled",
    word="cancelled",
    cut_down=remaining,
    faults=lambda resource: (),
    adopted=lambda kept_id: kept_id != "1.2.3",
    listed=True,
    fhir_version="r4",
)
DELETING = replace(ASKED, how="delete")
KEEPING = replace(ASKED, how="keep")
DESELECTED = replace(ASKED, cause=Cause.DESELECTED)
CANCELLED = Found(resource=SENT.resource, version="5", last_updated="")


def decided(
    asked: Asked = ASKED,
    *,
    record: StudyRecord | None = RECORD,
    intent: Intent | None = None,
    parked: ParkedStudy | None = None,
    current: Current | None = None,
    read_fhir: bool = False,
) -> TakingBack:
    return withdrawal(
        asked,
        Known(record=record, intent=intent, parked=parked, current=current, read_fhir=read_fhir, installation_id="syncd"),
    )


def buried(kind: Kind, **changes: Any) -> StudyRecord:
    """A record of a study that was taken back."""
    return replace(RECORD, **{"status": "cancelled", **changes}, retracted=kind.value)


@pytest.mark.parametrize(
    ("asked", "known", "expected"),
    [
        (ASKED, {"record": None}, Leave(reason="gone from the archive before it was published", retraction=Retraction.OFF)),
        (ASKED, {"record": None, "read_fhir": True}, NeedRead()),
        (ASKED, {"record": None, "intent": INTENT}, NeedRead()),
        (DESELECTED, {"record": None}, NeedRead()),
    ],
    ids=["D2: nothing of ours", "E7: a lost ledger", "C5: a reply may be lost", "C2: it is there under some id"],
)
def test_what_was_never_published_is_nobodys_to_take_back(asked: Asked, known: dict[str, Any], expected: TakingBack) -> None:
    """RULES D2: it came and went before; what is deselected is taken back only where it was found."""
    assert decided(asked, **known) == expected


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("current", [None, found()], ids=["not read", "read"])
def test_what_was_taken_back_stays_as_it_is_unless_it_must_be_looked_at(kind: Kind, current: Current | None) -> None:
    """RULES C5: the next sweeps cost nothing; a tombstone keeps its kind, status and version."""
    record, asked = buried(kind), KEEPING if kind is Kind.KEPT else ASKED
    told = Tombstone(reason="gone, and taken back already", kind=kind, status="cancelled", version="4")
    assert decided(asked, record=record, current=current) == told


@pytest.mark.parametrize(
    ("kind", "known"),
    [
        (Kind.WITHDRAWN, {"read_fhir": True}),
        (Kind.DELETED, {"intent": INTENT}),
        (Kind.KEPT, {}),
    ],
    ids=["C5: a mark says so", "C5: a reply may be lost", "the site changed its mind about what it kept"],
)
def test_what_was_taken_back_is_looked_at_again(kind: Kind, known: dict[str, Any]) -> None:
    """RULES C5."""
    assert decided(record=buried(kind), **known) == NeedRead()


@pytest.mark.parametrize(("record", "known"), [(RECORD, {}), (buried(Kind.WITHDRAWN), {"read_fhir": True})])
def test_what_the_site_keeps_is_remembered_as_it_is(record: StudyRecord, known: dict[str, Any]) -> None:
    """docs/settings.md, POLICY__ON_DELETE `keep`: nothing is read or sent."""
    reason = "gone; it stays as it is, for so the site decided"
    expected = Tombstone(reason=reason, kind=Kind.KEPT, status=record.status, version="4")
    assert decided(KEEPING, record=record, **known) == expected
    assert decided(KEEPING, record=None, intent=INTENT) == Leave(reason=reason)


def test_nothing_is_taken_back_unseen() -> None:
    """RULES D2, C4: another writer may have been there."""
    assert [decided(one) for one in (ASKED, DELETING, DESELECTED)] == [NeedRead()] * 3


@pytest.mark.parametrize(
    ("record", "current", "status", "version"),
    [
        (RECORD, Deleted(version="6"), "cancelled", "6"),
        (RECORD, Absent(), "cancelled", ""),
        (replace(RECORD, status="entered-in-error", retracted="withdrawn"), Absent(), "entered-in-error", ""),
    ],
    ids=["deleted by another", "absent", "withdrawn by us for another reason"],
)
def test_what_is_on_neither_side_is_remembered_as_deleted(
    record: StudyRecord, current: Current, status: str, version: str
) -> None:
    """RULES C6: absent without a tombstone may be a reset server, whose sentinel is asked for first."""
    assert decided(record=record, current=current, read_fhir=True) == Tombstone(
        reason="gone, and not on the server any more",
        kind=Kind.DELETED,
        status=status,
        version=version,
        ask_sentinel=isinstance(current, Absent),
    )


@pytest.mark.parametrize("current", [Absent(), Deleted(version="6")])
def test_what_nobody_remembers_and_the_server_does_not_hold_leaves_nothing(current: Current) -> None:
    """RULES D2: the intent goes, and no record comes of it."""
    assert decided(record=None, intent=INTENT, current=current) == Leave(reason="gone, and nothing of ours is on the server")


@pytest.mark.parametrize("status", ["entered-in-error", "inactive", "cancelled"])
def test_another_writers_word_stands(status: str) -> None:
    """RULES C4: withdrawn by somebody else already, and remembered as theirs; with an intent only, not at all."""
    theirs = found("9", status=status)
    reason = "gone, and another writer withdrew it already"
    assert decided(current=theirs) == Tombstone(reason=reason, kind=Kind.THEIRS, status=status, version="9")
    assert decided(record=None, intent=INTENT, current=theirs) == Leave(reason=reason)


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({"record": buried(Kind.WITHDRAWN, status="entered-in-error"), "read_fhir": True}, "entered-in-error"),
        ({"intent": replace(INTENT, owned={**INTENT.owned, "status": "entered-in-error"})}, "entered-in-error"),
        ({"record": None, "read_fhir": True}, "entered-in-error"),
    ],
    ids=["B7: by rejection", "C5: by a write whose reply was lost", "E7: by a lost ledger's tag"],
)
def test_our_own_word_for_another_reason_stays(known: dict[str, Any], said: str) -> None:
    """MAPPING F.3: a retracted status stays; it is no other writer's."""
    action = decided(current=found("5", status=said, numberOfSeries=1), **known)
    assert isinstance(action, Withdraw)
    assert action.remains.goal.status == said


def test_a_status_that_was_theirs_is_not_ours_to_change() -> None:
    """RULES C4: also at a later look."""
    record = buried(Kind.THEIRS)
    action = decided(record=record, current=found("9", status="cancelled"), read_fhir=True)
    assert isinstance(action, Tombstone) and action.kind is Kind.THEIRS


def test_in_dstu2_unavailable_is_another_writers_withdrawal() -> None:
    """RULES C4, MAPPING M."""
    asked = replace(ASKED, fhir_version="dstu2")
    current = Found(resource={**DSTU2, "availability": "UNAVAILABLE"}, version="9", last_updated="")
    action = decided(asked, current=current)
    assert isinstance(action, Tombstone) and (action.kind, action.status) == (Kind.THEIRS, "cancelled")


@pytest.mark.parametrize(
    ("asked", "status", "reason"),
    [
        (ASKED, "cancelled", "gone"),
        (replace(ASKED, how="entered-in-error", word="entered-in-error"), "entered-in-error", "gone"),
        (replace(ASKED, word="inactive"), "inactive", "gone"),
        (replace(DESELECTED, listed=False), "cancelled", "deselected"),
    ],
    ids=["as most sites want it", "entered-in-error", "R6's word", "deselected, which needs no list"],
)
def test_what_is_shown_is_withdrawn_under_the_version_that_was_found(asked: Asked, status: str, reason: str) -> None:
    """RULES D2, MAPPING F.3: our part is cut down; what others wrote stays (C3)."""
    action = decided(asked, current=found("7", note=NOTE, numberOfSeries=2), record=replace(RECORD, owned={}))
    assert isinstance(action, Withdraw)
    assert (action.reason, action.remains.found.version) == (reason, "7")
    expected = {**remaining(RESOURCE, status, RESOURCE["identifier"]).resource, "note": NOTE}
    assert action.remains.resource == expected
    assert action.remains.foreign == {"note": NOTE}


def test_what_the_server_says_already_is_not_sent() -> None:
    """RULES B3, D2: remembered with the version that was found."""
    action = decided(record=buried(Kind.WITHDRAWN), current=CANCELLED, read_fhir=True)
    assert isinstance(action, Tombstone)
    assert (action.reason, action.kind) == ("gone, and the server says so already", Kind.WITHDRAWN)
    assert (action.status, action.version, action.lost_reply) == ("cancelled", "5", None)
    assert action.remains is not None and action.remains.goal.digest == SENT.digest


@pytest.mark.parametrize(("digest", "lost"), [(SENT.digest, True), ("another", False)])
def test_a_lost_reply_is_recognised(digest: str, lost: bool) -> None:
    """RULES C5, B8: what is said there is our own write only if that is what was intended."""
    intent = replace(INTENT, digest=digest, owned={**INTENT.owned, "status": "cancelled"})
    action = decided(intent=intent, current=CANCELLED)
    assert isinstance(action, Tombstone)
    assert action.lost_reply == (intent if lost else None)


@pytest.mark.parametrize(
    ("record", "adopted", "current", "expected", "reason"),
    [
        (RECORD, False, found(), Delete, "gone"),
        (RECORD, True, found(), Withdraw, "gone; withdrawn, not deleted: it was not ours at first"),
        (replace(RECORD, status="cancelled"), False, CANCELLED, Delete, "gone"),
        (replace(RECORD, status="cancelled"), True, CANCELLED, Tombstone, "gone, and the server says so already"),
        (buried(Kind.WITHDRAWN), False, CANCELLED, Tombstone, "gone, and the server says so already"),
    ],
    ids=[
        "D2: ours",
        "C2: another writer's at first",
        "D2: said already, not deleted yet",
        "C2: said already, and another writer's at first",
        "D2: the server refused to delete it",
    ],
)
def test_only_what_was_ours_from_the_beginning_is_deleted(
    record: StudyRecord, adopted: bool, current: Found, expected: type, reason: str
) -> None:
    """RULES D2, C2."""
    asked = replace(DELETING, adopted=lambda kept_id: adopted)
    action = decided(asked, record=record, current=current, read_fhir=True)
    assert (type(action), getattr(action, "reason", "")) == (expected, reason)
    if isinstance(action, Delete):
        assert action.said is (current is CANCELLED)


def test_what_may_not_be_sent_is_parked() -> None:
    """RULES B1: with its first faults; it has no digest, for nothing was refused."""
    asked = replace(ASKED, faults=lambda resource: ("a: required", "b: empty", "c: range", "d: pattern"))
    assert decided(asked, current=found()) == Park(reason="unmappable", detail="a: required; b: empty; c: range")


@pytest.mark.parametrize(
    ("parked", "sends"),
    [
        (REFUSED, False),
        (replace(REFUSED, target_version="4"), False),
        (replace(REFUSED, target_version="3"), True),
        (replace(REFUSED, digest="another"), True),
    ],
    ids=["refused", "refused for this version", "the version moved", "another digest"],
)
def test_what_was_refused_is_not_sent_again(parked: ParkedStudy, sends: bool) -> None:
    """RULES E2: what the server had answered stays known."""
    action = decided(parked=parked, current=found())
    if sends:
        assert isinstance(action, Withdraw)
    else:
        assert action == Park(
            reason="refused",
            detail="no",
            target_version=parked.target_version,
            digest=SENT.digest,
            outcome={"issue": []},
        )


def test_nothing_is_gone_before_the_archive_was_listed() -> None:
    """RULES A1: it waits; what is no retraction does not."""
    asked = replace(ASKED, listed=False)
    assert decided(asked, current=found()) == Wait(reason="gone, but the archive is being listed for the first time")
    assert isinstance(decided(asked, record=buried(Kind.WITHDRAWN), current=CANCELLED, read_fhir=True), Tombstone)


@pytest.mark.parametrize(
    ("seen", "remembers", "expected"),
    [
        ([found(meta={})], True, found(meta={})),
        ([Deleted(version="6")], True, Deleted(version="6")),
        ([Absent()], True, Absent()),
        ([found(meta={})], False, Absent()),
        ([found(meta={"tag": [{"system": "urn:syncd:installation", "code": "siteb"}]})], False, Absent()),
        ([found(meta={}), Deleted(version="6"), found(meta=TAG)], False, found(meta=TAG)),
        ([], False, Absent()),
    ],
    ids=[
        "remembered",
        "remembered, deleted",
        "remembered, absent",
        "another writer's",
        "another installation's",
        "ours by its tag",
        "none",
    ],
)
def test_without_a_record_only_our_tag_says_what_is_ours(seen: list[Current], remembers: bool, expected: Current) -> None:
    """RULES D2, E7: nothing that the ledger does not own is retracted."""
    assert ours_among(seen, remembers=remembers, installation_id="syncd") == expected


@pytest.mark.parametrize(
    ("status", "record", "pays"),
    [
        ("cancelled", RECORD, True),
        ("inactive", None, True),
        ("available", RECORD, False),
        ("entered-in-error", buried(Kind.WITHDRAWN), False),
    ],
)
def test_only_what_shows_less_than_before_asks_the_brake(status: str, record: StudyRecord | None, pays: bool) -> None:
    """RULES D3: what is withdrawn already, and only said again, is paid for."""
    assert takes_back(status, record) is pays
