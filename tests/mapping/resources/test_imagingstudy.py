"""ImagingStudy in R4: the golden output of MAPPING K, and the cases of MAPPING I that concern what is emitted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from syncd.errors import StudyError
from syncd.mapping.check.check import problems
from syncd.mapping.resources.imagingstudy import available_study, registered_study
from syncd.model.ids import StudyInstanceUID
from syncd.model.snapshot import Code, Moment, SeriesFacts
from tests.mapping.studies import (
    CT_IMAGE,
    KEY_OBJECTS,
    POLICY,
    archive,
    golden_study,
    instance,
    mapped,
    series,
    study,
    with_series,
)

DCM = "http://dicom.nema.org/resources/ontology/DCM"
ABSENT = {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]}


def test_the_golden_study() -> None:
    """MAPPING K: byte for byte what R4 says of it (JSON object order apart)."""
    golden = json.loads((Path(__file__).parents[1] / "golden_r4.json").read_text(encoding="utf-8"))
    assert mapped(golden_study()) == golden
    assert problems(golden) == ()


def test_registered_says_who_when_for_which_order_and_where() -> None:
    """RULES A6: no modality, counts or series."""
    resource = registered_study(golden_study(), subject={"reference": "Patient/p-1"}, policy=POLICY)
    whole = mapped(golden_study())
    kept = ("resourceType", "id", "meta", "identifier", "subject", "started", "basedOn", "endpoint")
    assert resource == {element: whole[element] for element in kept} | {"status": "registered"}
    assert problems(resource) == ()


def test_the_same_facts_give_the_same_bytes() -> None:
    """RULES B3: nothing of a run enters the resource."""
    assert json.dumps(mapped(golden_study())) == json.dumps(mapped(golden_study()))


def test_the_callers_subject_is_taken_as_it_is() -> None:
    """RULES B4: who the subject is was decided before."""
    logical = {"type": "Patient", "identifier": {"system": "urn:oid:2.25.9", "value": "1"}}
    assert available_study(study(), subject=logical, policy=POLICY)["subject"] == logical


def test_series_dates_are_not_promoted_to_the_study() -> None:
    """MAPPING I case 1."""
    dated = mapped(with_series(series(started=Moment(date="2026-03-01"))))
    assert "started" not in dated
    assert dated["series"][0]["started"] == "2026-03-01"


@pytest.mark.parametrize(
    ("of_study", "of_series"),
    [
        (
            Moment(date="2026-03-01", time="10:00:00", offset="+01:00"),
            Moment(date="2026-03-01", time="09:58:00", offset="+01:00"),
        ),
        (Moment(date="2026-03-01", time="09:15:00", offset="+01:00"), Moment(date="2026-03-01")),
        (Moment(date="2026-03-01"), Moment(date="2026-03-01", time="09:58:00", offset="+01:00")),
    ],
)
def test_r4_keeps_each_start_as_it_is(of_study: Moment, of_series: Moment) -> None:
    """MAPPING I cases 44 and 45, C.1-12: only R6 orders them."""
    resource = mapped(study(started=of_study, series=(series(started=of_series),)))
    assert resource["started"].startswith(f"{of_study.date}{'T' if of_study.time else ''}{of_study.time}")
    assert resource["series"][0]["started"].startswith(f"{of_series.date}{'T' if of_series.time else ''}{of_series.time}")


def of(*modalities: str) -> tuple[SeriesFacts, ...]:
    return tuple(series(uid=f"2.25.{place}", number=place, modality=token) for place, token in enumerate(modalities))


@pytest.mark.parametrize(
    ("tokens", "scope", "expected"),
    [
        (["PT", "CT", "SR", "PR"], "all", ["PT", "CT", "SR", "PR"]),  # case 20
        (["PT", "CT", "SR", "PR"], "acquisition", ["PT", "CT"]),  # case 20
        (["US"], "all", ["US"]),  # case 22, before
        (["US", "KO"], "all", ["US", "KO"]),  # case 22, after
        (["CT", "SEG", "RTSTRUCT", "CT"], "all", ["CT", "SEG", "RTSTRUCT"]),  # case 25
        (["SR"], "acquisition", []),
    ],
)
def test_study_modalities_are_those_of_its_series(tokens: list[str], scope: str, expected: list[str]) -> None:
    """MAPPING C.7, I cases 20, 22 and 25: distinct, in the order of the series; all series stay."""
    resource = mapped(with_series(*of(*tokens)), replace(POLICY, modality_scope=scope))
    assert [coding["code"] for coding in resource.get("modality", [])] == expected
    assert [one["modality"]["code"] for one in resource["series"]] == tokens
    assert all(coding["system"] == DCM for coding in resource.get("modality", []))


@pytest.mark.parametrize(
    ("version", "scope", "expected"),
    [
        ("r4", "all", ["CT", "PT", "RTSTRUCT", "KO"]),
        ("r4b", "all", ["CT", "PT", "RTSTRUCT", "KO"]),
        ("r5", "all", ["CT", "PT", "RTSTRUCT", "KO"]),
        ("r4", "acquisition", ["CT", "PT"]),
        ("dstu2", "all", ["CT", "PT"]),
        ("r6", "all", ["CT", "KO"]),
    ],
)
def test_what_lies_in_a_series_of_another_modality_is_named_with_the_study(
    version: str, scope: str, expected: list[str]
) -> None:
    """MAPPING C.7: after its series' own; R6 names the series' own only (ist-7), which stay what they are."""
    borrowed = (instance(uid=f"2.25.{number}", modality=of) for number, of in ((91, "RTSTRUCT"), (92, "PT")))
    mixed = series(instances=(instance(), *borrowed))
    notes = series(uid="2.25.12", modality="KO", instances=(instance(uid="2.25.99", modality="CT"),))
    made = mapped(study(series=(mixed, notes)), replace(POLICY, modality_scope=scope), dialect=version)
    said = made.get("modality", made.get("modalityList"))
    assert [(one["coding"][0] if "coding" in one else one)["code"] for one in said] == expected
    assert problems(made, fhir_version=version) == ()


def test_an_unknown_modality_is_said_and_a_private_one_shown() -> None:
    """MAPPING C.7: required in a series, so unknown has a reason; never a private token under DCM."""
    resource = mapped(with_series(*of("", "DSA", "CT")))
    assert [one["modality"] for one in resource["series"]] == [
        ABSENT,
        {"display": "DSA"},
        {"system": DCM, "code": "CT", "display": "Computed Tomography"},
    ]
    assert resource["modality"] == [{"display": "DSA"}, {"system": DCM, "code": "CT", "display": "Computed Tomography"}]
    assert problems(resource) == ()


@pytest.mark.parametrize(
    ("modality", "sop_class", "title"),
    [
        ("KO", KEY_OBJECTS, "Of Interest"),
        ("PR", "1.2.840.10008.5.1.4.1.1.11.1", "FINDING_1"),
        ("SR", "1.2.840.10008.5.1.4.1.1.88.67", "X-Ray Radiation Dose Report"),
    ],
)
def test_documents_are_titled_instances_of_their_own_series(modality: str, sop_class: str, title: str) -> None:
    """MAPPING I cases 22, 23 and 24."""
    document = series(uid="2.25.12", modality=modality, instances=(instance(sop_class=sop_class, title=title),))
    resource = mapped(with_series(series(), document))
    assert resource["series"][1]["instance"] == [
        {
            "uid": "2.25.101",
            "sopClass": {"system": "urn:ietf:rfc:3986", "code": f"urn:oid:{sop_class}"},
            "number": 1,
            "title": title,
        }
    ]
    assert (resource["numberOfSeries"], resource["numberOfInstances"]) == (2, 2)


@pytest.mark.parametrize(
    ("sop_class", "expected"),
    [
        ("1.2.826.0.1.3680043.9.999.1", {"system": "urn:ietf:rfc:3986", "code": "urn:oid:1.2.826.0.1.3680043.9.999.1"}),
        ("1.2.003.4", {"system": "urn:ietf:rfc:3986", "code": "urn:oid:1.2.003.4"}),
        ("", ABSENT),
        ("not a uid", ABSENT),
    ],
)
def test_the_sop_class_is_a_urn_or_said_to_be_unknown(sop_class: str, expected: dict[str, Any]) -> None:
    """MAPPING I cases 26, 27 and 28: private ones and leading zeros pass; the instance counts either way."""
    resource = mapped(with_series(series(instances=(instance(sop_class=sop_class),))))
    assert resource["series"][0]["instance"][0]["sopClass"] == expected
    assert resource["numberOfInstances"] == 1
    assert problems(resource) == ()


def test_leading_zeros_in_uids_pass() -> None:
    """MAPPING I case 28: series.uid, Identifier.value and the id verbatim."""
    resource = mapped(study(study_uid=StudyInstanceUID("1.2.003.4"), series=(series(uid="1.2.003.5"),)))
    assert resource["id"] == "1.2.003.4"
    assert resource["identifier"][0]["value"] == "urn:oid:1.2.003.4"
    assert resource["series"][0]["uid"] == "1.2.003.5"
    assert problems(resource) == ()


def test_a_study_uid_that_is_none_is_parked_or_published_verbatim() -> None:
    """MAPPING I case 29, RULES C1: under an `x-…` id, its value without `urn:oid:`."""
    odd = study(study_uid=StudyInstanceUID("urn-study_A"))
    with pytest.raises(StudyError) as refused:
        mapped(odd)
    assert refused.value.reason == "uid-not-oid"
    resource = mapped(odd, replace(POLICY, bad_uid="verbatim"))
    assert resource["id"].startswith("x-")
    assert resource["identifier"][0]["value"] == "urn-study_A"
    assert problems(resource) == ()


def test_what_has_no_encodable_uid_is_left_out_and_not_counted() -> None:
    """MAPPING A.2: the rest of the study is published."""
    resource = mapped(
        with_series(
            series(uid="2.25.1", instances=(instance(), instance(uid="under_score"), instance(uid="1." + "2" * 63))),
            series(uid="with blank"),
            series(uid="2.25.3", instances=(instance(uid=""),)),
        )
    )
    assert [one["uid"] for one in resource["series"]] == ["2.25.1"]
    assert [one["uid"] for one in resource["series"][0]["instance"]] == ["2.25.101"]
    assert (resource["numberOfSeries"], resource["numberOfInstances"]) == (1, 1)
    assert resource["series"][0]["numberOfInstances"] == 1


@pytest.mark.parametrize("listed", [(), (series(uid="a b"),), (series(instances=()),)])
def test_a_study_of_which_nothing_can_be_said_is_never_published_as_empty(listed: tuple[SeriesFacts, ...]) -> None:
    """RULES A7: never publish zero."""
    with pytest.raises(StudyError) as refused:
        mapped(with_series(*listed))
    assert refused.value.reason == "unmappable"


def test_absent_facts_are_absent_elements() -> None:
    """MAPPING I case 33: no empty strings, no empty lists."""
    resource = mapped(with_series(series(number=None, instances=(instance(number=None),))), archive(dicomweb_url=""))
    assert resource.keys() == {
        "resourceType",
        "id",
        "meta",
        "identifier",
        "status",
        "subject",
        "modality",
        "numberOfSeries",
        "numberOfInstances",
        "series",
    }
    (one,) = resource["series"]
    assert one.keys() == {"uid", "modality", "numberOfInstances", "instance"}
    assert one["instance"][0].keys() == {"uid", "sopClass"}


def test_number_zero_is_a_number() -> None:
    """MAPPING A.2: 0 is in the range of unsignedInt."""
    (one,) = mapped(with_series(series(number=0, instances=(instance(number=0),))))["series"]
    assert (one["number"], one["instance"][0]["number"]) == (0, 0)


def test_body_site_and_laterality_are_codings() -> None:
    """MAPPING I cases 46 and 48, C.6: both sides, one side, none; a region converted from SRT; words without a code."""
    resource = mapped(
        with_series(
            series(uid="2.25.1", laterality="B", anatomic_region=Code(value="T-D3000", scheme="SRT", meaning="Chest")),
            series(uid="2.25.2", laterality="R", body_part="CHEST"),
            series(uid="2.25.3", body_part="WEIRD"),
        )
    )
    sct = "http://snomed.info/sct"
    assert [one.get("laterality") for one in resource["series"]] == [
        {"system": sct, "code": "51440002", "display": "Bilateral"},
        {"system": sct, "code": "24028007", "display": "Right"},
        None,
    ]
    assert [one["bodySite"] for one in resource["series"]] == [
        {"system": sct, "code": "51185008", "display": "Chest"},
        {"system": sct, "code": "816094009", "display": "Chest"},
        {"display": "WEIRD"},
    ]


def test_above_max_instances_only_series_and_counts_are_said() -> None:
    """MAPPING F.6, I case 60, RULES B2: said by our extension."""
    images = tuple(instance(uid=f"2.25.{place}") for place in range(1, 4))
    big = with_series(series(instances=images))
    extension = [{"url": "urn:syncd:extension:summary", "valueBoolean": True}]
    whole = mapped(big, replace(POLICY, max_instances=3))
    summary = mapped(big, replace(POLICY, max_instances=2))
    assert "extension" not in whole
    assert summary["extension"] == extension
    assert "instance" not in summary["series"][0]
    assert (summary["numberOfSeries"], summary["numberOfInstances"]) == (1, 3)
    assert summary["series"][0]["numberOfInstances"] == 3
    assert mapped(big, summary=True) == summary
    assert problems(summary) == ()


def test_thirty_thousand_instances_stay_below_ten_kilobytes() -> None:
    """MAPPING I case 60."""
    listed = tuple(
        series(
            uid=f"2.25.{place}",
            instances=tuple(instance(uid=f"2.25.{place}.{number}", number=number) for number in range(7500)),
        )
        for place in range(1, 5)
    )
    summary = mapped(with_series(*listed))
    assert summary["numberOfInstances"] == 30000
    assert len(json.dumps(summary)) < 10_000


def test_installation_and_prefix_reach_the_resource() -> None:
    """RULES B2, B5."""
    resource = mapped(study(), replace(POLICY, installation_id="site-b", endpoint_prefix="b-"))
    assert resource["meta"]["tag"] == [{"system": "urn:syncd:installation", "code": "site-b"}]
    assert resource["endpoint"] == [{"reference": "Endpoint/b-orthanc-wado-rs"}]
    assert resource["series"][0]["instance"][0]["sopClass"]["code"] == f"urn:oid:{CT_IMAGE}"
