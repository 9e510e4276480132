"""MAPPING D.2 and RULES B7 as tables: which instances notes take back, and what is left then."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.model.ids import ArchiveName, StudyInstanceUID
from syncd.model.snapshot import Code, InstanceFacts, InstanceReference, KeyObject, PatientFacts, SeriesFacts, StudySnapshot
from syncd.model.study.rejection import REJECTING_TITLES, Rejection
from syncd.snapshot.instances.rejection import Left, rejections_in, without_rejected

A, B, C = "1.1", "1.2", "1.3"
SAM, ANN = "pat-sam", "pat-ann"
IMAGES = ("1", "2", "3", "4", "5")
QUALITY, SAFETY, WORKLIST, EXPIRED = sorted(REJECTING_TITLES)


def holding(
    images: Iterable[str] = IMAGES, *, notes: Iterable[str] = ("k",), documents: Iterable[str] = ()
) -> StudySnapshot:
    """Study A with a CT series of `images`, a KO series of `notes` and an SR series of `documents`."""
    series = [("s1", "CT", images), ("s9", "KO", notes), ("s5", "SR", documents)]
    return StudySnapshot(
        archive=ArchiveName("main"),
        study_uid=StudyInstanceUID(A),
        patient=PatientFacts(),
        series=tuple(
            SeriesFacts(
                uid=uid, modality=modality, instances=tuple(InstanceFacts(uid=one, sop_class="1.2") for one in instances)
            )
            for uid, modality, instances in series
            if instances
        ),
    )


def note(
    title: str, instances: Sequence[str], *, uid: str = "k", source: str = A, target: str = A, patient: str = SAM
) -> Rejection:
    return Rejection(
        note_uid=uid, source_uid=source, target_uid=target, title=title, patient=patient, instances=tuple(instances)
    )


def left(snapshot: StudySnapshot, *notes: Rejection, quality: str = "hide") -> Left:
    return without_rejected(snapshot, notes, patient=SAM, quality=quality)


def shown(of: Left) -> list[str]:
    return [instance.uid for series in of.snapshot.series for instance in series.instances]


@pytest.mark.parametrize("title", [QUALITY, SAFETY, WORKLIST])
def test_named_instances_go_and_the_note_stays(title: str) -> None:
    """Case I.6 37: series 5 → 3, the KO series is shown, 4 in all."""
    found = left(holding(), note(title, ["1", "2"]))
    assert (shown(found), found.rejected, found.nothing) == (["3", "4", "5", "k"], 2, False)
    assert [series.modality for series in found.snapshot.series] == ["CT", "KO"]
    assert found.snapshot.number_of_instances == 4


def test_an_expired_retention_hides_its_note_too() -> None:
    """Case I.6 40, MAPPING D.2: 113039."""
    assert shown(left(holding(), note(EXPIRED, ["1", "2"]))) == ["3", "4", "5"]
    assert shown(left(holding(), note(EXPIRED, ["9"], target=B))) == list(IMAGES)


def test_poor_quality_may_be_kept() -> None:
    """Case I.6 37: `rejected_quality: keep` shows all 6; the other titles reject as ever."""
    assert len(shown(left(holding(), note(QUALITY, ["1", "2"]), quality="keep"))) == 6
    assert len(shown(left(holding(), note(SAFETY, ["1", "2"]), quality="keep"))) == 4
    assert not left(holding(), note(QUALITY, IMAGES), quality="keep").nothing


def test_what_is_not_rejected_is_returned_as_it_is() -> None:
    """No note, no difference, no note of ours."""
    snapshot = holding(notes=())
    assert left(snapshot) == Left(snapshot=snapshot)
    assert left(snapshot, note(SAFETY, ["another"], source=B)) == Left(snapshot=snapshot)


def test_it_is_said_how_many_were_left_out() -> None:
    """A tag, a rule and a number, never a UID."""
    (said,) = left(holding(), note(SAFETY, ["1", "2"])).snapshot.notes
    assert (said.tag, said.rule, said.done) == ("0040,a375", "D.2", "instances left out: rejected (2)")


@pytest.mark.parametrize(
    ("notes", "in_error"),
    [
        ([note(SAFETY, IMAGES)], True),
        ([note(WORKLIST, IMAGES)], True),
        ([note(SAFETY, IMAGES[:2]), note(WORKLIST, IMAGES[2:], uid="k2")], True),
        ([note(SAFETY, IMAGES), note(QUALITY, IMAGES, uid="k2")], True),
        ([note(QUALITY, IMAGES)], False),
        ([note(EXPIRED, IMAGES)], False),
        ([note(SAFETY, IMAGES[:4]), note(QUALITY, IMAGES[4:], uid="k2")], False),
    ],
)
def test_nothing_left_is_an_error_only_if_everything_was(notes: list[Rejection], in_error: bool) -> None:
    """RULES B7, MAPPING D.2, case I.6 38: the KO series does not keep the study alive."""
    found = left(holding(notes=[one.note_uid for one in notes]), *notes)
    assert (found.nothing, found.in_error, found.snapshot.series) == (True, in_error, ())


@pytest.mark.parametrize(("title", "in_error"), [(SAFETY, True), (EXPIRED, False), (QUALITY, False)])
def test_a_note_whose_images_are_gone_says_the_same_as_before(title: str, in_error: bool) -> None:
    """Case I.6 40: the archive carries the note out, images first; identical result."""
    found = left(holding(images=()), note(title, IMAGES))
    assert (found.nothing, found.in_error) == (True, in_error)


def test_a_study_of_notes_about_others_is_nothing_and_no_error() -> None:
    """MAPPING D.2-8: nothing but rejection notes was ever stored."""
    found = left(holding(images=()), note(SAFETY, ["9"], target=B))
    assert (found.nothing, found.in_error) == (True, False)


def test_a_document_that_nobody_rejects_keeps_the_study() -> None:
    """MAPPING D.2-8, F.3: one listed instance is enough."""
    found = left(holding(documents=["r"]), note(SAFETY, IMAGES))
    assert (found.nothing, shown(found)) == (False, ["k", "r"])


@pytest.mark.parametrize(("patient", "count"), [(SAM, 4), (ANN, 6)])
def test_another_studys_note_counts_under_the_same_patient_only(patient: str, count: int) -> None:
    """RULES B7."""
    assert len(shown(left(holding(), note(SAFETY, ["1", "2"], uid="x", source=B, patient=patient)))) == count


def test_its_own_note_counts_whatever_the_patient_was_called_then() -> None:
    """RULES B7: a note remembered from before PatientID was corrected is still this study's."""
    assert len(shown(left(holding(), note(SAFETY, ["1"], patient=ANN)))) == 5


