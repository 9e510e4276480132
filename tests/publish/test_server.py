"""Reading, searching and conditional writing (RULES C2, C4, C6, C9)."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import pytest

from syncd.errors import Conflict, StudyError, TargetPaused, Transient, Unsuitable
from syncd.plan.decide import CREATE_ONLY, Absent, Deleted, Found
from syncd.publish.answers import is_below, second
from syncd.publish.bases import PageGone
from syncd.publish.server import token
from tests.fakes.http import Response, json_response
from tests.publish.scripted import Scripted, bundle, fhir, outcome, paths, server, statement

PATIENT = {"resourceType": "Patient", "id": "p-1", "meta": {"versionId": "3", "lastUpdated": "2026-01-01T00:00:00Z"}}
STUDY: dict[str, Any] = {
    "resourceType": "ImagingStudy",
    "id": "1.2.3",
    "subject": {"reference": "Patient/p-1"},
    "series": [{"uid": "1", "instance": [{"uid": "2", "reference": "Patient/not-looked-at"}]}],
}


# -- reading -----------------------------------------------------------------------------------------------------


def test_a_read_is_never_answered_from_a_cache() -> None:
    """RULES C9."""
    fake = Scripted(fhir(PATIENT))
    assert server(fake).read("Patient", "p-1") == Found(resource=PATIENT, version="3", last_updated="2026-01-01T00:00:00Z")
    assert fake.requests[0].headers["cache-control"] == "no-cache"


def test_a_version_that_only_the_etag_tells() -> None:
    """FHIR R4 3.1.0.1: versionId may be left out of the body."""
    current = server(Scripted(fhir({"resourceType": "Patient", "id": "p-1"}, ETag='W/"7"'))).read("Patient", "p-1")
    assert isinstance(current, Found) and current.version == "7"


@pytest.mark.parametrize(
    ("headers", "version"),
    [
        ({"Location": "http://x/fhir/Patient/p-1/_history/5"}, "5"),
        ({"ETag": 'W/"6"'}, "6"),
        ({}, ""),
    ],
)
def test_a_tombstone_tells_its_version(headers: dict[str, str], version: str) -> None:
    """RULES C2: over a tombstone: the version of the 410's `Location`."""
    assert server(Scripted(outcome(status=410, **headers))).read("Patient", "p-1") == Deleted(version=version)


def test_absence_counts_only_where_the_type_is_served() -> None:
    """RULES C6: 404 with an OperationOutcome while /metadata, asked in the same pass, lists the type."""
    fake = Scripted(outcome(status=404), statement("Patient"))
    assert server(fake).read("Patient", "p-1") == Absent()
    assert list(paths(fake)) == ["GET /fhir/Patient/p-1", "GET /fhir/metadata"]
    with pytest.raises(TargetPaused, match="does not serve Patient"):
        server(Scripted(outcome(status=404), statement("ImagingStudy"))).read("Patient", "p-1")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Response(status=404), TargetPaused),
        (Response(status=401), TargetPaused),
        (Response(status=403), StudyError),
        (Response(status=503), Transient),
        (outcome(status=400), StudyError),
        (Response(headers={"Content-Type": "text/html"}, body=b"<html>"), Transient),
        (outcome(status=200), Transient),
        (fhir({"resourceType": "Patient", "id": "another"}), Transient),
    ],
    ids=["404", "401", "403", "503", "400", "html", "an outcome", "another resource"],
)
def test_what_is_no_answer_to_a_read_is_no_absence(answer: Response, error: type[Exception]) -> None:
    """RULES C6: only a FHIR server's own word says that something is there, or not."""
    with pytest.raises(error):
        server(Scripted(answer)).read("Patient", "p-1")


@pytest.mark.parametrize("resource_id", ["", "a/b", "../Patient", "a?b", "ü", "a" * 65, "a b", "a\n"])
def test_an_id_is_checked_before_it_enters_a_url(resource_id: str) -> None:
    """RULES S2."""
    fake = Scripted(fhir(PATIENT))
    with pytest.raises(StudyError, match="unmappable"):
        server(fake).read("Patient", resource_id)
    with pytest.raises(StudyError, match="unmappable"):
        server(fake).put({**PATIENT, "id": resource_id}, expected_version="1")
    assert not fake.requests


# -- capabilities ------------------------------------------------------------------------------------------------


