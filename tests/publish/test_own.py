"""Keeping what is wholly ours, looking up what is not, and the sentinel (RULES B4, B5, C2, C9, E3)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from syncd.errors import ServerReset, StudyError, Transient
from syncd.mapping.resources.sentinel import sentinel as resource
from syncd.model.work import Companion
from syncd.plan.essence import digest
from syncd.publish import sentinel
from syncd.publish.lookups import imaging_studies, patients
from syncd.publish.own import ForeignResource, keep
from syncd.publish.server import FhirServer
from tests.fakes.fhir import FakeFhir
from tests.fakes.fhir_medplum import FakeMedplum
from tests.fakes.http import Clock, Request, Response, json_response
from tests.publish.scripted import outcome, server

TAG = {"tag": [{"system": "urn:syncd:installation", "code": "syncd"}]}
OURS: dict[str, Any] = {"resourceType": "Patient", "id": "pat-1", "meta": TAG, "gender": "female"}
SYSTEM = "http://hospital.test/pid"


@pytest.fixture
def fake() -> FakeFhir:
    return FakeFhir(clock=Clock())


@pytest.fixture
def asked(fake: FakeFhir) -> FhirServer:
    return server(fake)


def _put(fake: FakeFhir, resource: dict[str, Any]) -> None:
    answer = fake.handle("PUT", f"/fhir/{resource['resourceType']}/{resource['id']}", body=json.dumps(resource).encode())
    assert answer.status in (200, 201), answer.body
    fake.requests.clear()


def _kept(asked: FhirServer, resource: dict[str, Any] = OURS, *, known: Companion | None = None, key: str = "") -> Companion:
    return keep(asked, resource, known=known, installation_id="syncd", source_key=key)


def _known(version: str, resource: dict[str, Any] | None = None, key: str = "") -> Companion:
    return Companion(
        resource_type="Patient", resource_id="pat-1", version=version, digest=digest(resource or {}), source_key=key
    )


def _methods(fake: FakeFhir) -> list[str]:
    return [one.method for one in fake.requests]


# -- keep --------------------------------------------------------------------------------------------------------


def test_what_is_not_there_is_created_by_one_request(fake: FakeFhir, asked: FhirServer) -> None:
    """RULES C2: create-only."""
    kept = _kept(asked, key="k")
    assert (kept.version, kept.digest, kept.source_key) == ("1", digest(OURS), "k")
    assert _methods(fake) == ["PUT"]


def test_what_is_known_to_be_equal_costs_nothing_but_speaks_for_itself(fake: FakeFhir, asked: FhirServer) -> None:
    """RULES B3, B4: no write; the key is that of whoever confirmed it last."""
    assert _kept(asked, known=_known("4", OURS, key="old"), key="new") == _known("4", OURS, key="new")
    assert not fake.requests


def test_a_change_is_written_under_the_known_version(fake: FakeFhir, asked: FhirServer) -> None:
    """RULES C4."""
    _put(fake, {**OURS, "gender": "male"})
    assert _kept(asked, known=_known("1")).version == "2"
    assert fake.requests[0].headers["if-match"] == 'W/"1"'


def test_what_is_there_already_is_recognised(fake: FakeFhir, asked: FhirServer) -> None:
    """RULES C5: a crash after the write; equal → nothing is sent again."""
    _put(fake, OURS)
    assert _kept(asked).version == "1"
    assert _methods(fake) == ["PUT", "GET"]
    assert len(fake.store.versions["Patient", "pat-1"]) == 1


def test_what_is_ours_and_differs_is_updated(fake: FakeFhir, asked: FhirServer) -> None:
    """RULES C4: the version that was read is named."""
    _put(fake, {**OURS, "gender": "male"})
    assert _kept(asked).version == "2"
    assert fake.requests[-1].headers["if-match"] == 'W/"1"'


def test_what_was_deleted_is_created_over_its_tombstone(fake: FakeFhir, asked: FhirServer) -> None:
    """RULES C2."""
    _put(fake, OURS)
    fake.handle("DELETE", "/fhir/Patient/pat-1")
    assert _kept(asked).version == "4"
    assert fake.requests[-1].headers["if-match"] == 'W/"2"'


def test_what_is_another_writers_is_never_written(fake: FakeFhir, asked: FhirServer) -> None:
    """RULES B4, B5."""
    _put(fake, {**OURS, "meta": {}})
    with pytest.raises(ForeignResource):
        _kept(asked)
    _put(fake, {**OURS, "id": "pat-2", "meta": {"tag": [{"system": "urn:syncd:installation", "code": "siteb"}]}})
    with pytest.raises(ForeignResource):
        _kept(asked, {**OURS, "id": "pat-2"})
    assert [fake.store.current(("Patient", one)).number for one in ("pat-1", "pat-2")] == [1, 1]  # type: ignore[union-attr]


def test_an_update_that_created_is_a_reset(asked: FhirServer) -> None:
    """RULES C6: answered 201."""
    with pytest.raises(ServerReset):
        _kept(asked, known=_known("3"))


def test_who_writes_again_and_again_makes_it_transient(fake: FakeFhir, asked: FhirServer) -> None:
    """RULES C4: not for ever."""
    _put(fake, {**OURS, "gender": "male"})
    fake.rules.append(lambda request: outcome(status=409) if request.method == "PUT" else None)
    with pytest.raises(Transient):
        _kept(asked)
    assert _methods(fake).count("PUT") == 5


def test_absent_after_a_conflict_is_created(fake: FakeFhir, asked: FhirServer) -> None:
    """RULES C2: deleted and purged between two requests."""
    fake.answer_instead(lambda request: request.method == "PUT", outcome(status=409))
    assert _kept(asked, known=_known("3")).version == "1"
    assert fake.requests[-1].headers["if-match"] == 'W/"0"'


# -- lookups -----------------------------------------------------------------------------------------------------


def _patient(resource_id: str, value: str = "P", *, system: str | None = SYSTEM, **elements: Any) -> dict[str, Any]:
    identifier = {"value": value, **({"system": system} if system else {})}
    return {"resourceType": "Patient", "id": resource_id, "identifier": [identifier], **elements}


def _replaced(resource_id: str, *, by: str, **elements: Any) -> dict[str, Any]:
    return _patient(resource_id, link=[{"other": {"reference": by}, "type": "replaced-by"}], **elements)


@pytest.mark.parametrize(
    ("there", "found"),
    [
        ([], []),
        ([_patient("a")], ["a"]),
        ([_patient("a", system="http://other.test")], []),
        ([_patient("a", system=None)], []),
        ([_patient("a", "p")], []),
        ([_patient("b"), _patient("a")], ["a", "b"]),
        ([_patient("a", active=False)], []),
        ([_patient("a", active=True)], ["a"]),
        ([_patient("b", "other"), _replaced("a", by="Patient/b")], ["b"]),
        ([_patient("b", "other"), _replaced("a", by="Patient/b", active=False)], ["b"]),
        ([_patient("b"), _replaced("a", by="Patient/b")], ["b"]),
        ([_patient("b", active=False), _replaced("a", by="Patient/b")], []),
        ([_patient("c", "x"), _replaced("b", by="Patient/c"), _replaced("a", by="Patient/b")], ["c"]),
        ([_replaced("a", by="http://elsewhere.test/fhir/Patient/z")], []),
        ([_replaced("a", by="Organization/o")], []),
        ([_patient("b"), _patient("a", link=[{"other": {"reference": "Patient/b"}, "type": "seealso"}])], ["a", "b"]),
    ],
)
def test_active_patients_that_carry_exactly_the_identifier(
    fake: FakeFhir, asked: FhirServer, there: list[dict[str, Any]], found: list[str]
) -> None:
    """RULES B4: (system, value) as they are; inactive ones ignored; `replaced-by` followed."""
    fake.store.check_references = lambda resource: None  # type: ignore[method-assign]
    for one in there:
        _put(fake, one)
    assert [one["id"] for one in patients(asked, system=SYSTEM, value="P")] == found


def test_patients_that_replace_each_other_are_followed_but_not_for_ever(fake: FakeFhir, asked: FhirServer) -> None:
    """RULES B4: a loop of `replaced-by` leads to nobody."""
    _put(fake, _patient("a"))
    _put(fake, _replaced("b", by="Patient/a"))
    _put(fake, _replaced("a", by="Patient/b"))
    assert patients(asked, system=SYSTEM, value="P") == ()


@pytest.mark.parametrize(
    "now",
    [
        outcome(status=410),
        json_response(_patient("a", "another number")),
        json_response(_patient("a", system="http://o.test")),
    ],
    ids=["deleted", "another number", "another system"],
)
def test_a_hit_that_is_gone_is_no_patient(fake: FakeFhir, asked: FhirServer, now: Response) -> None:
    """RULES B4, C9: a hit is a hint, which may be a minute old; what it is now, GET says."""
    _put(fake, _patient("a"))
    fake.answer_instead(lambda request: request.path.endswith("/Patient/a"), now)
    assert patients(asked, system=SYSTEM, value="P") == ()


def _study(resource_id: str, uid: str) -> dict[str, Any]:
    return {
        "resourceType": "ImagingStudy",
        "id": resource_id,
        "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{uid}"}],
        "status": "available",
        "subject": {"display": "x"},
    }


def test_studies_are_found_by_id_and_by_identifier(fake: FakeFhir, asked: FhirServer) -> None:
    """RULES C2: in batches of 50, both ways."""
    _put(fake, _study("1.2.1", "1.2.1"))
    _put(fake, _study("theirs", "1.2.2"))
    _put(fake, _study("1.2.3", "9.9"))
    ids = {f"1.2.{number}": f"1.2.{number}" for number in range(1, 61)}
    hits = imaging_studies(asked, ids)
    assert {uid: found for uid, found in hits.items() if found} == {
        "1.2.1": {"1.2.1"},
        "1.2.2": {"theirs"},
        "1.2.3": {"1.2.3"},
    }
    assert len(hits) == 60
    assert len(fake.requests) == 4


# -- the sentinel ------------------------------------------------------------------------------------------------


def _ignores_if_match(request: Request) -> Request:
    headers = {name: text for name, text in request.headers.items() if name != "if-match"}
    return Request(method=request.method, path=request.path, query=request.query, headers=headers, body=request.body)


def _server_that(fake: FakeFhir, *, zero: bool, none_match: bool) -> Callable[[Request], Response | None]:
    """A server that honours `If-Match: W/"0"` as create-only, or `If-None-Match: *`, or neither."""

    def rule(request: Request) -> Response | None:
        if request.method != "PUT":
            return None
        key = (request.path.split("/")[2], request.path.split("/")[3])
        there = fake.store.current(key) is not None
        if none_match and request.headers.get("if-none-match") == "*" and there:
            return outcome(status=412)
        if request.headers.get("if-match") == 'W/"0"' and not zero:
            # Strict servers find no version 0 of what is not there; lax ones do not look at the header at all.
            return outcome(status=412) if none_match else fake.answer(_ignores_if_match(request))
        return None

    return rule


@pytest.mark.parametrize(
    ("zero", "none_match", "form"),
    [(True, False, "if-match-0"), (False, True, "if-none-match"), (False, False, "get-then-put")],
)
def test_the_create_only_form_is_proved(fake: FakeFhir, asked: FhirServer, zero: bool, none_match: bool, form: str) -> None:
    """RULES C2: which one the server honours is proved with the sentinel, once; it is there afterwards."""
    fake.rules.append(_server_that(fake, zero=zero, none_match=none_match))
    assert sentinel.prove(asked, "syncd-1", installation_id="syncd") == form
    assert sentinel.present(asked, "syncd-1", installation_id="syncd")
    assert sentinel.find_sentinels(asked, installation_id="syncd") == ("syncd-1",)


@pytest.mark.parametrize(
    ("zero", "none_match", "form"),
    [(True, False, "if-match-0"), (False, True, "if-none-match"), (False, False, "get-then-put")],
)
def test_proving_again_after_a_crash_gives_the_same(
    fake: FakeFhir, asked: FhirServer, zero: bool, none_match: bool, form: str
) -> None:
    """RULES E3: the sentinel is there already."""
    fake.rules.append(_server_that(fake, zero=zero, none_match=none_match))
    sentinel.prove(asked, "syncd-1", installation_id="syncd")
    assert sentinel.prove(asked, "syncd-1", installation_id="syncd") == form


@pytest.mark.parametrize("there", [False, True], ids=["a first start", "the sentinel is there already"])
def test_refusing_version_0_of_anything_is_no_create_only_form(fake: FakeFhir, asked: FhirServer, there: bool) -> None:
    """RULES C2: it must have created what it then refuses to create again; no trial is left."""
    strict = FakeMedplum(clock=Clock())
    asked = server(strict)
    if there:
        sentinel.prove(asked, "syncd-1", installation_id="syncd")
    assert sentinel.prove(asked, "syncd-1", installation_id="syncd") == "get-then-put"
    assert [one["id"] for one in strict.resources("Endpoint")] == ["syncd-1"]


def test_a_trial_that_a_crash_left_behind_is_cleared_by_the_next_proof(fake: FakeFhir, asked: FhirServer) -> None:
    """RULES E3: killed between the creation of a trial and its deletion."""
    sentinel.prove(asked, "syncd-1", installation_id="syncd")
    fake.rules.append(lambda request: Response(status=503) if request.method == "DELETE" else None)
    sentinel.prove(asked, "syncd-1", installation_id="syncd")
    fake.rules.clear()
    assert len(fake.resources("Endpoint")) == 2
    assert sentinel.prove(asked, "syncd-1", installation_id="syncd") == "if-match-0"
    assert [one["id"] for one in fake.resources("Endpoint")] == ["syncd-1"]


def test_a_trial_that_cannot_be_deleted_is_no_sentinel(fake: FakeFhir, asked: FhirServer) -> None:
    """RULES E3: a server that deletes nothing keeps an Endpoint that is off, and nobody takes it for ours to know."""
    sentinel.prove(asked, "syncd-1", installation_id="syncd")
    fake.rules.append(lambda request: outcome(status=405) if request.method == "DELETE" else None)
    assert sentinel.prove(asked, "syncd-1", installation_id="syncd") == "if-match-0"
    assert sentinel.find_sentinels(asked, installation_id="syncd") == ("syncd-1",)
    assert {one["status"] for one in fake.resources("Endpoint")} == {"off"}


def test_what_is_refused_though_it_is_not_there_is_told_as_that(fake: FakeFhir, asked: FhirServer) -> None:
    """docs/fhir-servers.md: no word of somebody else who writes again and again."""
    fake.rules.append(lambda request: outcome(status=412) if request.method == "PUT" else None)
    with pytest.raises(Transient, match="refuses to create Patient, though it is not there"):
        _kept(asked)
    assert asked.refused_creations >= 3


def test_a_server_that_does_not_understand_the_headers_is_read_first(fake: FakeFhir, asked: FhirServer) -> None:
    """RULES C2: 400 to a condition is no reason to give up."""
    fake.rules.append(
        lambda request: outcome(status=400) if {"if-match", "if-none-match"} & request.headers.keys() else None
    )
    assert sentinel.prove(asked, "syncd-1", installation_id="syncd") == "get-then-put"
    assert sentinel.present(asked, "syncd-1", installation_id="syncd")


@pytest.mark.parametrize(
    "change",
    [{"identifier": []}, {"meta": {}}, {"meta": {"tag": [{"system": "urn:syncd:installation", "code": "siteb"}]}}],
    ids=["no sentinel", "no tag", "another installation"],
)
def test_what_is_not_our_sentinel_is_not_present(fake: FakeFhir, asked: FhirServer, change: dict[str, Any]) -> None:
    """RULES E3: known by its identifier and our tag."""
    _put(fake, {**resource("syncd-1", installation_id="syncd"), **change})
    assert not sentinel.present(asked, "syncd-1", installation_id="syncd")
    assert sentinel.find_sentinels(asked, installation_id="syncd") == ()


def test_a_sentinel_that_only_a_stale_search_knows_is_not_known(fake: FakeFhir, asked: FhirServer) -> None:
    """RULES C9: confirmed by GET."""
    sentinel.prove(asked, "syncd-1", installation_id="syncd")
    fake.answer_instead(lambda request: request.path.endswith("/syncd-1"), outcome(status=410))
    assert sentinel.find_sentinels(asked, installation_id="syncd") == ()


def test_a_refused_sentinel_is_told(fake: FakeFhir, asked: FhirServer) -> None:
    """RULES C6: a server that refuses the sentinel itself cannot be published to."""
    fake.rules.append(lambda request: outcome(status=422) if request.method == "PUT" else None)
    with pytest.raises(StudyError):
        sentinel.prove(asked, "syncd-1", installation_id="syncd")
