"""Every FHIR version that HAPI speaks: what we say of real files passes its `$validate`, and what is broken does not.

The studies are pydicom's own files, read from a real Orthanc as the daemon reads them. HAPI starts once per version. Its
words on terminology differ: R4 and R4B carry a copy of DICOM's code system that is older than 20 modalities of today, R5
and DSTU2 check none of them (docs/decisions/modalities.md).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from pydicom.sr.codedict import codes

from syncd.archive.orthanc import OrthancArchive
from syncd.archive.rest.connection import ArchiveConnection
from syncd.mapping.check.check import problems
from syncd.mapping.dialects.registry import dialect, release
from syncd.mapping.policy import MappingPolicy
from syncd.mapping.profiles.guides import GUIDES
from syncd.mapping.resources.endpoints import endpoints
from syncd.mapping.resources.imagingstudy import available_study, registered_study
from syncd.mapping.resources.patient import patient, subject
from syncd.mapping.resources.provenance import device, provenance, writes_provenance
from syncd.mapping.resources.sentinel import sentinel
from syncd.mapping.values.identity import patient_key
from syncd.model.ids import ArchiveName, StudyInstanceUID
from syncd.model.provenance import Occasion, OwedProvenance
from syncd.model.snapshot import Code, IssuedId, Issuer, PatientFacts, StudySnapshot
from syncd.snapshot.build import build
from tests.dicom import pydicom_files, uid
from tests.mapping.profiles.test_profiles import full_study
from tests.mapping.profiles.test_profiles import policy as profile_policy
from tests.mapping.studies import (
    POLICY,
    WANTED,
    archive,
    beside,
    golden_study,
    instance,
    mapped,
    person,
    policies,
    series,
    snapshots,
    study,
    with_series,
)
from tests.mapping.studies import full_study as whole_study
from tests.real.installation import Installation, further, rejecting, status_of
from tests.real.installation import study as study_of
from tests.servers import PASSWORD, USERNAME, Archive, FhirServer, Unavailable, start_hapi

pytestmark = pytest.mark.real

HAPI_VERSIONS = ("dstu2", "r4", pytest.param("r4b", marks=pytest.mark.long), "r5")
"""R4B is R4 under another number (`mapping.dialects.r4b`): `tests/mapping` has its own models parse all that R4 says."""

_NEWER = "STAIN CTPROTOCOL CFM ASMT DMS DOC EEG EMG EOG IOL M3D OPTBSV OPTENF PA PLAN POS RWV RESP FID TEXTUREMAP"
NEWER = set(_NEWER.split())
REFUSED_MODALITIES: dict[str, set[str]] = {"dstu2": set(), "r4": NEWER, "r4b": NEWER, "r5": set()}
"""Modalities of CID 33 that each version's `$validate` calls unknown; a newer HAPI tells by failing the test."""

JUDGED = ("dstu2", "r4", "r4b")
"""Versions whose words the oracle knows; it says of each element whether it is what the files say."""

REAL_STUDIES = 31
"""Distinct StudyInstanceUIDs among pydicom's files that Orthanc takes."""

Said = list[dict[str, Any]]

# A smaller counterexample would cost a hundred requests.
without_shrinking = settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module", params=HAPI_VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def fhir(version: str) -> Iterator[FhirServer]:
    """One HAPI of this version, in memory."""
    try:
        server = start_hapi(fhir=version)
    except Unavailable as reason:
        pytest.skip(str(reason))
    yield server
    server.discard()


@pytest.fixture(scope="module")
def real_studies(shared_archive: Archive) -> tuple[StudySnapshot, ...]:
    """Every study of pydicom's files."""
    shared_archive.clear()
    shared_archive.upload_all(map(Path.read_bytes, pydicom_files()))
    reader = OrthancArchive(
        ArchiveConnection(name=ArchiveName("orthanc"), url=shared_archive.url, username=USERNAME, password=PASSWORD)
    )
    try:
        found = tuple(build(reader.read_study(one.orthanc_id)) for one in reader.inventory())
    finally:
        reader.close()
    assert len({one.study_uid for one in found}) == REAL_STUDIES
    return found