def test_capabilities_tell_version_types_and_name() -> None:
    """What `check` shows."""
    said = server(Scripted(statement("Patient", "Endpoint", version="4.0.1"))).capabilities()
    assert (said.fhir_version, said.types, said.software) == ("4.0.1", {"Patient", "Endpoint"}, "X")


def test_a_statement_that_says_nothing_is_taken_as_it_is() -> None:
    """FHIR R4 5.2: `rest` and `software` may be missing."""
    said = server(Scripted(fhir({"resourceType": "CapabilityStatement"}))).capabilities()
    assert (said.fhir_version, said.types, said.software) == ("", frozenset(), "")


def test_another_answer_than_a_statement_is_unsuitable() -> None:
    """HTML instead of JSON."""
    with pytest.raises(Unsuitable, match="SYNCD_FHIR__URL"):
        server(Scripted(json_response({"resourceType": "Patient"}))).capabilities()


# -- searching ---------------------------------------------------------------------------------------------------


def test_a_search_is_posted_uncached_and_reads_all_pages() -> None:
    """RULES B4, C9: ids stay out of access logs; `next` is read on our base URL, whatever the server calls itself."""
    fake = Scripted(
        bundle({"resourceType": "Patient", "id": "a"}, next_link="http://inside:8080/fhir?_getpages=x&_getpagesoffset=1"),
        bundle({"resourceType": "Patient", "id": "b"}, next_link="/fhir/Patient?page=3"),
        bundle({"resourceType": "Patient", "id": "c"}),
    )
    found = list(server(fake).search("Patient", {"identifier": "s|v"}))
    assert [one["id"] for one in found] == ["a", "b", "c"]
    assert list(paths(fake)) == ["POST /fhir/Patient/_search", "GET /fhir", "GET /fhir/Patient"]
    assert parse_qs(fake.requests[0].body.decode()) == {"identifier": ["s|v"], "_count": ["500"]}
    assert fake.requests[1].query == {"_getpages": "x", "_getpagesoffset": "1"}
    assert {one.headers["cache-control"] for one in fake.requests} == {"no-cache"}


def test_a_search_answers_matches_only() -> None:
    """FHIR R4 3.1.1.3: outcomes and included resources are no matches."""
    entries = [
        {"resource": {"resourceType": "Patient", "id": "a"}, "search": {"mode": "match"}},
        {"resource": {"resourceType": "Patient", "id": "b"}},
        {"resource": {"resourceType": "Practitioner", "id": "c"}, "search": {"mode": "include"}},
        {"resource": {"resourceType": "OperationOutcome"}, "search": {"mode": "outcome"}},
        {"fullUrl": "x"},
    ]
    fake = Scripted(fhir({"resourceType": "Bundle", "type": "searchset", "entry": entries}))
    assert [one["id"] for one in server(fake).search("Patient", {})] == ["a", "b"]


def test_a_bundle_may_have_an_identifier_of_its_own() -> None:
    """FHIR R4 2.36: one, where most resources have several; it is none of ours."""
    entries = [{"resource": {"resourceType": "Patient", "id": "a"}}]
    named = {"resourceType": "Bundle", "type": "searchset", "identifier": {"value": "urn:uuid:1"}, "entry": entries}
    assert [one["id"] for one in server(Scripted(fhir(named))).search("Patient", {})] == ["a"]


def test_pages_that_lead_back_are_not_read_for_ever() -> None:
    """RULES S2: a server whose `next` names a page that was read already is in trouble."""
    fake = Scripted(bundle({"resourceType": "Patient", "id": "a"}, next_link="http://fake.invalid/fhir/Patient?page=2"))
    found = server(fake).search("Patient", {})
    with pytest.raises(Transient):
        for _ in zip(range(50), found, strict=False):
            pass


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (fhir(PATIENT), Transient),
        (Response(status=200), Transient),
        (Response(status=500), Transient),
        (Response(status=403), TargetPaused),
        (outcome(status=400), StudyError),
    ],
)
def test_what_is_no_bundle_is_no_empty_result(answer: Response, error: type[Exception]) -> None:
    """RULES C9: nothing found is only what a Bundle says."""
    with pytest.raises(error):
        list(server(Scripted(answer)).search("Patient", {}))


