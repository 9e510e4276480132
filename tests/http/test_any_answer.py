"""Whatever a server answers, only errors that say who must act come out of both clients (RULES S2).

Drawn are any bytes, any JSON, and the answers that servers really give with one or a few of their parts exchanged for
something else: what is nearly right goes deepest. Every fault that was found this way stands below as a row.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from syncd.archive.orthanc import OrthancArchive
from syncd.archive.rest.connection import ArchiveConnection
from syncd.errors import SyncdError
from syncd.http.messages import Answer, Request
from syncd.model.ids import ArchiveName
from syncd.publish.listing import list_tagged
from syncd.publish.lookups import patients, service_requests
from syncd.publish.server import FhirServer
from tests.archive.scripted import STUDY, Asked, instance, orthanc_id, saying, study, system
from tests.fakes.http import Response
from tests.publish.scripted import Scripted, http

pytestmark = pytest.mark.machine

EXAMPLES, LONG = 60, 1000
"""Answers to each call, and how many in `make test-long`."""
UNHURRIED: dict[str, Any] = {"deadline": None, "suppress_health_check": list(HealthCheck)}

UID = "1.2.3"
IMAGING_STUDY = {
    "resourceType": "ImagingStudy",
    "id": UID,
    "meta": {"versionId": "3", "lastUpdated": "2026-01-01T00:00:00+00:00", "tag": [{"system": "x", "code": "y"}]},
    "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{UID}"}],
    "status": "available",
    "subject": {"reference": "http://fake.invalid/fhir/Patient/1"},
    "numberOfInstances": 1,
    "series": [{"uid": "1.2.4", "instance": [{"uid": "1.2.5"}], "endpoint": [{"reference": "Endpoint/1"}]}],
}
PATIENT = {
    "resourceType": "Patient",
    "id": "1",
    "meta": {"versionId": "1"},
    "active": True,
    "identifier": [{"system": "s", "value": "v"}],
    "link": [{"type": "replaced-by", "other": {"reference": "Patient/2"}}],
}
ORDER = {"resourceType": "ServiceRequest", "id": "1", "status": "active", "replaces": [{"reference": "ServiceRequest/2"}]}


def bundle(*resources: Any) -> Any:
    entries = [{"fullUrl": f"http://inside:1/fhir/{one['resourceType']}/1", "resource": one} for one in resources]
    links = [
        {"relation": "self", "url": "http://inside:1/fhir/Patient?a=b"},
        {"relation": "next", "url": "http://inside:1/fhir?p=2"},
    ]
    return {"resourceType": "Bundle", "type": "searchset", "link": links, "entry": entries}


FHIR_ANSWERS = [
    IMAGING_STUDY,
    PATIENT,
    ORDER,
    bundle(IMAGING_STUDY, PATIENT, ORDER),
    {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": "x", "expression": ["a"], "details": {"text": "t"}}],
    },
    {
        "resourceType": "CapabilityStatement",
        "fhirVersion": "4.0.1",
        "software": {"name": "X"},
        "rest": [{"mode": "server", "resource": [{"type": "ImagingStudy", "updateCreate": True}]}],
    },
]
SERIES = {"ID": orthanc_id(2), "ParentStudy": STUDY, "MainDicomTags": {"0008,0060": "CT"}, "Instances": [orthanc_id(3)]}
CHANGE = {"Seq": 1, "ID": STUDY, "ChangeType": "NewStudy", "ResourceType": "Study", "Date": "20260101T000000"}
ARCHIVE_ANSWERS = [
    system(modern=True),
    system(modern=False),
    study([2], count=1),
    [study([2], count=1)],
    [instance(3, series=2)],
    [SERIES],
    {"Changes": [CHANGE], "Done": True, "Last": 1},
    {"0008,0018": "1.2.5", "0008,0016": "1.2", "0040,a730": [{"0008,0100": "x"}], "0028,0008": "1"},
    {orthanc_id(3): {"0008,0018": "1.2.5"}},
    {"CountInstances": 1, "CountStudies": 1},
    [{"ID": STUDY, "Type": "Study"}],
    [STUDY],
    {"ID": "dicom-web", "RootUri": "../dicom-web/app/client/index.html"},
]

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([2**63, -(2**63) - 1, 10**30, 10**308, 1e300, ""]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(
        ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "/_history/1", "http://[", "//x", "\\", "\x00"]
    ),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place within."""
    yield path
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        yield from places(inner, (*path, step))


@st.composite
def spoilt(draw: st.DrawFn, answers: list[Any]) -> Any:
    """One of the answers, some of its parts exchanged."""
    value = copy.deepcopy(draw(st.sampled_from(answers)))
    for _ in range(draw(st.integers(0, 3))):
        path = draw(st.sampled_from(sorted(places(value), key=str)))
        other = draw(values)
        if not path:
            return other
        holder = value
        for step in path[:-1]:
            holder = holder[step]
        holder[path[-1]] = other
    return value


def bodies(answers: list[Any]) -> st.SearchStrategy[bytes]:
    """What is nearly right, mostly."""
    right = spoilt(answers).map(lambda value: json.dumps(value).encode())
    return st.one_of(right, right, right, st.binary(max_size=50), values.map(lambda value: json.dumps(value).encode()))


words = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=30)
said = st.one_of(
    words, st.sampled_from(["Mon, 01 Jan 0001 00:00:00 +2359", "Fri, 31 Dec 9999 23:59:59 -2359", 'W/"1"', "/_history/"])
)
headers = st.dictionaries(
    st.sampled_from(
        [
            "Retry-After",
            "Date",
            "ETag",
            "Location",
            "Content-Location",
            "Last-Modified",
            "Set-Cookie",
            "Content-Encoding",
            "Link",
        ]
    ),
    said,
    max_size=4,
)
kinds = st.sampled_from(["application/fhir+json", "application/json", "text/html"]) | words
statuses = st.sampled_from([200, 200, 200, 200, 201, 204, 302, 400, 401, 404, 409, 410, 412, 422, 429, 503]) | st.integers(
    200, 599
)


