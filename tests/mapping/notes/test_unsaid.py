"""What a FHIR version has no element for is noted, once per occurrence, with a rule of its own (MAPPING A.1 to A.4, M)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from syncd.mapping.dialects.registry import VERSIONS
from syncd.mapping.notes.notes import notes
from syncd.model.ids import StudyInstanceUID
from syncd.model.snapshot import Code, IssuedId, Issuer, Moment
from syncd.model.words import NOTE_RULES
from tests.mapping.studies import archive, instance, person, series, study

ISO = Issuer(universal_id="2.25.77", universal_type="ISO")
POLICY = archive(patient_id_system="urn:oid:2.25.9", accession_system="urn:oid:2.25.8")
TEN = Moment(date="2026-03-01", time="10:00:00", offset="+01:00")

LEFT_OUT: list[tuple[str, dict[str, Any], dict[str, tuple[str, str]]]] = [
    (
        "case 44",
        {"started": TEN, "series": (series(started=replace(TEN, time="09:58:00")),)},
        {"r6": ("A.4 ist-8", "series start left out: it contradicts the study's")},
    ),
    (
        "case 45, date of the series only",
        {"started": TEN, "series": (series(started=Moment(date="2026-03-01")),)},
        {"r6": ("A.4 ist-8", "series start left out: it contradicts the study's")},
    ),
    (
        "case 45, date of the study only",
        {"started": Moment(date="2026-03-01"), "series": (series(started=TEN),)},
        {"r6": ("A.4 ist-8", "series start cut to its date: it contradicts the study's")},
    ),
    (
        "interpreters",
        {"interpreters": (person("Lang"), person("Lee"))},
        {
            "r5": ("A.1 R5", "interpreter left out: no element from R5 on"),
            "r6": ("A.1 R5", "interpreter left out: no element from R5 on"),
            "dstu2": ("M", "interpreters but the first left out: DSTU2 cannot say it"),
        },
    ),
    (
        "procedures",
        {"procedure_codes": (Code(value="24627-2", scheme="LN", meaning="CT"),)},
        {
            "r6": ("A.1 R6", "procedure left out: R6 has it in a Procedure only"),
            "dstu2": ("M", "procedures left out: DSTU2 cannot say it"),
        },
    ),
    (
        "case 46, a side without a body site",
        {"series": (series(laterality="L"),)},
        {"r6": ("A.2 R6", "side left out: no body site to say it with")},
    ),
    ("case 46, a side in words", {"series": (series(laterality="L", body_part="CHEST"),)}, {}),
    (
        "case 28, the SOP class",
        {"series": (series(instances=(instance(sop_class="1.2.003.4"),)),)},
        {
            "r6": ("I-28", "SOP class is no OID: said as data-absent-reason"),
            "dstu2": ("I-28", "SOP class is no OID: said as data-absent-reason"),
        },
    ),
    ("reasons", {"reason_texts": ("cough",)}, {"dstu2": ("M", "reasons left out: DSTU2 cannot say it")}),
    ("location", {"location_text": "Ward"}, {"dstu2": ("M", "location left out: DSTU2 cannot say it")}),
    (
        "encounter",
        {"admission": IssuedId(value="V1", issuer=ISO)},
        {"dstu2": ("M", "encounter left out: DSTU2 cannot say it")},
    ),
    (
        "orders",
        {"placer_orders": (IssuedId(value="P1", issuer=ISO),)},
        {"dstu2": ("M", "placer and filler orders left out: DSTU2 cannot say it")},
    ),
    (
        "the referrer's identifier",
        {"referrer": person("Ruiz", identifiers=(Code(value="7", scheme="99X", scheme_uid="2.25.70"),))},
        {"dstu2": ("M", "identifier of the referrer left out: DSTU2 cannot say it")},
    ),
    (
        "performers",
        {"series": (series(operators=(person("Oh"),)),)},
        {"dstu2": ("M", "performers left out: DSTU2 cannot say it")},
    ),
    (
        "case 20, modalities that acquire no image",
        {"series": (series(), series(uid="2.25.12", modality="KO"))},
        {"dstu2": ("M", "modalities that acquire no image left out: DSTU2 cannot say it")},
    ),
    (
        "case 28, the study's UID",
        {"study_uid": StudyInstanceUID("1.2.003.4")},
        {"dstu2": ("M", "UID is no OID: said as data-absent-reason, and as an identifier")},
    ),
    (
        "case 28, a series' UID",
        {"series": (series(uid="1.2.003.5"),)},
        {"dstu2": ("M", "UID is no OID: said as data-absent-reason")},
    ),
    (
        "case 28, an instance's UID",
        {"series": (series(instances=(instance(uid="1.2.003.6"),)),)},
        {"dstu2": ("M", "UID is no OID: said as data-absent-reason")},
    ),
    (
        "several accession numbers",
        {"accessions": (IssuedId(value="A1", issuer=ISO), IssuedId(value="A2", issuer=ISO))},
        {"dstu2": ("M", "further accession number in words only: DSTU2 has one")},
    ),
    ("nothing", {}, {}),
]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("what", "facts", "expected"), LEFT_OUT, ids=[one[0] for one in LEFT_OUT])
def test_what_a_version_leaves_out_is_noted(
    what: str, facts: dict[str, Any], expected: dict[str, tuple[str, str]], version: str
) -> None:
    """MAPPING A.4 ist-8, M, I cases 20, 28, 44, 45 and 46: in the versions that leave it out, and in no other."""
    found = notes(study(**facts), policy=POLICY, fhir_version=version)
    assert [(one.rule, one.done) for one in found] == ([expected[version]] if version in expected else []), what
    assert {one.rule for one in found} <= set(NOTE_RULES)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_modality_that_r6_may_not_name_with_the_study_is_noted(version: str) -> None:
    """MAPPING A.4 ist-7: the note of the SOP class is the same in each version."""
    mixed = series(modality="PT", instances=(instance(), instance(uid="2.25.9", modality="CT")))
    found = [(one.rule, one.done) for one in notes(study(series=(mixed,)), policy=POLICY, fhir_version=version)]
    assert found[0] == ("C.7", "SOP class of another modality than its series'")
    left_out = ("A.4 ist-7", "modality of an SOP class left out: R6 names the series' own only")
    assert found[1:] == ([left_out] if version == "r6" else [])
    assert {rule for rule, _ in found[1:]} <= set(NOTE_RULES)
