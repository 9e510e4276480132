"""Searches as HAPI answers them: cached for a minute, paged, `total` not always there (RULES C9).

A cached search keeps the ids it found; what was deleted since is simply missing from its page.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from tests.fakes.fhir_dstu2 import STUDY_PARAMETERS, uids
from tests.fakes.fhir_dstu2 import SUBSETTED as SUBSETTED_DSTU2
from tests.fakes.fhir_references import indexed, local
from tests.fakes.fhir_store import Refusal, Resource, Store, instant

CACHED_FOR = 60.0
DEFAULT_COUNT = 10
SUBSETTED = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
    "display": "Resource encoded in summary mode",
}
_RESULT_PARAMETERS = frozenset({"_count", "_elements", "_summary", "_total", "_sort", "_format", "_pretty"})
_REFERENCES = {
    "patient": ("subject", "patient"),
    "subject": ("subject",),
    "endpoint": ("endpoint",),
    "encounter": ("encounter",),
    "target": ("target",),
    "link": ("link.other",),
    "derived-from": ("derivedFrom",),
}
_TOKENS = frozenset({"_id", "identifier", "_tag", "_security", "status"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One search that was carried out."""

    resource_type: str
    ids: tuple[str, ...]
    moment: float


class Searches:
    """Carries out searches over a store, remembers them, and hands out their pages."""

    def __init__(
        self, store: Store, *, clock: Callable[[], float], base_url: Callable[[], str], dstu2: bool = False
    ) -> None:
        self._dstu2 = dstu2
        self._store = store
        self._clock = clock
        self._base_url = base_url
        self._cache: dict[tuple[str, str], Found] = {}
        self._pages: dict[str, Found] = {}
        self._numbers = itertools.count(1)

    def search(self, resource_type: str, params: Mapping[str, str], *, fresh: bool, via: str) -> tuple[Resource, bool]:
        """The Bundle, and whether it came from the cache. `via` is the path asked. Raises `Refusal`."""
        filters = {name: value for name, value in params.items() if name not in _RESULT_PARAMETERS}
        known = _TOKENS | _REFERENCES.keys() | {"_lastUpdated"}
        if self._dstu2 and resource_type == "ImagingStudy":
            known = STUDY_PARAMETERS
        for name in filters:
            if name not in known:
                raise Refusal(400, f'HAPI-0524: Unknown search parameter "{name}" for resource type "{resource_type}"')
        counting = params.get("_summary") == "count" or params.get("_count") == "0"
        key = (resource_type, urlencode(sorted(filters.items())) + f"#{params.get('_count')}#{counting}")
        cached = self._cache.get(key)
        hit = not fresh and cached is not None and self._clock() - cached.moment < CACHED_FOR
        found = cached if hit and cached is not None else self._carry_out(resource_type, filters)
        if not hit and not fresh:
            self._cache[key] = found
        if counting:
            return self._bundle(total=len(found.ids)), hit
        count = int(params.get("_count", DEFAULT_COUNT))
        query = urlencode({**params}) if not via.endswith("/_search") else ""
        link = f"{self._base_url()}/{via}" + (f"?{query}" if query else "")
        return self._page(found, offset=0, count=count, elements=params.get("_elements", ""), self_link=link), hit

    def page(self, query: Mapping[str, str]) -> Resource:
        """A further page (`_getpages`). Raises `Refusal` 410 for one that is not known."""
        name = query["_getpages"]
        if name not in self._pages:
            raise Refusal(410, f'HAPI-0417: Search ID "{name}" does not exist and may have expired')
        offset, count = int(query.get("_getpagesoffset", 0)), int(query.get("_count", DEFAULT_COUNT))
        link = self._next_link(name, offset, count, query.get("_elements", ""))
        return self._page(
            self._pages[name], offset=offset, count=count, elements=query.get("_elements", ""), self_link=link, name=name
        )

    def forget(self) -> None:
        """What a restarted server no longer knows."""
        self._cache.clear()
        self._pages.clear()

    def matching(self, resource_type: str, filters: Mapping[str, str]) -> tuple[str, ...]:
        """The ids that match now."""
        base = self._base_url()
        return tuple(
            str(resource["id"])
            for resource in self._candidates(resource_type, filters)
            if all(matches(resource, name, value, base) for name, value in filters.items())
        )

    def _candidates(self, resource_type: str, filters: Mapping[str, str]) -> Iterable[Resource]:
        """Those that may match, told by what is quick to compare: fifty studies are looked up among ten thousand."""
        living = self._store.living(resource_type)
        if "_id" in filters:
            wanted = frozenset(_split(filters["_id"]))
            return (one for one in living if one["id"] in wanted)
        values = frozenset(one.rpartition("|")[2] for one in _split(filters.get("identifier", "")))
        if "" in values:
            return living
        return (one for one in living if any(each.get("value") in values for each in _as_list(one.get("identifier"))))

    def _carry_out(self, resource_type: str, filters: Mapping[str, str]) -> Found:
        ids = self.matching(resource_type, filters)
        return Found(resource_type=resource_type, ids=ids, moment=self._clock())

    def _page(self, found: Found, *, offset: int, count: int, elements: str, self_link: str, name: str = "") -> Resource:
        links = [{"relation": "self", "url": self_link}]
        if offset + count < len(found.ids):
            name = name or f"00000000-0000-4000-8000-{next(self._numbers):012d}"
            self._pages[name] = found
            links.append({"relation": "next", "url": self._next_link(name, offset + count, count, elements)})
        entries = []
        for resource_id in found.ids[offset : offset + count]:
            current = self._store.current((found.resource_type, resource_id))
            if current is None or current.resource is None:
                continue
            full_url = f"{self._base_url()}/{found.resource_type}/{resource_id}"
            shown = subset(current.resource, elements.split(",")) if elements else current.resource
            entries.append({"fullUrl": full_url, "resource": shown, "search": {"mode": "match"}})
        # HAPI knows the total only once it has read to the end; a search of several pages may come without.
        total = len(found.ids) if len(links) == 1 or offset else None
        bundle = self._bundle(total=total)
        return bundle | {"link": links} | ({"entry": entries} if entries else {})

    def _bundle(self, *, total: int | None) -> Resource:
        bundle: dict[str, Any] = {"resourceType": "Bundle", "id": f"search-{next(self._numbers)}", "type": "searchset"}
        bundle["meta"] = {"lastUpdated": instant(self._clock())}
        return bundle | ({"total": total} if total is not None else {})

    def _next_link(self, name: str, offset: int, count: int, elements: str) -> str:
        link = f"{self._base_url()}?_getpages={name}&_getpagesoffset={offset}&_count={count}&_bundletype=searchset"
        return link + (f"&_elements={quote(elements, safe=',')}" if elements else "")