@pytest.mark.parametrize(
    ("system", "value", "expected"),
    [
        ("http://x", "1", "http://x|1"),
        ("http://x", "a,b", r"http://x|a\,b"),
        ("http://x", "a|b", r"http://x|a\|b"),
        ("http://x", "a$b", r"http://x|a\$b"),
        ("http://x", "a\\b", "http://x|a\\\\b"),
        ("http://x", "\\,", "http://x|\\\\\\,"),
        ("http://x,y", "1", r"http://x\,y|1"),
        ("http://x", "a b&c=d+é", "http://x|a b&c=d+é"),
    ],
)
def test_a_token_is_escaped(system: str, value: str, expected: str) -> None:
    """FHIR R4 3.1.1.5.7; the form's own encoding does the rest."""
    assert token(system, value) == expected
    fake = Scripted(bundle())
    list(server(fake).search("Patient", {"identifier": expected}))
    assert parse_qs(fake.requests[0].body.decode())["identifier"] == [expected]


# -- writing -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "version", "condition"),
    [
        ("if-match-0", CREATE_ONLY, {"if-match": 'W/"0"'}),
        ("", CREATE_ONLY, {"if-match": 'W/"0"'}),
        ("if-none-match", CREATE_ONLY, {"if-none-match": "*"}),
        ("if-match-0", "4", {"if-match": 'W/"4"'}),
        ("if-none-match", "4", {"if-match": 'W/"4"'}),
        ("get-then-put", "4", {"if-match": 'W/"4"'}),
    ],
)
def test_no_write_is_unconditional(form: str, version: str, condition: dict[str, str]) -> None:
    """RULES C2: create-only by the form that was proved, else the version that must still be there."""
    fake = Scripted(Response(status=201, headers={"ETag": 'W/"1"'}))
    asked = server(fake)
    asked.create_form = form
    asked.put(STUDY, expected_version=version)
    (request,) = fake.requests
    assert {name: text for name, text in request.headers.items() if name.startswith("if-")} == condition
    assert request.headers["prefer"] == "return=minimal"


def test_a_server_without_a_create_only_form_is_read_first() -> None:
    """RULES C2: GET, then PUT: the one exception."""
    fake = Scripted(outcome(status=404), statement("ImagingStudy"), Response(status=201, headers={"ETag": "1"}))
    asked = server(fake)
    asked.create_form = "get-then-put"
    assert asked.put(STUDY, expected_version=CREATE_ONLY).created
    taken = server(Scripted(fhir(STUDY)))
    taken.create_form = "get-then-put"
    with pytest.raises(Conflict):
        taken.put(STUDY, expected_version=CREATE_ONLY)


@pytest.mark.parametrize(
    "headers",
    [
        {"ETag": 'W/"2"'},
        {"ETag": '"2"'},
        {"ETag": "2"},
        {"Location": "http://x/fhir/ImagingStudy/1.2.3/_history/2"},
        {"Content-Location": "ImagingStudy/1.2.3/_history/2", "Location": "http://x/fhir/ImagingStudy/1.2.3"},
        {"Location": "http://x/fhir/ImagingStudy/1.2.3/_history/2", "Content-Location": "http://x/fhir/ImagingStudy/1.2.3"},
    ],
)
def test_the_version_is_taken_from_where_the_server_says_it(headers: dict[str, str]) -> None:
    """FHIR R4 3.1.0.2: ETag, else the version of the location."""
    fake = Scripted(Response(status=200, headers={**headers, "Last-Modified": "now"}))
    written = server(fake).put(STUDY, expected_version="1")
    assert (written.version, written.created, written.last_updated) == ("2", False, "now")
    assert len(fake.requests) == 1


@pytest.mark.parametrize(
    ("headers", "body", "version"),
    [
        ({"ETag": 'W/"1-gzip"', "Content-Location": "http://x/fhir/ImagingStudy/1.2.3/_history/2"}, None, "2"),
        ({"ETag": 'W/"2-gzip"'}, None, "2"),
        ({"ETag": '"2--gzip"'}, None, "2"),
        ({"ETag": '"2;br"'}, None, "2"),
        ({"ETag": 'W/"6a3ed52d-9999-4735-b897-59a96e3a0d6b-gzip"'}, None, "6a3ed52d-9999-4735-b897-59a96e3a0d6b"),
        ({"ETag": '"0123abcd"'}, {**STUDY, "meta": {"versionId": "2", "lastUpdated": "2026-01-01T00:00:00Z"}}, "2"),
        ({}, {**STUDY, "meta": {"versionId": "2"}}, "2"),
        ({"ETag": 'W/"2"'}, {"resourceType": "OperationOutcome", "id": "ok", "meta": {"versionId": "9"}}, "2"),
        ({"ETag": 'W/"2"'}, STUDY, "2"),
    ],
)
def test_a_changed_etag_does_not_hide_the_version(
    headers: dict[str, str], body: dict[str, Any] | None, version: str
) -> None:
    """RULES C4: body, then location, then the ETag without what a packing proxy put behind it."""
    answer = (
        json_response(body, headers={"Content-Type": "application/fhir+json", **headers})
        if body
        else Response(headers=headers)
    )
    fake = Scripted(answer)
    assert server(fake).put(STUDY, expected_version="1").version == version
    assert len(fake.requests) == 1


