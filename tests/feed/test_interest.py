"""Which changes make which marks: RULES A2, A5."""

from __future__ import annotations

import pytest

from syncd.feed.interest import to_marks, wanted_ids
from syncd.model.change import Change
from syncd.model.ids import ArchiveName, OrthancId
from syncd.model.study.raw import StudyListing
from syncd.model.work import MarkKind

MAIN = ArchiveName("main")
STUDY = OrthancId("5" * 8)


def change(change_type: str, resource_type: str, *, resource_id: str = STUDY) -> Change:
    return Change(seq=1, change_type=change_type, resource_type=resource_type, resource_id=resource_id)


def listing(*, stable: bool, orthanc_id: OrthancId = STUDY, uid: str = "1.2.3") -> StudyListing:
    return StudyListing(orthanc_id=orthanc_id, study_uid=uid, is_stable=stable, last_update="")


@pytest.mark.parametrize(
    ("change_type", "resource_type", "matters"),
    [
        ("NewInstance", "Instance", True),
        ("NewSeries", "Series", True),
        ("NewStudy", "Study", True),
        ("StableStudy", "Study", True),
        ("UpdatedMetadata", "Instance", True),
        ("UpdatedMetadata", "Series", True),
        ("UpdatedMetadata", "Study", True),
        ("UpdatedAttachment", "Instance", True),
        ("UpdatedAttachment", "Study", True),
        ("UpdatedAttachment", "Series", False),  # the DICOMweb plugin's cache, a second after StableSeries (1.12.7)
        ("UpdatedMetadata", "Patient", False),
        ("StableSeries", "Series", False),
        ("CompletedSeries", "Series", False),
        ("StablePatient", "Patient", False),
        ("NewPatient", "Patient", False),
        ("NewKindOfChange", "Study", False),
    ],
)
def test_only_what_may_change_a_study_is_resolved(change_type: str, resource_type: str, matters: bool) -> None:
    """RULES A2: unknown types only move the cursor."""
    assert wanted_ids([change(change_type, resource_type)]) == (frozenset({STUDY}) if matters else frozenset())


@pytest.mark.parametrize(
    ("types", "stable_now", "kind"),
    [
        pytest.param(["NewInstance"], False, MarkKind.EVENT, id="still arriving"),
        pytest.param(["NewInstance", "StableStudy"], True, MarkKind.STABLE, id="stable, and still so"),
        pytest.param(["StableStudy", "NewInstance"], False, MarkKind.EVENT, id="newer instances followed"),
        pytest.param(["UpdatedMetadata"], True, MarkKind.EVENT, id="stable all the time: no haste"),
    ],
)
def test_a_study_is_due_now_when_it_became_stable_and_still_is(types: list[str], stable_now: bool, kind: MarkKind) -> None:
    """RULES A5: a StableStudy event makes the study due now."""
    levels = {"NewInstance": "Instance", "StableStudy": "Study", "UpdatedMetadata": "Study"}
    fresh = [change(each, levels[each]) for each in types]
    (mark,) = to_marks(fresh, archive=MAIN, studies=[listing(stable=stable_now)])
    assert (mark.kind, mark.study_uid, mark.orthanc_id, mark.archive) == (kind, "1.2.3", STUDY, MAIN)


def test_a_burst_makes_one_mark_and_each_copy_its_own() -> None:
    """docs/cases.md: several studies in one page, StableStudy three times in a burst; RULES C8: two patients, one UID."""
    other = OrthancId("6" * 8)
    fresh = [change("StableStudy", "Study")] * 3 + [change("NewInstance", "Instance", resource_id="i")]
    marks = to_marks(fresh, archive=MAIN, studies=[listing(stable=True), listing(stable=True, orthanc_id=other)])
    assert [(mark.orthanc_id, mark.kind) for mark in marks] == [(STUDY, MarkKind.STABLE), (other, MarkKind.EVENT)]


def test_a_study_that_is_gone_or_has_no_uid_makes_no_mark() -> None:
    """docs/cases.md: deleted between the change and the read."""
    fresh = [change("NewStudy", "Study")]
    assert to_marks(fresh, archive=MAIN, studies=[]) == ()
    assert to_marks(fresh, archive=MAIN, studies=[listing(stable=True, uid="")]) == ()