def everything_of(snapshot: StudySnapshot, policy: MappingPolicy, version: str) -> Said:
    """All resources that a study leads to; its subject as a logical reference and as our own Patient."""
    key = patient_key(snapshot, policy=policy)
    made = [patient(snapshot, key=key, policy=policy, fhir_version=version)]
    for literal in (None, f"Patient/{key.resource_id}"):
        who = subject(key, snapshot, literal=literal, fhir_version=version)
        made.append(available_study(snapshot, subject=who, policy=policy, dialect=version))
    if dialect(version).writes_registered:
        made.append(registered_study(snapshot, subject=who, policy=policy, dialect=version))
    return made


def companions(version: str) -> Said:
    return [*endpoints(SERVICES, fhir_version=version), sentinel("syncd-1", installation_id="x", fhir_version=version)]


def wrong(fhir: FhirServer, resources: Said, version: str) -> list[tuple[str, Any]]:
    """What the server or our own check finds in them: type and words."""
    found: list[tuple[str, Any]] = []
    for resource in resources:
        errors = [*fhir.errors_in(resource), *problems(resource, fhir_version=version)]
        found += [(resource["resourceType"], error) for error in errors]
    return found


SERVICES = archive(
    wado_uri_url="https://x.example/wado",
    qido_url="https://x.example/dicom-web",
    viewer_url="https://x.example/IHEInvokeImageDisplay",
    patient_id_system="urn:oid:2.16.840.1.113883.2.1",
    study_id_system="http://hosp.example/study",
    issuers={"HOSP-A": "http://hosp.example/a"},
)


@pytest.fixture(scope="module")
def site(
    version: str,
    fhir: FhirServer,
    real_studies: tuple[StudySnapshot, ...],
    shared_archive: Archive,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Installation]:
    """pydicom's files and a FHIR server of this version, and a syncd between them that has not begun."""
    with Installation(tmp_path_factory.mktemp(version), archive=shared_archive, fhir=fhir) as made:
        yield made


@pytest.mark.quick("dstu2", "r5")
def test_a_whole_archive_is_published_in_that_version(site: Installation, fhir: FhirServer, version: str) -> None:
    """End to end; every study `available`, every stored resource valid, a second `resync` writes nothing. In make test
    `test_pydicom_files` shows it of R4."""
    site.syncd.command("resync", expect=0)
    stored = fhir.search("ImagingStudy?_count=100")
    assert len(stored) == REAL_STUDIES
    assert {status_of(one) for one in stored} == {"available"}
    sentinels = fhir.search(f"{dialect(version).sentinel_type}?_count=100")
    everything = [*stored, *fhir.search("Patient?_count=100"), *sentinels]
    assert sentinels
    assert [(one["resourceType"], error) for one in everything for error in fhir.errors_in(one)] == []
    if version in JUDGED:
        site.assert_equal()
    site.before_fhir.forget()
    site.syncd.command("resync", expect=0)
    assert not site.before_fhir.exchanges(method="PUT")


@pytest.mark.quick("dstu2", "r5")
def test_a_published_study_is_followed_in_that_version(site: Installation, fhir: FhirServer, version: str) -> None:
    """RULES A2, C3, C4, C6, B7: late instances, an edit, a deletion on the server, and a withdrawal, by the daemon."""
    words = f"followed in {version}"
    study_uid, files = study_of(words, instances=2)
    path, theirs = f"ImagingStudy/{study_uid}", {"url": "http://their.test/note", "valueString": "seen"}
    site.syncd.start()
    try:
        site.send(*files)
        site.wait_for(study_uid, instances=2)
        edited = {**fhir.get(path), "description": "theirs", "extension": [theirs]}
        assert fhir.put(path, edited).status == 200
        site.send(further(words, number=3))
        site.wait_for(study_uid, instances=3)
        found = fhir.get(path)
        assert (found["extension"], found["description"]) == ([theirs], "Synthetic study")
        assert fhir.errors_in(found) == []
        assert fhir.request("DELETE", path).status == 200
        site.send(further(words, number=4))
        site.wait_for(study_uid, instances=4)
        assert site.statuses(study_uid).count("deleted") == 1
        for number, one in enumerate(fhir.get(path)["series"][0]["instance"], start=1):
            named = rejecting("113037", study_uid, uid(study_uid, "series", "CT", 1), one["uid"].removeprefix("urn:oid:"))
            site.send(further(words, modality="KO", series=9, number=number, **named))
        site.wait_for(study_uid, status="cancelled" if version == "dstu2" else "entered-in-error")
        withdrawn = fhir.get(path)
        assert "series" not in withdrawn
        assert fhir.errors_in(withdrawn) == []
        site.wait_settled()
    finally:
        site.syncd.stop()
        for orthanc_id in site.archive.study_ids(study_uid):
            site.archive.delete(f"/studies/{orthanc_id}")