def test_the_moment_of_a_write_is_the_resources_own_where_it_is_answered() -> None:
    """RULES E3: a proxy may change `Last-Modified`."""
    body = {**STUDY, "meta": {"versionId": "2", "lastUpdated": "2026-01-01T00:00:00.123Z"}}
    fake = Scripted(fhir(body, Last_Modified="Tue, 14 Nov 2023 22:13:20 GMT"))
    assert server(fake).put(STUDY, expected_version="1").last_updated == "2026-01-01T00:00:00Z"


def test_a_tombstone_without_a_version_is_read_and_written_over() -> None:
    """RULES C2: `If-Match: W/""` would be no condition, or an error."""
    fake = Scripted(outcome(status=410), Response(status=200, headers={"ETag": 'W/"5"'}))
    assert server(fake).put(STUDY, expected_version="").version == "5"
    assert not {name for name in fake.requests[1].headers if name.startswith("if-")}
    with pytest.raises(Conflict):
        server(Scripted(fhir(STUDY))).put(STUDY, expected_version="")


def test_a_server_without_versions_is_unsuitable() -> None:
    """RULES C4, docs/fhir-servers.md: no update could be conditional."""
    with pytest.raises(Unsuitable, match="no versions"):
        server(Scripted(Response(status=201), fhir(STUDY))).put(STUDY, expected_version=CREATE_ONLY)


def test_a_version_that_nobody_says_is_read() -> None:
    """RULES C4: without the version the next update could not be conditional."""
    fake = Scripted(Response(status=201), fhir({**STUDY, "meta": {"versionId": "8", "lastUpdated": "x"}}))
    written = server(fake).put(STUDY, expected_version="0")
    assert (written.version, written.created) == ("8", True)
    with pytest.raises(Conflict):
        server(Scripted(Response(status=201), outcome(status=410))).put(STUDY, expected_version="0")


NAMING = "Resource Patient/p-1 not found, specified in path: ImagingStudy.subject"


@pytest.mark.parametrize(
    ("answer", "error", "reason"),
    [
        (outcome(status=409), Conflict, ""),
        (Response(status=412), Conflict, ""),
        (Response(status=410), Conflict, ""),
        (outcome(NAMING, status=400), StudyError, "reference-refused"),
        (outcome(NAMING, status=409), StudyError, "reference-refused"),
        (outcome(NAMING, status=422), StudyError, "reference-refused"),
        (outcome("Patient/not-looked-at", status=422), StudyError, "refused"),
        (outcome(status=400), StudyError, "refused"),
        (Response(status=422), StudyError, "refused"),
        (Response(status=413), StudyError, "too-large"),
        (outcome(status=403), StudyError, "forbidden"),
        (Response(status=404), TargetPaused, ""),
        (Response(status=405), TargetPaused, ""),
        (Response(status=401), TargetPaused, ""),
        (Response(status=307), TargetPaused, ""),
        (Response(status=429), Transient, ""),
        (Response(status=500), Transient, ""),
    ],
)
def test_each_answer_to_a_write_says_who_must_act(answer: Response, error: type[Exception], reason: str) -> None:
    """RULES C6: the table as errors; S1: no text of the server in the message."""
    with pytest.raises(error) as raised:
        server(Scripted(answer)).put(STUDY, expected_version="1")
    assert NAMING not in str(raised.value)
    if isinstance(raised.value, StudyError):
        assert raised.value.reason == reason
        assert (raised.value.outcome is not None) is bool(answer.body)


# -- deleting ----------------------------------------------------------------------------------------------------


TOMBSTONE = outcome(status=410, Location="http://x/fhir/ImagingStudy/1.2.3/_history/8")


