"""Provenance, Patients that turn up and orders on a real HAPI, in R4 and R5: accepted, valid, and never in the way.

The archive is a fake, the FHIR servers are the session's: each test is an installation of its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from syncd.loop.fhir import inventory
from syncd.loop.fhir.turned_up import DAY, look_around
from syncd.loop.outbox.kinds import FIRST_DUE
from syncd.mapping.policy import ArchivePolicy, MappingPolicy
from syncd.mapping.resources.patient import replaced_patient
from syncd.mapping.resources.provenance import device, provenance
from syncd.model.ids import ArchiveName
from syncd.model.provenance import Occasion, OwedProvenance
from syncd.publish.http import FhirConnection, FhirHttp
from syncd.publish.server import FhirServer
from tests.ledger.made import copies_of, done
from tests.loop.rejecting import SAFETY, images, note, settled, uid
from tests.loop.world import MAIN, World, deliver_due
from tests.servers import FhirServer as Hapi

pytestmark = pytest.mark.real

Json = dict[str, Any]
POLICY = MappingPolicy(archive=ArchivePolicy(name=ArchiveName("main")))
ORDERS = "http://hospital.test/acc"
_SITES = itertools.count(1)


@pytest.fixture(params=["r4", "r5"])
def server(request: pytest.FixtureRequest) -> tuple[str, Hapi]:
    """The version, and its HAPI."""
    return request.param, request.getfixturevalue("hapi" if request.param == "r4" else "r5_hapi")


class RealWorld(World):
    """A fake archive before a real HAPI; its patients, studies and id are its own."""

    def __init__(self, folder: Path, *, hapi: Hapi, **policy: Any) -> None:
        self.number = next(_SITES)
        name = f"site-{self.number}"
        super().__init__(folder, installation_id=name, endpoint_prefix=f"s{self.number}-", **policy)
        self.hapi = hapi
        self.system = f"http://hospital.test/{name}"
        archive = ArchivePolicy(
            name=MAIN,
            dicomweb_url="https://pacs.test/dicom-web",
            patient_id_system=self.system,
            accession_system=ORDERS,
        )
        self.policy = replace(self.policy, archive=archive)
        self.uid = f"1.2.276.0.{self.number}"

    def new_server(self, url: str = "") -> FhirServer:
        return FhirServer(FhirHttp(FhirConnection(url=url or self.hapi.base_url)))

    def pay(self) -> list[Json]:
        """Everything that is owed is paid; the Provenances of this site."""
        self.clock.advance(FIRST_DUE + 1)
        deliver_due(self.context)
        return self.find(f"Provenance?_tag=urn:syncd:installation%7Csite-{self.number}")

    def find(self, query: str) -> list[Json]:
        return list(self.hapi.search(query))

    def get(self, path: str) -> Json:
        answer = requests.get(f"{self.hapi.base_url}/{path}", headers={"Cache-Control": "no-cache"}, timeout=60)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def foreign(self, resource: Json) -> None:
        answer = requests.put(
            f"{self.hapi.base_url}/{resource['resourceType']}/{resource['id']}",
            json=resource,
            headers={"Content-Type": "application/fhir+json"},
            timeout=60,
        )
        assert answer.status_code in (200, 201), answer.text


@pytest.fixture
def new_site(server: tuple[str, Hapi], tmp_path: Path) -> Iterator[Callable[..., RealWorld]]:
    sites: list[RealWorld] = []

    def create(**policy: Any) -> RealWorld:
        folder = tmp_path / str(len(sites))
        folder.mkdir()
        sites.append(RealWorld(folder, hapi=server[1], **policy))
        return sites[-1]

    yield create
    for site in sites:
        site.ledger.close()
        site.archive.close()


def errors(hapi: Hapi, resource: Json) -> list[str]:
    """What `$validate` calls an error."""
    answer = requests.post(
        f"{hapi.base_url}/{resource['resourceType']}/$validate",
        json=resource,
        headers={"Content-Type": "application/fhir+json"},
        timeout=120,
    )
    return [one["diagnostics"] for one in answer.json()["issue"] if one["severity"] in ("error", "fatal")]


@pytest.mark.parametrize("with_device", [True, False])
@pytest.mark.parametrize("occasion", Occasion)
@pytest.mark.quick("r4")
def test_hapi_finds_no_error_in_a_provenance(server: tuple[str, Hapi], occasion: Occasion, with_device: bool) -> None:
    """RULES B1, B8, MAPPING J.5."""
    version, hapi = server
    owed = OwedProvenance(
        provenance_id="prov-1",
        study_uid="1.2.3",
        resource_id="1.2.3",
        version="2",
        occasion=occasion,
        recorded=1_700_000_000.0,
        sources=("1.2.4",) if occasion is Occasion.REPLACED else (),
    )
    assert errors(hapi, provenance(owed, policy=POLICY, with_device=with_device, fhir_version=version)) == []


@pytest.mark.quick("r4")
def test_hapi_finds_no_error_in_agent_and_replaced_patient(server: tuple[str, Hapi]) -> None:
    """RULES B1, B4, MAPPING J.2."""
    version, hapi = server
    assert errors(hapi, device(POLICY, fhir_version=version)) == []
    ours = {"resourceType": "Patient", "id": "pat-1", "identifier": [{"system": ORDERS, "value": "P"}]}
    assert errors(hapi, replaced_patient(ours, by="Patient/his-1", policy=POLICY, fhir_version=version)) == []


@pytest.mark.quick("r4")
def test_hapi_finds_the_errors_of_a_broken_provenance(server: tuple[str, Hapi]) -> None:
    """RULES B1: the validator is really asked."""
    version, hapi = server
    owed = OwedProvenance(
        provenance_id="p", study_uid="1.2", resource_id="1.2", version="1", occasion=Occasion.CREATED, recorded=0.0
    )
    broken = provenance(owed, policy=POLICY, with_device=True, fhir_version=version)
    broken["entity"][0]["role"] = "derived"
    assert errors(hapi, broken)


@pytest.mark.quick("r4")
def test_another_patient_leaves_one_provenance(new_site: Callable[..., RealWorld]) -> None:
    """MAPPING I case 51, RULES B8: written once, found by its target, valid as it is stored."""
    site = new_site()
    site.published(site.uid)
    for one in site.orthanc.handle("POST", "/tools/lookup", body=site.uid.encode()).json:
        if one["Type"] == "Study":
            site.delete(one["ID"])
    site.store(site.uid, PatientID="P-2")
    site.settle()
    site.mark(site.uid)
    site.turn(site.uid)
    (told,) = site.pay()
    assert told["target"][0]["reference"] == f"ImagingStudy/{site.uid}"  # HAPI takes the version away
    assert [one["id"] for one in site.find(f"Provenance?target=ImagingStudy/{site.uid}")] == [told["id"]]
    assert errors(site.hapi, told) == []
    assert site.get(f"ImagingStudy/{site.uid}")["meta"]["versionId"] == "2"
    assert len(site.pay()) == 1


@pytest.mark.quick("r4")
def test_a_withdrawn_study_leaves_one(new_site: Callable[..., RealWorld]) -> None:
    """RULES B8: retracted."""
    site = new_site()
    images(site, 1, study=site.uid)
    settled(site)
    note(site, SAFETY, {site.uid: [uid(1, site.uid)]}, study=site.uid)
    settled(site)
    (told,) = site.pay()
    assert told["entity"][0]["role"] == "removal"
    assert site.get(f"ImagingStudy/{site.uid}")["status"] == "entered-in-error"


@pytest.mark.quick("r4")
def test_killed_after_the_provenance_it_is_written_once(new_site: Callable[..., RealWorld]) -> None:
    """MAPPING J.5: a retry is idempotent on a real server."""
    site = new_site()
    site._context = replace(site.context, provenance="all")
    site.published(site.uid)
    (owed,) = site.ledger.outbox.of_study(site.uid)
    (told,) = site.pay()
    site.mark(site.uid)
    killed = site.task(site.uid).claim
    site.ledger.outcomes.commit(done(killed, record=killed.record, owed=(owed,)))
    assert site.ledger.outbox.of_study(site.uid)
    (again,) = site.pay()
    assert again["meta"]["versionId"] == told["meta"]["versionId"] == "1"
    assert not site.ledger.outbox.of_study(site.uid)


@pytest.mark.quick("r4")
def test_subjects_move_to_a_patient_that_turns_up(new_site: Callable[..., RealWorld]) -> None:
    """RULES B4: ours gets `active=false` and `link replaced-by`, on a server with referential integrity."""
    site = new_site()
    others = [f"{site.uid}.1", f"{site.uid}.2"]
    for study in others:
        site.published(study)
    theirs = f"his-{site.number}"
    site.foreign({"resourceType": "Patient", "id": theirs, "identifier": [{"system": site.system, "value": "P"}]})
    site.clock.advance(DAY)
    assert look_around(site.context, every=60.0) == 2
    site.work()
    assert {site.get(f"ImagingStudy/{one}")["subject"]["reference"] for one in others} == {f"Patient/{theirs}"}
    (ours,) = site.find(f"Patient?_tag=urn:syncd:installation%7Csite-{site.number}")
    assert (ours["active"], ours["link"][0]["type"]) == (False, "replaced-by")
    site.mark(others[0], read_fhir=True)
    assert [one.decision for one in site.work()] == ["Skip"]


@pytest.mark.quick("r4")
def test_an_order_that_turns_up_is_named(new_site: Callable[..., RealWorld]) -> None:
    """MAPPING J.3, RULES B4."""
    site = new_site(service_request="match")
    site.published(site.uid, AccessionNumber=f"A-{site.number}")
    site.foreign(
        {
            "resourceType": "ServiceRequest",
            "id": f"order-{site.number}",
            "status": "active",
            "intent": "order",
            "subject": {"display": "somebody"},
            "identifier": [{"system": ORDERS, "value": f"A-{site.number}"}],
        }
    )
    site.clock.advance(DAY)
    assert look_around(site.context, every=60.0) == 1
    site.work()
    (order,) = site.get(f"ImagingStudy/{site.uid}")["basedOn"]
    assert order["reference"] == f"ServiceRequest/order-{site.number}"
    site.mark(site.uid, read_fhir=True)
    assert [one.decision for one in site.work()] == ["Skip"]


ANNA = {"PatientName": "Hello^Anna", "PatientBirthDate": "19700101", "PatientSex": "F", "StudyDate": "20200101"}
BERT = {"PatientName": "World^Bert", "PatientBirthDate": "19331111", "PatientSex": "M", "StudyDate": "20210101"}


def _inventory(site: RealWorld) -> int:
    """A FHIR inventory; returns how many studies it marked for what they refer to."""
    site.clock.advance(100)
    site.ledger.verification.want("a test")
    finished = None
    while finished is None:
        finished = inventory.tick(site.context, interval=DAY)
    return finished.found["outdated"]


@pytest.mark.quick("r4")
def test_two_people_of_one_number_are_never_one_patient(new_site: Callable[..., RealWorld]) -> None:
    """PS3.3 C.7.1.1, RULES B10: the study that came later is parked; a correction of the first one lets it in."""
    site = new_site()
    first, later = f"{site.uid}.1", f"{site.uid}.2"
    site.published(first, **ANNA)
    (ours,) = site.find(f"Patient?_tag=urn:syncd:installation%7Csite-{site.number}")
    site.store(later, **BERT)
    site.settle()
    site.poll()
    (outcome,) = site.work()
    assert outcome.parked is not None and outcome.parked.reason == "patient-mismatch"
    assert first in outcome.parked.detail and later in outcome.parked.detail
    assert site.get(f"Patient/{ours['id']}")["meta"]["versionId"] == "1"
    site.delete(copies_of(site.ledger, first)[0].orthanc_id)
    site.store(first, **{**BERT, "StudyDate": "20200101"})
    site.settle()
    site.poll()
    site.work()
    assert site.get(f"Patient/{ours['id']}")["birthDate"] == "1933-11-11"
    assert site.get(f"ImagingStudy/{later}")["subject"] == site.get(f"ImagingStudy/{first}")["subject"]
    assert not site.ledger.records.page_parked()


@pytest.mark.quick("r4")
def test_a_lost_ledger_asks_the_server_who_stands_by_the_patient(new_site: Callable[..., RealWorld], tmp_path: Path) -> None:
    """RULES B10, E7: our Patient as the server holds it, and the study that it shows under it."""
    site = new_site()
    first, later = f"{site.uid}.1", f"{site.uid}.2"
    site.published(first, **ANNA)
    site.lose_ledger(tmp_path)
    site.connect(accept_target=True)
    site.store(later, **BERT)
    site.settle()
    site.poll()
    site.turn(later)
    parked = site.ledger.records.find_parked(later)
    assert parked is not None and first in parked.detail


@pytest.mark.quick("r4")
def test_old_studies_follow_a_merged_patient(new_site: Callable[..., RealWorld]) -> None:
    """RULES B12, FHIR R4 Patient.link: within one FHIR inventory, and then nothing is marked any more."""
    site = new_site()
    identifier = [{"system": site.system, "value": "P"}]
    old, new = f"old-{site.number}", f"new-{site.number}"
    site.foreign({"resourceType": "Patient", "id": old, "identifier": identifier})
    site.published(site.uid)
    site.foreign({"resourceType": "Patient", "id": new})
    link = [{"other": {"reference": f"Patient/{new}"}, "type": "replaced-by"}]
    site.foreign({"resourceType": "Patient", "id": old, "identifier": identifier, "active": False, "link": link})
    assert _inventory(site) == 1
    site.work()
    assert site.get(f"ImagingStudy/{site.uid}")["subject"]["reference"] == f"Patient/{new}"
    assert _inventory(site) == 0


@pytest.mark.quick("r4")
def test_an_order_that_was_revoked_is_words_again(new_site: Callable[..., RealWorld]) -> None:
    """RULES B12, MAPPING J.3."""
    site = new_site(service_request="match")
    order = {
        "resourceType": "ServiceRequest",
        "id": f"order-{site.number}",
        "status": "active",
        "intent": "order",
        "subject": {"display": "somebody"},
        "identifier": [{"system": ORDERS, "value": f"A-{site.number}"}],
    }
    site.foreign(order)
    site.published(site.uid, AccessionNumber=f"A-{site.number}")
    assert _inventory(site) == 0
    site.foreign({**order, "status": "revoked"})
    assert _inventory(site) == 1
    site.work()
    (named,) = site.get(f"ImagingStudy/{site.uid}")["basedOn"]
    assert "reference" not in named
    assert _inventory(site) == 0