def test_the_server_is_of_that_version(fhir: FhirServer, version: str) -> None:
    """MAPPING I case 65: chosen by what the server says of itself."""
    assert release(fhir.get("metadata")["fhirVersion"]) == version


@pytest.mark.quick("dstu2", "r4")
def test_every_real_study_is_valid(fhir: FhirServer, version: str, real_studies: tuple[StudySnapshot, ...]) -> None:
    """RULES B1, the issue's "real files pass `$validate`": ImagingStudy, Patient, Endpoint, sentinel."""
    assert wrong(fhir, companions(version), version) == []
    found = {one.study_uid: wrong(fhir, everything_of(one, SERVICES, version), version) for one in real_studies}
    assert {uid: faults for uid, faults in found.items() if faults} == {}


ODD: list[tuple[str, StudySnapshot]] = [
    ("golden", golden_study()),
    ("unidentified", study(patient=PatientFacts())),
    ("visit", study(admission=IssuedId(value="V", issuer=Issuer(local="HOSP-A")), study_id="S")),
    ("no modality", with_series(series(modality=""))),
    ("private modality", with_series(series(modality="DSA"))),
    ("retired modality", with_series(series(modality="DS"))),
    ("no SOP class", with_series(series(instances=(instance(sop_class=""),)))),
    ("leading zeros", with_series(series(uid="1.2.003.4", instances=(instance(sop_class="1.2.003.4"),)))),
    ("study's leading zeros", study(study_uid=StudyInstanceUID("1.2.003.4"))),
    ("both sides", with_series(series(laterality="B", body_part="BREAST"))),
    ("converted region", with_series(series(anatomic_region=Code(value="T-D3000", scheme="SRT")))),
    ("unknown region", with_series(series(body_part="WEIRD"))),
    ("several lines", study(description="one\ntwo\tthree")),
    (
        "procedure and reason",
        study(
            procedure_codes=(Code(value="24627-2", scheme="LN", meaning="CT Chest"), Code(value="X", scheme="99A")),
            reason_codes=(Code(value="J18.9", scheme="I10", meaning="Pneumonia"),),
            reason_texts=("cough",),
        ),
    ),
    ("people", study(referrer=person("Ruiz", identifiers=(Code(value="1", scheme="99A", scheme_uid="2.25.5"),)))),
]


@pytest.mark.parametrize("snapshot", [row[1] for row in ODD], ids=[row[0] for row in ODD])
@pytest.mark.quick("dstu2", "r4", "r5")
def test_odd_studies_are_valid(fhir: FhirServer, version: str, snapshot: StudySnapshot) -> None:
    """RULES B1, MAPPING I."""
    assert wrong(fhir, everything_of(snapshot, SERVICES, version), version) == []
    assert wrong(fhir, [mapped(snapshot, summary=True, dialect=version)], version) == []


def test_what_stands_beside_a_study_is_valid(fhir: FhirServer, version: str) -> None:
    """RULES B1, MAPPING J: every companion, and the study that refers to all of them."""
    found, said = beside(whole_study(), replace(POLICY, **WANTED), version)
    assert wrong(fhir, [*found, said], version) == []


def test_a_provenance_is_valid(fhir: FhirServer, version: str) -> None:
    """RULES B1, B8, MAPPING J.5: of each occasion, and its agent; in DSTU2 none is written."""
    made = [device(POLICY, fhir_version=version)] if writes_provenance(version) else []
    for occasion in Occasion if made else ():
        owed = OwedProvenance(
            provenance_id="prov-1",
            study_uid="1.2.3",
            resource_id="1.2.3",
            version="2",
            occasion=occasion,
            recorded=1_700_000_000.0,
            sources=("1.2.4",) if occasion is Occasion.REPLACED else (),
        )
        made += [provenance(owed, policy=POLICY, with_device=one, fhir_version=version) for one in (True, False)]
    assert [error for one in made for error in fhir.errors_in(one)] == []


