"""MAPPING's options: each default is the output as it was, and each other value says what MAPPING says of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from syncd.mapping.check.check import problems
from syncd.mapping.dialects.registry import VERSIONS
from syncd.mapping.notes.notes import notes
from syncd.mapping.resources.patient import patient
from syncd.mapping.values.identity import patient_key
from syncd.model.snapshot import Code, IssuedId, KeyObject, PatientFacts
from tests.mapping.studies import KEY_OBJECTS, POLICY, archive, golden_study, instance, mapped, series, study, with_series

DCM = "http://dicom.nema.org/resources/ontology/DCM"
SITE = "http://hosp.example/modality"


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (None, {"r4": True, "r4b": True, "r5": False, "r6": False}),
        (True, {"r4": True, "r4b": True, "r5": True, "r6": True}),
        (False, {"r4": False, "r4b": False, "r5": False, "r6": False}),
    ],
)
def test_accession_in_identifier(wanted: bool | None, expected: dict[str, bool]) -> None:
    """MAPPING B: in basedOn always; among the identifiers by default in R4 and R4B only."""
    for version, there in expected.items():
        said = mapped(golden_study(), replace(POLICY, accession_in_identifier=wanted), dialect=version)
        assert ("A1001" in [one["value"] for one in said["identifier"]]) == there
        assert [one["identifier"]["value"] for one in said["basedOn"]] == ["A1001"]
        assert problems(said, fhir_version=version) == ()


REPLACED = [("CD", "US"), ("CF", "RF"), ("DD", "US"), ("DF", "RF"), ("DS", "XA"), ("EC", "US"), ("MA", "MR"), ("MS", "MR")]
REPLACED += [("ST", "NM"), ("VF", "RF")]
KEPT = ["AS", "CP", "CS", "DM", "FA", "FS", "LP", "OPR"]


@pytest.mark.parametrize(("retired", "replacement"), [*REPLACED, *((one, one) for one in KEPT), ("CT", "CT")])
def test_map_retired(retired: str, replacement: str) -> None:
    """MAPPING C.7: off, the retired code is said; on, its replacement, where it has one; equal ones once."""
    listed = with_series(series(modality=retired), series(uid="2.25.12", modality=replacement))
    for policy, expected in ((POLICY, retired), (replace(POLICY, map_retired=True), replacement)):
        said = mapped(listed, policy)
        assert said["series"][0]["modality"]["code"] == expected
        assert [one["code"] for one in said["modality"]] == list(dict.fromkeys([expected, replacement]))
        assert said["modality"][0]["system"] == DCM


def test_a_replaced_modality_is_an_acquisition_one() -> None:
    """MAPPING C.7: DS was retired for XA, which CID 29 holds."""
    policy = replace(POLICY, map_retired=True, modality_scope="acquisition")
    assert [one["code"] for one in mapped(with_series(series(modality="DS")), policy)["modality"]] == ["XA"]
    assert "modality" not in mapped(with_series(series(modality="DS")), replace(policy, map_retired=False))


@pytest.mark.parametrize("version", VERSIONS)
def test_site_modality_system(version: str) -> None:
    """MAPPING C.7: R4 a Coding, from R5 on with the token as text too; never under DCM, and without a system words only."""
    odd, policy = with_series(series(modality="DSA")), replace(POLICY, site_modality_system=SITE)
    coding = {"system": SITE, "code": "DSA"}
    expected: dict[str, Any] = {"coding": [coding], "text": "DSA"} if version in ("r5", "r6") else coding
    said = mapped(odd, policy, dialect=version)
    assert said["series"][0]["modality"] == expected
    assert said.get("modality") == (None if version == "dstu2" else [expected])
    assert problems(said, fhir_version=version) == ()
    assert not any(one.tag == "0008,0060" and one.rule == "C.7" for one in notes(odd, policy=policy))
    plain = mapped(odd, dialect=version)["series"][0]["modality"]
    assert plain in ({"display": "DSA"}, {"text": "DSA"})


@pytest.mark.parametrize("version", ["r4", "r4b", "r5"])
def test_sopclass_style_of_jp_core(version: str) -> None:
    """MAPPING H, JP Core: its own system and the bare UID."""
    said = mapped(study(), replace(POLICY, sopclass_style="jp"), dialect=version)
    assert said["series"][0]["instance"][0]["sopClass"] == {
        "system": "http://hl7.org/fhir/uv/imaging-service-request-ig/CodeSystem/dicom-uids",
        "code": "1.2.840.10008.5.1.4.1.1.2",
    }
    assert problems(said, fhir_version=version) == ()


@pytest.mark.parametrize(("scheme", "code"), [("DCM", "113030"), ("DCM", "113031"), ("99IHE", "MADOTEMP001")])
def test_case_43_a_manifest_is_listed_unless_the_site_does_not_want_it(scheme: str, code: str) -> None:
    """MAPPING I case 43, D.2 (`list_manifest`): no exclusion of what it names; counts are of what is listed."""
    manifest = series(uid="2.25.12", modality="KO", instances=(instance(uid="2.25.201", sop_class=KEY_OBJECTS),))
    chosen = (KeyObject(instance_uid="2.25.201", title=Code(value=code, scheme=scheme)),)
    both = replace(with_series(series(), manifest), key_objects=chosen)
    unlisted = replace(POLICY, list_manifest=False)
    for version in VERSIONS:
        shown, hidden = (mapped(both, by, dialect=version) for by in (POLICY, unlisted))
        assert (shown["numberOfSeries"], shown["numberOfInstances"]) == (2, 2)
        assert (hidden["numberOfSeries"], hidden["numberOfInstances"]) == (1, 1)
        assert problems(hidden, fhir_version=version) == ()
    assert "manifest left out and not counted" in [one.done for one in notes(both, policy=unlisted) if one.rule == "D.2"]
    of_interest = replace(both, key_objects=(replace(chosen[0], title=Code(value="113000", scheme="DCM")),))
    assert mapped(of_interest, unlisted)["numberOfSeries"] == 2


def test_a_study_of_nothing_but_a_manifest_keeps_it() -> None:
    """RULES A7: never publish zero; MAPPING D.2-8: a key object alone makes a study available."""
    alone = replace(
        with_series(series(modality="KO", instances=(instance(sop_class=KEY_OBJECTS),))),
        key_objects=(KeyObject(instance_uid="2.25.101", title=Code(value="113030", scheme="DCM")),),
    )
    unlisted = replace(POLICY, list_manifest=False)
    assert mapped(alone, unlisted) == mapped(alone)
    assert not [one for one in notes(alone, policy=unlisted) if one.rule == "D.2"]


def test_retired_other_patient_ids_need_a_system_of_the_site() -> None:
    """MAPPING B, (0010,1000): none by default, and noted; under the configured system further identifiers."""
    known = study(patient=PatientFacts(ids=(IssuedId(value="P-1"),), retired_ids=("X-1", "X-2")))
    key = patient_key(known, policy=POLICY)
    assert len(patient(known, key=key, policy=POLICY)["identifier"]) == 1
    assert [one.done for one in notes(known, policy=POLICY) if one.rule == "B (0010,1000)"] == [
        "other patient ids left out: no system configured"
    ]
    policy = archive(other_patient_ids_system="http://hosp.example/other")
    said = patient(known, key=patient_key(known, policy=policy), policy=policy)
    assert said["identifier"][1:] == [
        {"use": "secondary", "system": "http://hosp.example/other", "value": value} for value in ("X-1", "X-2")
    ]
    assert problems(said) == ()
    assert not [one for one in notes(known, policy=policy) if one.rule == "B (0010,1000)"]