@pytest.mark.parametrize(
    "answer",
    [Response(status=200), Response(status=204), outcome(status=202), outcome(status=404), outcome(status=410)],
    ids=lambda answer: str(answer.status),
)
def test_a_deletion_ends_with_the_tombstones_version(answer: Response) -> None:
    """RULES D2, C2: under If-Match where the server heeds it; gone already is as good."""
    fake = Scripted(answer, TOMBSTONE)
    assert server(fake).delete("ImagingStudy", "1.2.3", expected_version="7") == Deleted(version="8")
    assert list(paths(fake)) == ["DELETE /fhir/ImagingStudy/1.2.3", "GET /fhir/ImagingStudy/1.2.3"]
    assert fake.requests[0].headers["if-match"] == 'W/"7"'


@pytest.mark.parametrize(
    "answer",
    [outcome(status=409), Response(status=409), outcome(status=405), outcome(status=403), outcome(status=400)],
    ids=lambda answer: str(answer.status),
)
def test_what_the_server_does_not_delete_stays(answer: Response) -> None:
    """RULES D2: something refers to it (HAPI: 409), or nothing is ever deleted there: no failure of the study."""
    fake = Scripted(answer)
    assert server(fake).delete("ImagingStudy", "1.2.3", expected_version="7") is None
    assert len(fake.requests) == 1


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ([outcome(status=412)], Conflict),
        ([Response(status=200), fhir(STUDY)], Conflict),
        ([Response(status=404)], TargetPaused),
        ([Response(status=401)], TargetPaused),
        ([Response(status=503)], Transient),
        ([Response(status=429)], Transient),
    ],
    ids=["another version", "there again", "no FHIR server", "credentials", "away", "busy"],
)
def test_a_deletion_that_is_not_answered_is_not_done(answers: list[Response], error: type[Exception]) -> None:
    """RULES C6: as for any write."""
    with pytest.raises(error):
        server(Scripted(*answers)).delete("ImagingStudy", "1.2.3", expected_version="7")


def test_a_deletion_that_leaves_no_tombstone() -> None:
    """RULES C2: a server without history: nothing is there, and a first write is one."""
    fake = Scripted(Response(status=204), outcome(status=404), statement("ImagingStudy"))
    assert server(fake).delete("ImagingStudy", "1.2.3", expected_version="7") == Deleted(version="")


# -- what was confirmed, and pages ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "second_of"),
    [
        ("Tue, 14 Nov 2023 22:13:20 GMT", "2023-11-14T22:13:20Z"),
        ("2023-11-14T22:13:20.999+00:00", "2023-11-14T22:13:20Z"),
        ("2023-11-14T23:13:20+01:00", "2023-11-14T22:13:20Z"),
        ("2023-11-14T22:13:20", "2023-11-14T22:13:20"),
        ("yesterday", "yesterday"),
        ("", ""),
    ],
)
def test_a_moment_is_the_same_however_it_is_spelt(said: str, second_of: str) -> None:
    """RULES E3: `meta.lastUpdated` must match what the write's `Last-Modified` said; what cannot be read is not invented."""
    assert second(said) == second_of


@pytest.mark.parametrize(
    ("version", "confirmed", "below"),
    [("1", "2", True), ("2", "2", False), ("10", "9", False), ("9", "10", True), ("a", "b", False), ("", "1", False)],
)
def test_only_numbers_can_be_below(version: str, confirmed: str, below: bool) -> None:
    """RULES E3, FHIR R4 2.26.3.3: versions are opaque, but a lower number is a backup's."""
    assert is_below(version, confirmed) is below


@pytest.mark.parametrize("status", [404, 410])
def test_a_forgotten_page_is_no_end_of_the_search(status: int) -> None:
    """RULES C9: what the page would have shown is not missing."""
    with pytest.raises(PageGone):
        server(Scripted(bundle(), outcome(status=status))).search_page("ImagingStudy", {}, following="?_getpages=1")


def test_a_404_to_a_write_means_absence_only_where_the_type_is_served() -> None:
    """RULES C6: 404 with an OperationOutcome while /metadata lists the type → absent, looked at afresh; else paused."""
    with pytest.raises(Conflict):
        server(Scripted(outcome(status=404), statement("ImagingStudy"))).put(STUDY, expected_version="1")
    with pytest.raises(TargetPaused, match="does not serve ImagingStudy"):
        server(Scripted(outcome(status=404), statement("Patient"))).put(STUDY, expected_version="1")
