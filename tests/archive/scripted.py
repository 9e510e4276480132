"""An Orthanc that says exactly what a test wants, route by route, in the short form of both versions.

The fake Orthanc of `tests.fakes` behaves; this one misbehaves: it tears a study between two calls, cuts a find, or answers
what no Orthanc would.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from syncd.archive.orthanc import OrthancArchive
from syncd.archive.rest.connection import ArchiveConnection
from syncd.http.messages import Answer, Body, Headers, Request
from syncd.model.ids import ArchiveName, OrthancId
from tests.fakes.http import Pieces
from tests.planted import SCRIPTED_PASSWORD


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request as a test looks at it."""

    method: str
    url: str
    host: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    content: bytes

    @classmethod
    def of(cls, request: Request) -> Asked:
        parts = urlsplit(request.url)
        return cls(
            method=request.method,
            url=request.url,
            host=request.origin.host,
            path=parts.path,
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            headers=request.headers,
            content=request.body,
        )


Named = Mapping[str, str] | Iterable[tuple[str, str]]

Reply = Callable[[Asked], Answer]
"""What is said to a request; it may raise what a transport raises."""


def saying(
    status: int = 200,
    *,
    json: Any = None,
    text: str = "",
    content: bytes | Iterable[bytes] = b"",
    headers: Named = (),
    body: Body | None = None,
) -> Answer:
    """An answer: JSON, a text, bytes as one piece or as they come, or a body of a test's own."""
    if json is not None:
        content = _written(json)
    pieces = [content or text.encode()] if isinstance(content, bytes) else content
    named = headers.items() if isinstance(headers, Mapping) else headers
    return Answer(status=status, headers=Headers(named), body=body or Pieces(pieces))


def _written(value: Any) -> bytes:
    return json.dumps(value).encode()


CONNECTION = ArchiveConnection(
    name=ArchiveName("main"), url="http://orthanc.invalid/pacs", username="user", password=SCRIPTED_PASSWORD, timeout=3
)


def orthanc_id(number: int) -> OrthancId:
    """The id that stands for this number."""
    text = f"{number:040x}"
    return OrthancId("-".join(text[at : at + 8] for at in range(0, 40, 8)))


STUDY = orthanc_id(1)


def answering(value: Any, *, status: int = 200, headers: Named = ()) -> Reply:
    """Always the same JSON."""
    return lambda request: saying(status, json=value, headers=headers)


def in_turn(*replies: Reply) -> Reply:
    """One after the other; the last one for ever."""
    left = list(replies)
    return lambda request: (left.pop(0) if len(left) > 1 else left[0])(request)


class Scripted:
    """Answers by method and path below the root; records what was asked."""

    def __init__(self, routes: Mapping[str, Reply]) -> None:
        self.routes = dict(routes)
        self.requests: list[Asked] = []

    def send(self, request: Request) -> Answer:
        asked = Asked.of(request)
        self.requests.append(asked)
        return self.routes.get(_route(asked), lambda _: saying(404))(asked)

    def close(self) -> None:
        """There is no connection."""

    @property
    def asked(self) -> list[str]:
        return [_route(each) for each in self.requests]

    def bodies(self, path: str) -> list[Any]:
        return [json.loads(each.content) for each in self.requests if each.path.endswith(path)]


def _route(asked: Asked) -> str:
    return f"{asked.method} {asked.path.removeprefix('/pacs')}"


def archive(routes: Mapping[str, Reply], **options: Any) -> tuple[OrthancArchive, Scripted]:
    """An OrthancArchive before a scripted Orthanc."""
    scripted = Scripted(routes)
    return OrthancArchive(CONNECTION, transport=scripted, **options), scripted


def system(*, modern: bool) -> dict[str, Any]:
    """`GET /system` of 1.12.7 or 1.10.1, as far as it matters."""
    if modern:
        return {"Version": "1.12.7", "ApiVersion": 27, "Capabilities": {"HasExtendedFind": True}}
    return {"Version": "1.10.1", "ApiVersion": 16}


def study(
    series: Iterable[int], *, number: int = 1, count: int | None = None, update: str = "20260301T101500", stable: bool = True
) -> dict[str, Any]:
    """`GET /studies/{id}?short`, with the requested tag where `count` is given."""
    shown: dict[str, Any] = {
        "ID": orthanc_id(number),
        "IsStable": stable,
        "LastUpdate": update,
        "MainDicomTags": {"0008,0020": "20260301", "0020,000d": f"1.2.{number}"},
        "PatientMainDicomTags": {"0010,0020": "P1"},
        "Series": [orthanc_id(each) for each in series],
        "Type": "Study",
    }
    if count is not None:
        shown["RequestedTags"] = {"0020,1208": str(count)}
    return shown


def instance(number: int, *, series: int, position: str | None = None, sop_class: str = "1.2.840.10008.5.1.4.1.1.2") -> Any:
    """An entry of a bulk or find answer."""
    tags = {"0008,0018": f"1.2.1.{number}", **({"0020,0013": position} if position is not None else {})}
    return {
        "ID": orthanc_id(number),
        "ParentSeries": orthanc_id(series),
        "MainDicomTags": tags,
        "Metadata": {"SopClassUid": sop_class},
        "Type": "Instance",
    }


def study_routes(
    instances: Iterable[Any], *, modern: bool = False, tags: Mapping[str, Any] | None = None
) -> dict[str, Reply]:
    """All routes that a pass over study 1 with these instances takes; every instance has the same further `tags`."""
    all_instances = list(instances)
    series = sorted({int(each["ParentSeries"].replace("-", ""), 16) for each in all_instances})
    tagged = {each["ID"]: {**each["MainDicomTags"], **(tags or {})} for each in all_instances}
    said = {key: [each for each in all_instances if each["ParentSeries"] == orthanc_id(key)] for key in series}
    full = {
        f"GET /instances/{each['ID']}/tags": answering({**each["MainDicomTags"], **(tags or {})}) for each in all_instances
    }
    return {
        "GET /system": answering(system(modern=modern)),
        f"GET /studies/{STUDY}": answering(study(series, count=len(all_instances) if modern else None)),
        f"GET /studies/{STUDY}/statistics": answering({"CountInstances": len(all_instances)}),
        "POST /tools/bulk-content": answering(all_instances),
        "POST /tools/find": lambda request: saying(200, json=all_instances[json.loads(request.content)["Since"] :]),
        **full,
        **{
            f"GET /series/{orthanc_id(key)}/instances-tags": answering(
                {each["ID"]: tagged[each["ID"]] for each in said[key]}
            )
            for key in series
        },
        **{
            f"GET /series/{orthanc_id(key)}/shared-tags": answering(
                {tag: one for tag, one in (tags or {}).items() if isinstance(one, str)}
            )
            for key in series
        },
    }
