"""MAPPING D: titles of key objects, which of them reject, and what they name."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom.sr.codedict import codes

from syncd.model.snapshot import InstanceReference, KeyObject, StudySnapshot
from syncd.model.study.raw import Tags
from syncd.model.study.rejection import REJECTING_TITLES
from syncd.snapshot.build import build
from syncd.snapshot.instances.key_objects import rejection_notes
from tests.snapshot.studies import KO, SR, coded, image, naming, series, study

EVIDENCE = naming(("1.2.3", "1.2.3.1", "1.2.8"))
NAMED = InstanceReference(study_uid="1.2.3", series_uid="1.2.3.1", instance_uid="1.2.8")


def holding(title: list[dict[str, str]] | None, *, sop_class: str = KO, **tags: Any) -> StudySnapshot:
    """A study of one CT image and one document with this title, and this evidence (of the image unless told)."""
    document: Tags = {"0008,0016": sop_class, "0008,0018": "1.2.9", "0040,a043": title, "0040,a375": EVIDENCE}
    document |= {name.removeprefix("t").replace("_", ","): value for name, value in tags.items()}
    return build(
        study(
            series(),
            series("1.2.3.2", key="s2", modality="KO"),
            instances=[image("1.2.8"), image("1.2.9", sop_class=sop_class, series="s2")],
            documents={"i-1.2.9": document},
        )
    )


def of(snapshot: StudySnapshot) -> KeyObject:
    (found,) = snapshot.key_objects
    return found


def noted(snapshot: StudySnapshot) -> set[tuple[str, str, str]]:
    return {(note.tag, note.rule, note.done) for note in snapshot.notes}


@pytest.mark.parametrize("title", sorted(REJECTING_TITLES))
def test_four_titles_reject(title: str) -> None:
    """MAPPING D.2."""
    (found,) = rejection_notes(holding([coded(title)]))
    assert (found.instance_uid, found.title.value, found.references) == ("1.2.9", title, (NAMED,))


def test_the_rejecting_titles_are_those_of_the_standard() -> None:
    """MAPPING D.1, D.2: CID 7010, told by its meaning and not by our own list of numbers."""
    meanings = [codes.cid7010.__getattr__(name) for name in codes.cid7010.dir()]
    rejects = ("Rejected for", "Incorrect Modality Worklist Entry", "Data Retention Policy Expired")
    assert {one.value for one in meanings if one.meaning.startswith(rejects)} == REJECTING_TITLES


@pytest.mark.parametrize(
    "title",
    [
        [coded("113000")],
        [coded("113030")],
        [coded("MADOTEMP001", scheme="99IHE")],
        [coded("113001", scheme="99X")],
        [coded("113000"), coded("113001")],
        [],
        None,
    ],
)
def test_other_and_unreadable_titles_reject_nothing(title: list[dict[str, str]] | None) -> None:
    """MAPPING D.2-5, case I.6 43: only the first item of (0040,A043) is the title."""
    assert rejection_notes(holding(title)) == ()


def test_a_title_of_another_document_rejects_nothing() -> None:
    """MAPPING D.1: a rejection note is a Key Object Selection."""
    assert rejection_notes(holding([coded("113001")], sop_class=SR)) == ()


def test_a_key_object_that_was_not_read_is_noted() -> None:
    """RULES A7: without its full tags nobody knows what it says."""
    raw = study(series(modality="KO"), instances=[image("1.2.9", sop_class=KO)])
    assert ("0040,a043", "A7") in {(note.tag, note.rule) for note in build(raw).notes}


def test_evidence_names_instances_of_several_studies_each_once() -> None:
    """MAPPING D.1, D.2-1: one document, several studies; in a fixed order."""
    evidence = naming(("1.2.4", "1.2.4.1", "1.2.4.1.1"), ("1.2.3", "1.2.3.1", "1.2.8"), ("1.2.3", "1.2.3.1", "1.2.8"))
    assert of(holding([coded("113000")], t0040_a375=evidence)).references == (
        NAMED,
        InstanceReference(study_uid="1.2.4", series_uid="1.2.4.1", instance_uid="1.2.4.1.1"),
    )


def test_one_item_may_hold_several_series_and_instances() -> None:
    """MAPPING D.1: study > series > instance."""
    sops = [{"0008,1155": "1.1"}, {"0008,1155": "1.2 "}]
    evidence = [{"0020,000d": "1.2.3", "0008,1115": [{"0020,000e": "s", "0008,1199": sops}, {"0008,1199": sops[:1]}]}]
    found = of(holding([coded("113001")], t0040_a375=evidence)).references
    assert [(one.series_uid, one.instance_uid) for one in found] == [("", "1.1"), ("s", "1.1"), ("s", "1.2")]


def test_the_same_document_in_other_studies_is_told() -> None:
    """MAPPING D.1: (0040,A525) Identical Documents; they are not evidence."""
    found = of(holding([coded("113001")], t0040_a525=naming(("1.2.4", "1.2.4.9", "1.2.4.9.1"))))
    assert found.identical == (InstanceReference(study_uid="1.2.4", series_uid="1.2.4.9", instance_uid="1.2.4.9.1"),)
    assert found.references == (NAMED,)


@pytest.mark.parametrize("evidence", [None, "", "1.2.8", [], [{}], [{"0020,000d": "1.2.3", "0008,1115": "x"}]])
def test_a_rejection_note_without_usable_evidence_rejects_nothing_and_is_noted(evidence: Any) -> None:
    """MAPPING D.2-5: treated as "of interest", with a warning."""
    snapshot = holding([coded("113037")], t0040_a375=evidence)
    assert rejection_notes(snapshot) == ()
    assert of(snapshot).title.value == "113037"
    assert ("0040,a375", "D.2-5", "rejection note that names no instance: rejects nothing") in noted(snapshot)


@pytest.mark.parametrize(
    ("study_uid", "instance_uid"), [("", "1.2.7"), ("1.2.3", ""), ("1.2.3", "1_2"), ("1.2.3", "1" * 65)]
)
def test_a_reference_without_usable_uids_is_left_out_and_its_neighbours_count(study_uid: str, instance_uid: str) -> None:
    """MAPPING D.2-5: the readable rest of a note is not lost."""
    snapshot = holding([coded("113037")], t0040_a375=[*EVIDENCE, *naming((study_uid, "1.2.3.1", instance_uid))])
    assert of(snapshot).references == (NAMED,)
    assert ("0040,a375", "D.2-5", "references without usable UIDs left out (1)") in noted(snapshot)