@st.composite
def replies(draw: st.DrawFn, answers: list[Any]) -> Response:
    sent = {"Content-Type": draw(st.just("application/fhir+json") | kinds)} | draw(st.just({}) | headers)
    return Response(status=draw(statuses), headers=sent, body=draw(bodies(answers)))


FHIR_CALLS: dict[str, Callable[[FhirServer], Any]] = {
    "capabilities": lambda server: (found := server.capabilities(), found.clock),
    "read": lambda server: server.read("ImagingStudy", UID),
    "read a Patient": lambda server: server.read("Patient", "1"),
    "search": lambda server: list(server.search("Patient", {"identifier": "x"})),
    "put": lambda server: server.put(IMAGING_STUDY, expected_version="1"),
    "delete": lambda server: server.delete("ImagingStudy", UID, expected_version="1"),
    "patients": lambda server: patients(server, system="s", value="v"),
    "orders": lambda server: service_requests(server, system="s", value="v"),
    "listing": lambda server: list(list_tagged(server, installation_id="x", fhir_version="r4")),
}
ARCHIVE_CALLS: dict[str, Callable[[OrthancArchive], Any]] = {
    "info": lambda archive: archive.info(),
    "clock": lambda archive: archive.clock(),
    "changes": lambda archive: archive.changes(0, limit=10),
    "mark": lambda archive: archive.high_water_mark(),
    "study": lambda archive: archive.study(STUDY),
    "registered": lambda archive: archive.read_registered(STUDY),
    "whole": lambda archive: archive.read_study(STUDY),
    "studies of": lambda archive: archive.studies_of([STUDY]),
    "lookup": lambda archive: archive.lookup(UID),
    "sender": lambda archive: archive.calling_aet(orthanc_id(3)),
    "inventory": lambda archive: list(archive.inventory()),
    "ids": lambda archive: list(archive.study_ids()),
    "counts": lambda archive: archive.instance_counts({STUDY: UID}),
    "page of counts": lambda archive: archive.counts_page(0),
    "others": lambda archive: archive.serves_others([STUDY]),
}


def ask_fhir(call: str, answers: list[Response]) -> None:
    """One to four answers in turn, the last one for ever."""
    with suppress(SyncdError):
        FHIR_CALLS[call](FhirServer(http(Scripted(*answers))))


def ask_archive(call: str, data: st.DataObject) -> None:
    """Most of the answers are as they should be, so that reading goes on."""
    main = ArchiveConnection(name=ArchiveName("main"), url="http://orthanc.invalid")
    with suppress(SyncdError):
        ARCHIVE_CALLS[call](OrthancArchive(main, transport=_Drawn(data)))


def draws(call: str) -> Callable[[], None]:
    """The claim about one call, for hypothesis."""
    if call in FHIR_CALLS:
        return given(st.lists(replies(FHIR_ANSWERS), min_size=1, max_size=4))(lambda answers: ask_fhir(call, answers))
    return given(st.data())(lambda data: ask_archive(call, data))


@pytest.mark.parametrize("call", [*FHIR_CALLS, *ARCHIVE_CALLS])
def test_a_server_may_answer_anything(call: str) -> None:
    """RULES S2. The same answers each time, so that a change is judged by those of the one before it."""
    settings(max_examples=EXAMPLES, derandomize=True, phases=[Phase.explicit, Phase.generate], **UNHURRIED)(draws(call))()


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("call", [*FHIR_CALLS, *ARCHIVE_CALLS])
def test_a_server_may_answer_anything_far_more_often(call: str) -> None:
    """The same, with answers that nobody has seen before."""
    settings(max_examples=LONG, **UNHURRIED)(draws(call))()


class _Drawn:
    """Route by route what fits it, but for some part; never more than a few answers."""

    def __init__(self, data: st.DataObject) -> None:
        self._data = data
        self._left = 12

    def send(self, request: Request) -> Answer:
        self._left -= 1
        if self._left < 0:
            return saying(503)
        reply = self._data.draw(replies([self._fitting(Asked.of(request))]))
        status = reply.status if self._left % 4 == 0 else 200
        return saying(status, headers=reply.headers, content=iter([reply.body]))

    def close(self) -> None:
        """There is no connection."""

    def _fitting(self, request: Asked) -> Any:
        path = request.path
        body = request.content.decode("latin-1")
        for part, answer in (
            ("/system", system(modern=self._data.draw(st.booleans()))),
            ("/changes", ARCHIVE_ANSWERS[6]),
            ("/statistics", {"CountInstances": 1, "CountStudies": 1}),
            ("/series", [SERIES]),
            ("/instances-tags", ARCHIVE_ANSWERS[8]),
            ("-tags", ARCHIVE_ANSWERS[7]),
            ("/tags", ARCHIVE_ANSWERS[7]),
            ("/lookup", ARCHIVE_ANSWERS[10]),
            ("/plugins", ARCHIVE_ANSWERS[12]),
            (STUDY, study([2], count=1)),
        ):
            if path.endswith(part) or (part == "/plugins" and part in path):
                return answer
        if '"Instance"' in body:
            return [instance(3, series=2)]
        if '"Series"' in body:
            return [SERIES]
        return [STUDY] if path == "/studies" and "expand" not in request.query else [study([2], count=1)]
