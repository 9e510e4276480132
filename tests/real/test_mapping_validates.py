"""What the mapping makes passes a real HAPI's `$validate`: no error, terminology warnings apart (RULES B1).

HAPI knows R4's own copy of DICOM's code system DCM only, which is older than the modalities of today: what it does not
know is listed here, so that a newer HAPI tells.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from pydicom.sr.codedict import codes

from syncd.mapping.policy import MappingPolicy
from syncd.mapping.resources.endpoints import endpoints
from syncd.mapping.resources.imagingstudy import available_study, registered_study
from syncd.mapping.resources.patient import patient, subject
from syncd.mapping.values.identity import patient_key
from syncd.model.snapshot import Code, IssuedId, Issuer, PatientFacts, StudySnapshot
from tests.mapping.studies import (
    POLICY,
    archive,
    golden_study,
    instance,
    mapped,
    policies,
    series,
    snapshots,
    study,
    with_series,
)

pytestmark = [pytest.mark.real, pytest.mark.long]
"""In make test the same is asked of every version that HAPI speaks, R4 among them (test_versions.py)."""

_NEWER_THAN_R4 = "STAIN CTPROTOCOL CFM ASMT DMS DOC EEG EMG EOG IOL M3D OPTBSV OPTENF PA PLAN POS RWV RESP FID TEXTUREMAP"
NEWER_THAN_R4 = set(_NEWER_THAN_R4.split())
"""Modalities of CID 33 that R4's copy of DCM does not have; MAPPING C.7 has them emitted nevertheless."""


def errors(hapi: Any, resource: dict[str, Any]) -> list[str]:
    """The diagnostics of severity error and fatal in HAPI's answer."""
    answer = requests.post(
        f"{hapi.base_url}/{resource['resourceType']}/$validate",
        json=resource,
        headers={"Content-Type": "application/fhir+json", "Accept": "application/fhir+json"},
        timeout=60,
    )
    outcome = answer.json()
    assert outcome["resourceType"] == "OperationOutcome"
    return [issue["diagnostics"] for issue in outcome["issue"] if issue["severity"] in ("error", "fatal")]


def everything_of(snapshot: StudySnapshot, policy: MappingPolicy) -> list[dict[str, Any]]:
    """All resources that a study leads to, with a logical subject."""
    key = patient_key(snapshot, policy=policy)
    who = subject(key, snapshot, literal=None)
    return [
        available_study(snapshot, subject=who, policy=policy),
        registered_study(snapshot, subject=who, policy=policy),
        patient(snapshot, key=key, policy=policy),
        *endpoints(policy),
    ]


SERVICES = archive(
    wado_uri_url="https://x.example/wado",
    qido_url="https://x.example/dicom-web",
    viewer_url="https://x.example/view",
    patient_id_system="urn:oid:2.16.840.1.113883.2.1",
    study_id_system="http://hosp.example/study",
    issuers={"HOSP-A": "http://hosp.example/a"},
)

STUDIES: list[tuple[str, StudySnapshot, MappingPolicy]] = [
    ("golden", golden_study(), POLICY),
    ("services", golden_study(), SERVICES),
    ("invoked viewer", golden_study(), archive(viewer_url="https://x.example/IHEInvokeImageDisplay")),
    ("plain", study(), POLICY),
    ("unidentified", study(patient=PatientFacts()), POLICY),
    ("visit", study(admission=IssuedId(value="V", issuer=Issuer(local="HOSP-A")), study_id="S"), SERVICES),
    ("no modality", with_series(series(modality="")), POLICY),
    ("private modality", with_series(series(modality="DSA")), POLICY),
    ("retired modality", with_series(series(modality="DS")), POLICY),
    ("no SOP class", with_series(series(instances=(instance(sop_class=""),))), POLICY),
    ("leading zeros", with_series(series(uid="1.2.003.4", instances=(instance(sop_class="1.2.003.4"),))), POLICY),
    ("both sides", with_series(series(laterality="B", body_part="BREAST")), POLICY),
    ("converted region", with_series(series(anatomic_region=Code(value="T-D3000", scheme="SRT"))), POLICY),
    ("unknown region", with_series(series(body_part="WEIRD")), POLICY),
    ("several lines", study(description="one\ntwo\tthree"), POLICY),
]


@pytest.mark.parametrize(("snapshot", "policy"), [row[1:] for row in STUDIES], ids=[row[0] for row in STUDIES])
def test_hapi_finds_no_error_in_what_we_send(hapi: Any, snapshot: StudySnapshot, policy: MappingPolicy) -> None:
    """RULES B1, MAPPING K and I."""
    for resource in everything_of(snapshot, policy):
        assert errors(hapi, resource) == []


def test_hapi_finds_no_error_in_a_summary(hapi: Any) -> None:
    """MAPPING F.6, RULES B2."""
    assert errors(hapi, mapped(golden_study(), summary=True)) == []


def test_hapi_finds_no_error_in_generated_studies(hapi: Any) -> None:
    """RULES B1: whatever the archive may hold."""

    @settings(max_examples=15, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(snapshots, policies)
    def validated(snapshot: StudySnapshot, policy: MappingPolicy) -> None:
        for resource in everything_of(snapshot, policy)[:3]:
            assert errors(hapi, resource) == []

    validated()


def test_hapi_finds_the_errors_of_a_broken_study(hapi: Any) -> None:
    """RULES B1: the validator is really asked."""
    broken = copy.deepcopy(mapped(golden_study()))
    del broken["series"][0]["uid"]
    assert errors(hapi, broken)


def test_modalities_newer_than_r4_are_the_only_ones_that_hapi_refuses(hapi: Any) -> None:
    """MAPPING C.7: emitted under DCM nevertheless; a server that validates needs DICOM's current code system."""
    tokens = sorted(code.value for code in codes.cid33.concepts.values())
    resource = mapped(with_series(*(series(uid=f"2.25.{place}", modality=token) for place, token in enumerate(tokens))))
    refused = {message.rpartition("#")[2].rstrip("'") for message in errors(hapi, resource)}
    assert refused == NEWER_THAN_R4
