"""An Orthanc that says exactly what a test wants, route by route, in the short form of both versions.

The fake Orthanc of `tests.fakes` behaves; this one misbehaves: it tears a study between two calls, cuts a find, or answers
what no Orthanc would.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import httpx

from syncd.archive.orthanc import OrthancArchive
from syncd.archive.rest.connection import ArchiveConnection
from syncd.model.ids import ArchiveName, OrthancId
from tests.planted import SCRIPTED_PASSWORD

Answer = Callable[[httpx.Request], httpx.Response]

CONNECTION = ArchiveConnection(
    name=ArchiveName("main"), url="http://orthanc.invalid/pacs", username="user", password=SCRIPTED_PASSWORD, timeout=3
)


def orthanc_id(number: int) -> OrthancId:
    """The id that stands for this number."""
    text = f"{number:040x}"
    return OrthancId("-".join(text[at : at + 8] for at in range(0, 40, 8)))


STUDY = orthanc_id(1)


def answering(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """Always the same JSON."""
    return lambda request: httpx.Response(status, json=value, headers=headers)


def in_turn(*replies: Answer) -> Answer:
    """One after the other; the last one for ever."""
    left = list(replies)
    return lambda request: (left.pop(0) if len(left) > 1 else left[0])(request)


class Scripted(httpx.BaseTransport):
    """Answers by method and path below the root; records what was asked."""

    def __init__(self, routes: Mapping[str, Answer]) -> None:
        self.routes = dict(routes)
        self.requests: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        route = f"{request.method} {request.url.path.removeprefix('/pacs')}"
        return self.routes.get(route, lambda _: httpx.Response(404))(request)

    @property
    def asked(self) -> list[str]:
        return [f"{each.method} {each.url.path.removeprefix('/pacs')}" for each in self.requests]

    def bodies(self, path: str) -> list[Any]:
        return [json.loads(each.content) for each in self.requests if each.url.path.endswith(path)]


def archive(routes: Mapping[str, Answer], **options: Any) -> tuple[OrthancArchive, Scripted]:
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
) -> dict[str, Answer]:
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
        "POST /tools/find": lambda request: httpx.Response(200, json=all_instances[json.loads(request.content)["Since"] :]),
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
