"""What the mapping could not say, and what it did instead: never silently lost, never with a value (RULES S1)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from syncd.mapping.notes.notes import notes
from syncd.mapping.policy import MappingPolicy
from syncd.model.ids import StudyInstanceUID
from syncd.model.snapshot import Code, IssuedId, Issuer, Moment, PatientFacts, Person, PersonName
from tests.mapping.studies import POLICY, archive, instance, series, study

SILENT = archive(patient_id_system="urn:oid:2.25.9", accession_system="urn:oid:2.25.8")
UNMAPPED = Issuer(local="HOSP-C")

ODD: list[tuple[dict[str, Any], MappingPolicy, tuple[str, str, str]]] = [
    ({}, POLICY, ("0010,0020", "B", "identifier without a system: no issuer and no system configured")),
    (
        {"patient": PatientFacts(ids=(IssuedId(value="1", issuer=UNMAPPED),))},
        SILENT,
        ("0010,0020", "B", "identifier without a system: issuer not mapped"),
    ),
    ({"patient": PatientFacts()}, SILENT, ("0010,0020", "I-11", "unidentified")),
    ({"accessions": (IssuedId(value="A", issuer=UNMAPPED),)}, SILENT, ("0008,0050", "B", "issuer not mapped")),
    ({"placer_orders": (IssuedId(value="P"),)}, SILENT, ("0040,2016", "B", "no issuer")),
    ({"filler_orders": (IssuedId(value="F"),)}, SILENT, ("0040,2017", "B", "no issuer")),
    ({"admission": IssuedId(value="V")}, SILENT, ("0038,0010", "B", "encounter left out")),
    ({"study_id": "S"}, SILENT, ("0020,0010", "B", "StudyID left out")),
    ({"study_uid": StudyInstanceUID("odd_uid")}, SILENT, ("0020,000d", "RULES C1", "not a UID")),
    ({"started": Moment(date="2026-03-29", time="02:30:00")}, SILENT, ("0008,0020", "C.1-7", "skipped")),
    (
        {"started": Moment(date="2026-03-29", time="12:00:00")},
        archive(timezone="", patient_id_system="urn:oid:2.25.9"),
        ("0008,0020", "C.1-7", "date only"),
    ),
    ({"series": (series(started=Moment(date="2026-03-29", time="02:30:00")),)}, SILENT, ("0008,0021", "C.1-7", "skipped")),
    ({"referrer": Person(name=PersonName())}, SILENT, ("0008,0090", "C.2", "person left out")),
    ({"interpreters": (Person(name=PersonName()),)}, SILENT, ("0008,1060", "C.2", "person left out")),
    ({"series": (series(operators=(Person(name=PersonName()),)),)}, SILENT, ("0008,1070", "C.2", "person left out")),
    (
        {"series": (series(performing_physicians=(Person(name=PersonName()),)),)},
        SILENT,
        ("0008,1050", "C.2", "person left out"),
    ),
    ({"series": (series(modality=""),)}, SILENT, ("0008,0060", "C.7", "modality unknown")),
    ({"series": (series(modality="DSA"),)}, SILENT, ("0008,0060", "C.7", "not a DICOM modality")),
    (
        {"series": (series(instances=(instance(modality="RTSTRUCT"),)),)},
        SILENT,
        ("0008,0060", "C.7", "SOP class of another modality"),
    ),
    ({"series": (series(body_part="WEIRD"),)}, SILENT, ("0018,0015", "C.6", "shown as text")),
    (
        {"series": (series(anatomic_region=Code(value="1", scheme="L", meaning="odd")),)},
        SILENT,
        ("0008,2218", "C.6", "shown as text"),
    ),
    (
        {"series": (series(body_part="FOOT", regions_denied=(Code(value="85562004", scheme="SCT", meaning="Hand"),)),)},
        SILENT,
        ("0018,0015", "C.6", "an image names another region"),
    ),
    ({"series": (series(instances=(instance(sop_class=""),)),)}, SILENT, ("0008,0016", "I-27", "data-absent-reason")),
    ({"series": (series(), series(uid="a_b", instances=()))}, SILENT, ("0020,000e", "A.2", "unencodable: series")),
    (
        {"series": (series(instances=(instance(), instance(uid="a_b"))),)},
        SILENT,
        ("0008,0018", "A.2", "unencodable: instance"),
    ),
    ({}, replace(SILENT, max_instances=0), ("", "F.6", "summary form")),
]


@pytest.mark.parametrize(("facts", "policy", "expected"), ODD)
def test_each_oddity_leaves_one_note(facts: dict[str, Any], policy: MappingPolicy, expected: tuple[str, str, str]) -> None:
    """docs/cases.md "Values": never a silently lost instance, always a note."""
    (note,) = notes(study(**facts), policy=policy)
    tag, rule, done = expected
    assert (note.tag, note.rule) == (tag, rule)
    assert done in note.done


def test_a_plain_study_leaves_none() -> None:
    """RULES S1: notes are for what was odd."""
    assert notes(study(), policy=SILENT) == ()


def test_equal_notes_are_counted() -> None:
    """MAPPING A.2: ten thousand odd instances are one line."""
    images = (instance(), *(instance(uid=f"a_{place}") for place in range(3)))
    (note,) = notes(study(series=(series(instances=images),)), policy=SILENT)
    assert note.done == "unencodable: instance left out and not counted (3 times)"


def test_a_left_out_series_counts_its_instances_too() -> None:
    """MAPPING G: left out and counted add up to what the archive says."""
    lost = series(uid="a_b", instances=(instance(), instance(uid="2.25.102")))
    found = notes(study(series=(series(), lost)), policy=SILENT)
    assert [note.done for note in found] == [
        "unencodable: series left out",
        "unencodable: instance left out and not counted (2 times)",
    ]


def test_notes_carry_no_values() -> None:
    """RULES S1."""
    secret = "DOE-1970"
    odd = study(
        patient=PatientFacts(ids=(IssuedId(value=secret, issuer=Issuer(local=secret)),)),
        accessions=(IssuedId(value=secret),),
        study_id=secret,
        admission=IssuedId(value=secret),
        series=(series(modality=secret, body_part=secret, instances=(instance(sop_class=secret),)),),
    )
    found = notes(odd, policy=POLICY)
    assert len(found) == 7
    assert secret not in repr(found)