def subset(resource: Resource, elements: list[str]) -> Resource:
    """`_elements`: those, and id and meta, marked SUBSETTED."""
    mark = SUBSETTED if "source" in resource["meta"] else {**SUBSETTED, "system": SUBSETTED_DSTU2}
    meta = {**resource["meta"], "tag": [*resource["meta"].get("tag", ()), mark]}
    kept = {name: resource[name] for name in elements if name in resource}
    return {"resourceType": resource["resourceType"], "id": resource["id"], "meta": meta} | kept


def matches(resource: Resource, name: str, value: str, base_url: str) -> bool:
    """Whether the resource is found by this parameter."""
    if name == "_lastUpdated":
        return value[:2] not in ("ge", "gt") or str(resource["meta"]["lastUpdated"]) >= value[2:]
    return any(_matches_one(resource, name, one, base_url) for one in _split(value))


def _matches_one(resource: Resource, name: str, value: str, base_url: str) -> bool:
    if name == "_id":
        return resource["id"] == value
    if name in ("study", "uid"):
        return value in uids(resource, name)
    if name == "status":
        return resource.get("status") == value.rpartition("|")[2]
    if name in _REFERENCES:
        paths = {f"{resource['resourceType']}.{path}" for path in _REFERENCES[name]}
        wanted = value if "/" in value else f"Patient/{value}"
        return any(at in paths and local(reference, base_url) == wanted for at, reference in indexed(resource))
    system, bar, code = value.rpartition("|")
    if name == "identifier":
        pairs = [(one.get("system"), one.get("value")) for one in _as_list(resource.get("identifier"))]
    else:
        pairs = [(one.get("system"), one.get("code")) for one in resource["meta"].get(name[1:], ())]
    return any(
        (not code or code == value_here) and (not bar or (system or None) == system_here)
        for system_here, value_here in pairs
    )


def _split(value: str) -> list[str]:
    """Comma means or; `\\,` is a comma (FHIR R4 3.1.1.4)."""
    parts = value.replace("\\,", "\0").split(",")
    return [part.replace("\0", ",").replace("\\|", "|").replace("\\\\", "\\") for part in parts]


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if value else []
