"""An Orthanc in memory, version 1.10.1 or 1.12.7, as far as syncd and its tests speak to one.

Every answer was taken from the real servers, and `tests/contracts/orthanc_contract.py` holds fake and real to it. What
is not there: DICOM networking, jobs, DICOMweb, images, and `find` by tags below the level asked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from tests.fakes.http import FakeServer, Request, Response, basic, json_response
from tests.fakes.orthanc_changes import change_page
from tests.fakes.orthanc_find import Limits, find, lookup
from tests.fakes.orthanc_index import FOLDERS, LEVELS, Index, Resource, stamp
from tests.fakes.orthanc_modify import modify
from tests.fakes.orthanc_tags import (
    INSTANCE,
    STUDY,
    NotDicom,
    UnnamedInstance,
    full,
    orthanc_id,
    parse,
    raw_value,
    shared,
    shortened,
    simplified,
    tags_of,
    to_file,
)
from tests.fakes.orthanc_views import MODERN_SYSTEM, expanded, requested_tags, statistics_of

VERSIONS = ("1.10.1", "1.12.7")
_LEVEL_OF = {folder: level for level, folder in FOLDERS.items()}
_FIRST_USER_METADATA = 1024


class FakeOrthanc(FakeServer):
    """One archive. `store` and `handle` are the ways in; `tick` lets what is old enough become stable."""

    def __init__(
        self,
        version: str = "1.12.7",
        *,
        clock: Callable[[], float],
        stable_age: float = 1.0,
        credentials: tuple[str, str] | None = None,
        dicomweb: bool = True,
        limits: Limits | None = None,
        overwrites: bool = False,
        name: str = "fake",
    ) -> None:
        super().__init__(clock=clock, authorization=basic(*credentials) if credentials else "")
        assert version in VERSIONS
        self.version = version
        self.modern = version != "1.10.1"
        self.dicomweb = dicomweb
        self.stable_age = stable_age
        self.limits = limits or Limits()
        self.overwrites = overwrites
        self.name = name
        self.index = self._new_index()

    # -- what happens to an archive ------------------------------------------------------------------------------

    def store(self, **keywords: Any) -> str:
        """Store an instance given by DICOM keywords; returns its Orthanc id. UIDs left out are derived and unique."""
        number = self.index.highest + 1
        study = keywords.setdefault("StudyInstanceUID", f"1.2.276.{number}")
        series = keywords.setdefault("SeriesInstanceUID", f"{study}.1")
        keywords.setdefault("SOPInstanceUID", f"{series}.{number}")
        keywords.setdefault("SOPClassUID", "1.2.840.10008.5.1.4.1.1.7")
        keywords.setdefault("PatientID", "P")
        with self._lock:
            self.tick()
            instance, _ = self.index.add(
                tags_of(keywords), now=self.clock(), file=None, metadata={"SopClassUid": keywords["SOPClassUID"]}
            )
        return instance.id

    def tick(self) -> None:
        """Log what became stable by now; every request does so first."""
        self.index.tick(self.clock())

    def restart(self) -> None:
        """SIGKILL and start: what was not yet stable counts as stable, and no event will say so."""
        with self._lock:
            self.tick()
            self.index.forget_unstable()

    def wipe(self) -> None:
        """The index is lost: an empty archive at the same address, numbers from 1."""
        with self._lock:
            self.index = self._new_index()

    def study_of(self, instance_id: str) -> str:
        """The Orthanc id of an instance's study."""
        return self.index.above(self.index.resources[instance_id], STUDY).id

    def _new_index(self) -> Index:
        return Index(
            modern=self.modern,
            stable_age=self.stable_age,
            caches_series=self.modern and self.dicomweb,
            overwrites=self.overwrites,
        )

    # -- HTTP ----------------------------------------------------------------------------------------------------

    def unauthorized(self) -> Response:
        return Response(status=401, headers={"WWW-Authenticate": 'Basic realm="Orthanc Secure Area"'})

    def answer(self, request: Request) -> Response:
        self.tick()
        parts = request.path.strip("/").split("/")
        if parts[0] in _LEVEL_OF:
            return self._resource_route(request, _LEVEL_OF[parts[0]], parts[1:])
        handler = {
            ("GET", "system"): self._system,
            ("GET", "statistics"): self._statistics,
            ("GET", "plugins"): self._plugins,
            ("GET", "changes"): self._changes,
            ("DELETE", "changes"): self._clear_changes,
            ("POST", "tools/bulk-content"): self._bulk_content,
            ("POST", "tools/find"): self._find,
            ("POST", "tools/lookup"): self._lookup,
            ("GET", "tools/now"): lambda _: _text(stamp(self.clock())),
        }.get((request.method, "plugins" if parts[0] == "plugins" else "/".join(parts)))
        return handler(request) if handler else self._error(request, 404, "Unknown resource", 17)

    def _resource_route(self, request: Request, level: str, parts: list[str]) -> Response:
        if not parts:
            if level == INSTANCE and request.method == "POST":
                return self._upload(request)
            return self._list(request, level) if request.method == "GET" else Response(status=405)
        resource = self.index.resources.get(parts[0])
        if resource is None or resource.level != level:
            # Orthanc answers an unknown resource with an empty body, and anything below it with a message.
            return Response(status=404) if len(parts) == 1 else self._error(request, 404, "Unknown resource", 17)
        if len(parts) == 1:
            return self._one(request, resource)
        if parts[1] == "metadata":
            return self._metadata(request, resource, parts[2:])
        if parts[1] == "labels" and self.modern:
            return self._labels(request, resource, parts[2:])
        return self._below(request, resource, "/".join(parts[1:]))

    def _one(self, request: Request, resource: Resource) -> Response:
        if request.method == "DELETE":
            ancestor = self.index.remove(resource, now=self.clock())
            remaining = {"ID": ancestor.id, "Path": ancestor.path, "Type": ancestor.level} if ancestor else None
            return json_response({"RemainingAncestor": remaining})
        if request.method != "GET":
            return Response(status=405 if request.method != "HEAD" else 404)
        shown = expanded(self.index, resource)
        wanted = request.query.get("requested-tags") or request.query.get("requestedTags")
        if wanted and self.modern:
            shown["RequestedTags"] = requested_tags(self.index, resource, wanted.split(";"))
        return json_response(shown)

    def _below(self, request: Request, resource: Resource, what: str) -> Response:
        if request.method == "POST" and what == "reconstruct":
            self.index.reconstruct(resource)
            return _text("")
        if request.method == "POST" and what == "modify" and resource.level == STUDY:
            return self._modify(request, resource)
        if request.method != "GET":
            return self._error(request, 404, "Unknown resource", 17)
        if what == "statistics":
            return json_response(statistics_of(self.index, resource))
        if resource.level == INSTANCE:
            return self._of_instance(request, resource, what)
        if what == "shared-tags" and "short" in request.query:
            return json_response(shared([one.tags for one in self.index.below(resource, INSTANCE)]))
        if what == "instances-tags" and "short" in request.query:
            found = self.index.below(resource, INSTANCE)
            return self._shortened(request, {one.id: one.tags for one in found})
        if what in ("series", "instances") and LEVELS.index(_LEVEL_OF[what]) > LEVELS.index(resource.level):
            found = list(self.index.below(resource, _LEVEL_OF[what]))
            if self.modern and request.query.get("expand") == "false":
                return json_response([one.id for one in found])
            return json_response([expanded(self.index, one) for one in found])
        return self._error(request, 404, "Unknown resource", 17)

    def _of_instance(self, request: Request, resource: Resource, what: str) -> Response:
        match what:
            case "file":
                return Response(headers={"Content-Type": "application/dicom"}, body=_file(resource))
            case "simplified-tags":
                return json_response(simplified(shortened(resource.tags)))
            case "tags" if "short" in request.query:
                return self._shortened(request, resource.tags)
            case "tags" if "simplify" in request.query:
                return json_response(simplified(shortened(resource.tags)))
            case "tags":
                return json_response(full(shortened(resource.tags)))
            case "patient" | "study" | "series":
                return json_response(expanded(self.index, self.index.above(resource, what.capitalize())))
        if what.split("/")[0] == "content":
            value = raw_value(_file(resource), [each for each in what.split("/")[1:] if each])
            if isinstance(value, bytes):
                return Response(headers={"Content-Type": "application/octet-stream"}, body=value)
            return Response(status=404) if value is None else json_response(value)
        return self._error(request, 404, "Unknown resource", 17)

    def _shortened(self, request: Request, shown: Any) -> Response:
        """Tags of one instance, or of several by id, with the texts whole that are asked for so."""
        named = request.query.get("ignore-length", "")
        if "%" in request.raw_query:
            return self._error(request, 500, "Unknown DICOM tag", 27, details=named)
        whole = [tag.replace("-", ",") for tag in named.split(",")]
        if request.path.endswith("/instances-tags"):
            return json_response({each: shortened(tags, whole=whole) for each, tags in shown.items()})
        return json_response(shortened(shown, whole=whole))

    def _upload(self, request: Request) -> Response:
        try:
            tags, syntax = parse(request.body)
        except UnnamedInstance:
            return self._error(request, 404, "Inexistent tag", 21)
        except NotDicom as error:
            return self._error(request, 400, "Bad file format", 15, details=str(error))
        metadata = {"SopClassUid": tags.get("0008,0016") or "", "TransferSyntax": syntax, "Origin": "RestApi"}
        instance, new = self.index.add(tags, now=self.clock(), file=request.body, metadata=metadata)
        series = self.index.resources[instance.parent]
        study = self.index.resources[series.parent]
        return json_response(
            {
                "ID": instance.id,
                "ParentPatient": study.parent,
                "ParentSeries": series.id,
                "ParentStudy": study.id,
                "Path": instance.path,
                "Status": "Success" if new else "AlreadyStored",
            }
        )

    def _list(self, request: Request, level: str) -> Response:
        found = self.index.all(level)
        for one, other in (("limit", "since"), ("since", "limit")):
            if one in request.query and other not in request.query:
                details = f'Missing "{other}" argument for GET request against: {request.path}/'
                return self._error(request, 400, "Bad request", 8, details=details)
        if "since" in request.query:
            since, limit = int(request.query["since"]), int(request.query["limit"])
            found = found[since : since + limit if limit else None]
        if "expand" in request.query and not (self.modern and request.query["expand"] == "false"):
            return json_response([expanded(self.index, one) for one in found])
        return json_response([one.id for one in found])

    def _metadata(self, request: Request, resource: Resource, parts: list[str]) -> Response:
        if not parts:
            return json_response(resource.metadata if "expand" in request.query else list(resource.metadata))
        name = parts[0]
        if request.method == "PUT":
            if not name.isdigit() or int(name) < _FIRST_USER_METADATA:
                return Response(status=403)
            resource.metadata[name] = request.body.decode()
            self.index.write("UpdatedMetadata", resource, self.clock())
            return _text("")
        if name not in resource.metadata:
            return self._error(request, 404, "Accessing an inexistent item", 7)
        return _text(resource.metadata[name])

    def _labels(self, request: Request, resource: Resource, parts: list[str]) -> Response:
        if not parts:
            return json_response(sorted(resource.labels))
        if request.method == "PUT":
            resource.labels.add(parts[0])
            return _text("")
        if request.method == "DELETE":
            resource.labels.discard(parts[0])
            return _text("")
        return _text("") if parts[0] in resource.labels else self._error(request, 404, "Unknown resource", 17)

    def _system(self, _: Request) -> Response:
        shown: dict[str, Any] = {
            "ApiVersion": 27 if self.modern else 16,
            "DatabaseVersion": 6,
            "DicomAet": "ORTHANC",
            "Name": self.name,
            "PluginsEnabled": True,
            "Version": self.version,
        }
        if self.modern:
            # Made of host and configuration: it survives a wiped index, and changes with the port.
            shown |= MODERN_SYSTEM | {"DatabaseServerIdentifier": orthanc_id(self.name, self.url)}
        return json_response(shown)

    def _plugins(self, request: Request) -> Response:
        installed = ["explorer.js", *(["dicom-web"] if self.dicomweb else [])]
        if request.path.rstrip("/") == "/plugins":
            return json_response(installed)
        if request.path != "/plugins/dicom-web" or not self.dicomweb:
            return Response(status=404)
        root = "../dicom-web/app/client/index.html"
        return json_response({"ID": "dicom-web", "RootUri": root, "Version": "1.20" if self.modern else "1.7"})

    def _statistics(self, _: Request) -> Response:
        counts = {f"Count{FOLDERS[level].capitalize()}": len(self.index.all(level)) for level in LEVELS}
        size = sum(one.size for one in self.index.all(INSTANCE))
        return json_response({**counts, "TotalDiskSize": str(size), "TotalDiskSizeMB": size >> 20})

    def _changes(self, request: Request) -> Response:
        page = change_page(self.index, request.query)
        if page is None:
            return self._error(request, 400, "Parameter out of range", 3)
        return json_response(page)

    def _clear_changes(self, _: Request) -> Response:
        self.index.log.clear()
        return _text("")

    def _bulk_content(self, request: Request) -> Response:
        asked = _object(request)
        if asked is None:
            return self._error(request, 400, "Bad request", 8, details="The body must contain a JSON object")
        if not isinstance(asked.get("Resources"), list):
            return self._error(request, 400, "Bad file format", 15, details="List of strings expected in field: Resources")
        known = [self.index.resources[one] for one in asked["Resources"] if one in self.index.resources]
        if "Level" in asked:
            related = {one.id: one for resource in known for one in self.index.related(resource, asked["Level"])}
            known = [related[one] for one in sorted(related)]
        return json_response([expanded(self.index, one, metadata=asked.get("Metadata", True)) for one in known])

    def _find(self, request: Request) -> Response:
        asked = _object(request)
        if asked is None or not isinstance(asked.get("Query"), dict):
            details = 'Field "Query" is missing, or should be a JSON object'
            return self._error(request, 400, "Bad request", 8, details=details)
        return json_response(find(self.index, asked, self.limits))

    def _lookup(self, request: Request) -> Response:
        return json_response(lookup(self.index, request.body.decode().strip()))

    def _modify(self, request: Request, study: Resource) -> Response:
        asked = _object(request)
        if asked is None:
            return self._error(request, 400, "Bad request", 8)
        answer = modify(self.index, study, asked, now=self.clock())
        if isinstance(answer, str):
            return self._error(request, 400, "Bad request", 8, details=answer)
        return json_response(answer)

    def _error(self, request: Request, status: int, message: str, code: int, *, details: str = "") -> Response:
        names = {400: "Bad Request", 404: "Not Found", 500: "Internal Server Error"}
        shown: dict[str, Any] = {"Details": details} if details else {}
        shown |= {"HttpError": names[status], "HttpStatus": status, "Message": message, "Method": request.method}
        shown |= {"OrthancError": message, "OrthancStatus": code, "Uri": request.path}
        # 1.10 sends its messages without a content type.
        headers = {"Content-Type": "text/plain"} if self.modern else {}
        return Response(status=status, headers=headers, body=json.dumps(shown).encode())


def _object(request: Request) -> Mapping[str, Any] | None:
    try:
        value = request.json
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _text(value: str) -> Response:
    return Response(headers={"Content-Type": "text/plain"}, body=value.encode())


def _file(resource: Resource) -> bytes:
    return resource.file if resource.file is not None else to_file(resource.tags)
