"""The fake FHIR server, held to the contract of the real HAPI; and what only a fake can do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from tests.contracts.fhir_bundles import BundleContract
from tests.contracts.fhir_client import FhirClient
from tests.contracts.fhir_contract import WriteContract, fhir
from tests.contracts.fhir_ids import IdsContract
from tests.contracts.fhir_relied import ReliedContract
from tests.contracts.fhir_searches import SearchContract
from tests.fakes.fhir import FakeFhir
from tests.fakes.http import Clock, RequestsAdapter, Response, listening

__all__ = ["fhir"]


@pytest.fixture
def server() -> Iterator[FakeFhir]:
    fake = FakeFhir(clock=Clock())
    with listening(fake):
        yield fake


class TestRelied(ReliedContract):
    """docs/fhir-servers.md on the fake."""


class TestWriting(WriteContract):
    """docs/fhir-servers.md's single writes on the fake."""


class TestSearching(SearchContract):
    """docs/fhir-servers.md's searches on the fake."""


class TestBundles(BundleContract):
    """docs/fhir-servers.md's bundles on the fake."""


class TestServerIds(IdsContract):
    """RULES C1 on a fake that was told to refuse our ids, as HAPI does it."""

    @pytest.fixture
    def server(self) -> Iterator[FakeFhir]:
        fake = FakeFhir(clock=Clock(), refuses_ids=404)
        with listening(fake):
            yield fake


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fake(clock: Clock) -> FakeFhir:
    return FakeFhir(clock=clock)


@pytest.fixture
def session(fake: FakeFhir) -> Iterator[requests.Session]:
    with requests.Session() as opened:
        opened.mount(fake.url, RequestsAdapter(fake))
        yield opened


def _patient(fake: FakeFhir, patient_id: str = "p-1", **elements: object) -> dict[str, object]:
    return {"resourceType": "Patient", "id": patient_id, **elements}


def test_the_search_cache_forgets_after_a_minute(fake: FakeFhir, clock: Clock, session: requests.Session) -> None:
    """RULES C9: the real one takes as long."""
    search = f"{fake.url}/Patient?_id=p-1"
    assert "entry" not in session.get(search).json()
    session.put(f"{fake.url}/Patient/p-1", json=_patient(fake))
    clock.advance(59)
    assert "entry" not in session.get(search).json()
    clock.advance(1)
    assert len(session.get(search).json()["entry"]) == 1


def test_a_wiped_server_knows_nothing(fake: FakeFhir, session: requests.Session) -> None:
    """RULES E3: an update is then answered 201."""
    url = f"{fake.url}/Patient/p-1"
    session.put(url, json=_patient(fake))
    fake.wipe()
    assert session.get(url).status_code == 404
    assert session.put(url, json=_patient(fake), headers={"If-Match": 'W/"1"'}).status_code == 201


def test_a_restored_backup_goes_back_in_versions(fake: FakeFhir, session: requests.Session) -> None:
    """RULES E3: a version below the ledger's."""
    url = f"{fake.url}/Patient/p-1"
    session.put(url, json=_patient(fake))
    backup = fake.backup()
    session.put(url, json=_patient(fake, active=False))
    session.put(f"{fake.url}/Patient/p-2", json=_patient(fake, "p-2"))
    fake.restore(backup)
    assert session.get(url).headers["ETag"] == 'W/"1"'
    assert session.get(f"{fake.url}/Patient/p-2").status_code == 404
    assert [one["id"] for one in fake.resources("Patient")] == ["p-1"]


def test_a_lost_reply_was_carried_out(fake: FakeFhir, session: requests.Session) -> None:
    """RULES C5."""
    fake.lose_reply_of(lambda request: request.method == "PUT")
    with pytest.raises(requests.ConnectionError):
        session.put(f"{fake.url}/Patient/p-1", json=_patient(fake))
    assert session.get(f"{fake.url}/Patient/p-1").status_code == 200


def test_a_scripted_answer_replaces_the_servers(fake: FakeFhir, session: requests.Session) -> None:
    """RULES C6: each row of its table can be played."""
    page = Response(status=503, headers={"Content-Type": "text/html", "Retry-After": "7"}, body=b"<html>")
    fake.answer_instead(lambda request: request.path.endswith("/Patient/p-1"), page)
    answer = session.put(f"{fake.url}/Patient/p-1", json=_patient(fake))
    assert (answer.status_code, answer.headers["Retry-After"], answer.text) == (503, "7", "<html>")
    assert session.get(f"{fake.url}/Patient/p-1").status_code == 404


def test_an_outage_refuses_connections(fake: FakeFhir, session: requests.Session) -> None:
    """docs/cases.md: FHIR server away."""
    fake.away = True
    with pytest.raises(requests.ConnectionError):
        session.get(f"{fake.url}/metadata")
    fake.away = False
    assert session.get(f"{fake.url}/metadata").status_code == 200


def test_credentials_can_be_asked_for(clock: Clock) -> None:
    """RULES C6: 401."""
    fake = FakeFhir(clock=clock, authorization="Bearer good")
    assert fake.handle("GET", "/fhir/metadata").status == 401
    assert fake.handle("GET", "/fhir/metadata", headers={"Authorization": "Bearer good"}).status == 200


def test_validation_is_not_faked(fake: FakeFhir) -> None:
    """`$validate` belongs to the real server; here it is as unknown as any operation."""
    answer = fake.handle("POST", "/fhir/ImagingStudy/$validate", body=b"{}")
    assert (answer.status, answer.json["resourceType"]) == (404, "OperationOutcome")


def test_a_client_of_the_contract_needs_no_more_than_a_url() -> None:
    """The contract suite's own client, without pytest's fixtures."""
    fake = FakeFhir(clock=Clock())
    with listening(fake):
        client = FhirClient(fake)
        assert client.get(f"Patient/{client.patient}").status_code == 200
        client.close()
    assert [request.method for request in fake.requests] == ["PUT", "GET"]