@pytest.mark.quick("dstu2", "r4", "r5")
def test_generated_studies_are_valid(fhir: FhirServer, version: str) -> None:
    """RULES B1: whatever the archive may hold. HAPI refuses OIDs of arcs that nobody can own (0.0), which FHIR allows."""

    @without_shrinking
    @given(snapshots, policies)
    def validated(snapshot: StudySnapshot, policy: MappingPolicy) -> None:
        found = wrong(fhir, everything_of(snapshot, policy, version)[:2], version)
        assert [(kind, words) for kind, words in found if "OIDs must be valid" not in words] == []

    validated()


def test_what_a_profile_adds_is_valid_but_for_a_claim_that_the_server_cannot_check(fhir: FhirServer, version: str) -> None:
    """MAPPING H, docs/profiles.md: HAPI holds neither guide, and says so; it finds nothing else."""
    for profile in (name for name, written in GUIDES if written == version):
        resource = mapped(full_study(), profile_policy(profile), dialect=version)
        guide = GUIDES[profile, version]
        assert all(guide.study in said for said in fhir.errors_in(resource))
        assert wrong(fhir, endpoints(profile_policy(profile), fhir_version=version)[:1], version) == []


Break = Callable[[dict[str, Any]], object]
BROKEN: list[tuple[str, str, Break]] = [
    ("no series uid", "ImagingStudy", lambda said: said["series"][0].pop("uid")),
    ("no modality", "ImagingStudy", lambda said: said["series"][0].pop("modality")),
    ("no subject", "ImagingStudy", lambda said: (said.pop("subject", None), said.pop("patient", None))),
    ("negative count", "ImagingStudy", lambda said: said.update(numberOfSeries=-1)),
    ("unknown element", "ImagingStudy", lambda said: said.update(colour="red")),
    ("bad start", "ImagingStudy", lambda said: said.update(started="2026-03-01T09:15")),
    ("bad gender", "Patient", lambda said: said.update(gender="F")),
    ("name is no list", "Patient", lambda said: said.update(name={"text": "x"})),
]


@pytest.mark.parametrize(("kind", "change"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_broken_resources_are_not_valid(fhir: FhirServer, version: str, kind: str, change: Break) -> None:
    """RULES B1: the validator is really asked, and our own check agrees with it."""
    sound = next(one for one in everything_of(golden_study(), POLICY, version) if one["resourceType"] == kind)
    broken = copy.deepcopy(sound)
    change(broken)
    assert fhir.errors_in(broken)
    assert problems(broken, fhir_version=version)


def test_what_is_written_comes_back(fhir: FhirServer, version: str) -> None:
    """RULES B1, C1: no element of ours is dropped or changed by the server; the id is the UID."""
    for resource in companions(version):
        assert fhir.put(f"{resource['resourceType']}/{resource['id']}", resource).status == 201
    who, said = everything_of(golden_study(), SERVICES, version)[:3:2]
    for resource in (who, said):
        assert fhir.put(f"{resource['resourceType']}/{resource['id']}", resource).status == 201
        stored = fhir.get(f"{resource['resourceType']}/{resource['id']}")
        assert {name: value for name, value in stored.items() if name != "meta"} == {
            name: value for name, value in resource.items() if name != "meta"
        }
        assert stored["meta"]["tag"] == resource["meta"]["tag"]


def test_modalities_that_the_server_does_not_know(fhir: FhirServer, version: str) -> None:
    """MAPPING C.7, docs/decisions/modalities.md: said under DICOM's system nevertheless."""
    tokens = sorted(code.value for code in codes.cid33.concepts.values())
    listed = (series(uid=f"2.25.{place}", modality=token) for place, token in enumerate(tokens))
    refused = {
        message.rpartition("#")[2].rstrip("'") for message in fhir.errors_in(mapped(with_series(*listed), dialect=version))
    }
    assert refused == REFUSED_MODALITIES[version]


def test_a_study_is_found_by_a_modality_that_the_server_does_not_know(fhir: FhirServer, version: str) -> None:
    """docs/decisions/modalities.md: stored without question, and found by its code, which words alone would not be."""
    said = mapped(study(study_uid=StudyInstanceUID("2.25.77"), series=(series(modality="DOC"),)), dialect=version)
    said |= {"patient" if version == "dstu2" else "subject": {"display": "x"}}
    said.pop("endpoint", None)
    assert fhir.put("ImagingStudy/2.25.77", said).status == 201
    assert [one["id"] for one in fhir.search("ImagingStudy?modality=DOC")] == ["2.25.77"]