def test_a_note_that_is_rejected_rejects_nothing_and_is_hidden() -> None:
    """MAPPING D.2-4: a KO referenced from another KO's rejecting title."""
    first, second = note(SAFETY, ["1", "2"]), note(QUALITY, ["k"], uid="k2")
    found = left(holding(notes=("k", "k2")), first, second)
    assert (shown(found), found.rejected) == ([*IMAGES, "k2"], 1)
    assert shown(left(holding(notes=("k", "k2")), first, second, quality="keep")) == ["3", "4", "5", "k", "k2"]


def test_one_level_only() -> None:
    """MAPPING D.2-4: being named is enough; whether the one who names is named itself is not asked."""
    chain = [note(SAFETY, ["1"]), note(SAFETY, ["k"], uid="k2"), note(SAFETY, ["k2"], uid="k3")]
    assert shown(left(holding(notes=("k", "k2", "k3")), *chain)) == [*IMAGES, "k3"]
    circle = [note(SAFETY, ["1", "k2"]), note(SAFETY, ["2", "k"], uid="k2")]
    assert shown(left(holding(notes=("k", "k2")), *circle)) == list(IMAGES)


def test_a_note_that_names_itself_still_counts() -> None:
    """MAPPING D.2-4: no note can revoke itself; named, it is hidden like what it names."""
    assert shown(left(holding(), note(SAFETY, ["1", "k"]))) == ["2", "3", "4", "5"]


@pytest.mark.parametrize(("patient", "count"), [(SAM, 6), (ANN, 5)])
def test_a_third_study_may_reject_the_note_of_another(patient: str, count: int) -> None:
    """RULES B7, MAPPING D.2-4: under the same patient only."""
    of_b = note(SAFETY, ["1"], uid="x", source=B)
    of_c = note(SAFETY, ["x"], uid="y", source=C, target=B, patient=patient)
    assert len(shown(left(holding(), of_b, of_c))) == count


def test_notes_are_told_by_study_with_each_instance_once() -> None:
    """MAPPING D.2-1: one value per note and study that it names."""
    references = [
        InstanceReference(study_uid=study, series_uid=series, instance_uid=uid)
        for study, series, uid in [(B, "s", "9"), (A, "s", "2"), (A, "s", "1"), (A, "t", "1")]
    ]
    found = KeyObject(instance_uid="k", title=Code(value=SAFETY, scheme="DCM"), references=tuple(references))
    interest = KeyObject(instance_uid="i", title=Code(value="113000", scheme="DCM"), references=tuple(references))
    snapshot = StudySnapshot(
        archive=ArchiveName("main"), study_uid=StudyInstanceUID(A), patient=PatientFacts(), key_objects=(found, interest)
    )
    assert rejections_in(snapshot, patient=SAM) == (note(SAFETY, ["1", "2"]), note(SAFETY, ["9"], target=B))


NOTES = st.builds(
    note,
    st.sampled_from(sorted(REJECTING_TITLES)),
    st.lists(st.sampled_from([*IMAGES, "k", "k2", "x"]), min_size=1, max_size=4),
    uid=st.sampled_from(["k", "k2", "x"]),
    source=st.sampled_from([A, B]),
    target=st.sampled_from([A, B]),
    patient=st.sampled_from([SAM, ANN]),
)


@given(st.lists(NOTES, max_size=4), st.sampled_from(["hide", "keep"]))
def test_the_order_of_notes_does_not_matter(notes: list[Rejection], quality: str) -> None:
    """MAPPING D.2-2: nothing depends on what was stored first."""
    results = {repr(left(holding(notes=("k", "k2")), *order, quality=quality)) for order in permutations(notes)}
    assert len(results) == 1


@given(st.lists(NOTES, max_size=4), st.sampled_from(["hide", "keep"]))
def test_what_is_left_is_part_of_the_study_and_counted(notes: list[Rejection], quality: str) -> None:
    """MAPPING D.2-3, R6 ist-3 to ist-7: no empty series, nothing invented, and nothing left means no series."""
    whole = holding(notes=("k", "k2"))
    found = left(whole, *notes, quality=quality)
    before = {one.uid: one for series in whole.series for one in series.instances}
    assert all(series.instances for series in found.snapshot.series)
    assert set(shown(found)) <= before.keys()
    assert found.nothing == (not found.snapshot.series)
    if not found.nothing:
        assert found.rejected == len(before) - len(shown(found))
