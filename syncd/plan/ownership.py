"""Whose is which part of an ImagingStudy (RULES C3).

We own what the archive knows; a human or another program may add to the same resource, and what they added survives.
Some lists both write, and some elements we only fill when they are empty: there, what was *ours* is what the record or
a committed intent says that we wrote, never what merely looks like it.

What we wrote is remembered as digests: to know it again is all that is needed, and an accession number or the name of
a referrer has no place in the ledger (RULES S1). Others' values are kept as they are, for they must be sent again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from syncd.plan.elements import elements
from syncd.plan.essence import reference_of, value_digest

EXTENSION_PREFIX = "urn:syncd:"
TAG_SYSTEM = "urn:syncd:installation"

_OTHERWISE_HANDLED = frozenset({"resourceType", "id", "meta", "text", "identifier", "endpoint", "extension", "series"})

Resource = Mapping[str, Any]


def installation_of(resource: Resource) -> str | None:
    """The INSTALLATION_ID whose tag the resource carries, or None: it is not ours and nobody's of our kind."""
    for tag in resource.get("meta", {}).get("tag", ()):
        if tag.get("system") == TAG_SYSTEM:
            return str(tag.get("code", ""))
    return None


def owned_values(desired: Resource, *, earlier: Mapping[str, Any] | None = None, fhir_version: str = "r4") -> dict[str, Any]:
    """What becomes ours by writing `desired`: values in shared lists, and elements filled only if empty, by digest.

    `earlier` is what an intent held that was never recorded: its write may have arrived, so its values stay ours too.
    """
    others = desired.keys() - elements(fhir_version).whole - _OTHERWISE_HANDLED
    own = {
        "identifier": _digests(desired.get("identifier", ())),
        "endpoint": _endpoints(desired),
        "extension": _digests(_extensions(desired)),
        "profile": list(desired.get("meta", {}).get("profile", ())),
        "filled": {name: [value_digest(desired[name])] for name in sorted(others)},
    }
    return join_owned(own, earlier) if earlier else own


def join_owned(*held: Mapping[str, Any]) -> dict[str, Any]:
    """The union of what records and intents hold: "written by us" = recorded ∪ intended."""
    lists = ("identifier", "endpoint", "extension", "profile")
    filled = [one.get("filled", {}) for one in held]
    names = dict.fromkeys(name for one in filled for name in one)
    return {name: _union(name, held) for name in lists} | {"filled": {name: _union(name, filled) for name in names}}


def own_identifiers(current: Resource, *, held: Mapping[str, Any]) -> list[Any]:
    """Of the identifiers that the server's copy has, those that we wrote."""
    ours = frozenset(held["identifier"])
    return [item for item in current.get("identifier", []) if value_digest(item) in ours]


def _union(name: str, held: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(item for one in held for item in one.get(name, ())))


def _digests(values: Sequence[Any]) -> list[str]:
    return list(dict.fromkeys(value_digest(value) for value in values))


def foreign_part(
    current: Resource,
    desired: Resource,
    *,
    held: Mapping[str, Any],
    base_url: str = "",
    fhir_version: str = "r4",
    endpoints: Collection[str] = (),
) -> dict[str, Any]:
    """What of `current` belongs to others, given what we want (`desired`) and wrote (`held`, from `join_owned`).

    `endpoints` are references to all Endpoints of ours: wherever they stand, we put them there (RULES C3)."""
    held = {**held, "endpoint": [*held["endpoint"], *endpoints]}
    foreign: dict[str, Any] = {}
    known = elements(fhir_version)
    ours_now = known.whole | (known.claimed & desired.keys())
    # Every other element is filled only if empty: what the mapping says rarely, and whatever a hook may add.
    for name in sorted(current.keys() - ours_now - _OTHERWISE_HANDLED):
        # With no memory at all (a lost ledger), an element that equals what we want is ours.
        ours = (*held["filled"].get(name, ()), value_digest(desired.get(name)))
        if value_digest(current[name]) not in ours:
            foreign[name] = current[name]
    foreign |= _foreign_lists(current, desired, held, base_url)
    foreign |= _foreign_meta(current, profiles=held.get("profile", ()))
    extensions = _extension_values(desired, held)
    series = _foreign_series(current.get("series", ()), _endpoint_ids(desired, held, base_url), extensions, base_url)
    if series:
        foreign["series"] = series
    if current.get("text", {}).get("status") not in (None, "generated"):
        foreign["text"] = current["text"]
    return foreign


def merge_foreign(desired: Resource, foreign: Mapping[str, Any]) -> dict[str, Any]:
    """The resource to send: `desired`, and beside it everything that belongs to others."""
    result = dict(desired)
    for name, value in foreign.items():
        if name in ("identifier", "endpoint", "extension"):
            result[name] = [*desired.get(name, ()), *value]
        elif name == "meta":
            result["meta"] = _merge_meta(desired.get("meta", {}), value)
        elif name == "series":
            result["series"] = [_merge_series(item, value.get(_series_key(item), {})) for item in desired.get("series", ())]
            if not result["series"]:
                del result["series"]
        else:
            result[name] = value
    return result


def _foreign_lists(current: Resource, desired: Resource, held: Mapping[str, Any], base_url: str) -> dict[str, Any]:
    systems = {item["system"] for item in desired.get("identifier", ()) if item.get("system")}
    values = {*held["identifier"], *_digests(desired.get("identifier", ()))}
    endpoints = _endpoint_ids(desired, held, base_url)
    lists = {
        "identifier": [
            item
            for item in current.get("identifier", ())
            if item.get("system") not in systems and value_digest(item) not in values
        ],
        "endpoint": [
            item
            for item in current.get("endpoint", ())
            if reference_of(item.get("reference", ""), base_url=base_url) not in endpoints
        ],
        "extension": _foreign_extensions(current, _extension_values(desired, held)),
    }
    return {name: value for name, value in lists.items() if value}


def _endpoints(desired: Resource) -> list[str]:
    """Those of the resource and of its series (MAPPING E)."""
    return list(
        dict.fromkeys(
            item.get("reference", "") for one in (desired, *desired.get("series", ())) for item in one.get("endpoint", ())
        )
    )


def _endpoint_ids(desired: Resource, held: Mapping[str, Any], base_url: str) -> set[str]:
    ours = _endpoints(desired)
    return {reference_of(text, base_url=base_url) for text in [*ours, *held["endpoint"]]}


def _extensions(desired: Resource) -> list[Any]:
    """Those of the resource and of its series; what lies deeper is ours as a whole."""
    return [item for one in (desired, *desired.get("series", ())) for item in one.get("extension", ())]


def _extension_values(desired: Resource, held: Mapping[str, Any]) -> set[str]:
    return {*_digests(_extensions(desired)), *held.get("extension", ())}


def _foreign_extensions(element: Resource, ours: set[str]) -> list[Any]:
    return [
        item
        for item in element.get("extension", ())
        if not str(item.get("url", "")).startswith(EXTENSION_PREFIX) and value_digest(item) not in ours
    ]


def _foreign_series(series: Sequence[Resource], endpoints: set[str], extensions: set[str], base_url: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in series:
        lists = {
            "extension": _foreign_extensions(item, extensions),
            "endpoint": [
                one
                for one in item.get("endpoint", ())
                if reference_of(one.get("reference", ""), base_url=base_url) not in endpoints
            ],
        }
        kept = {name: value for name, value in lists.items() if value}
        if kept:
            found[_series_key(item)] = kept
    return found


def _series_key(series: Resource) -> str:
    """Its uid; its address where DSTU2 cannot say the uid."""
    return str(series.get("uid") or series.get("url", ""))


def _merge_series(series: Resource, foreign: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(series)
    for name, value in foreign.items():
        result[name] = [*series.get(name, ()), *value]
    return result


def _foreign_meta(current: Resource, *, profiles: Sequence[str]) -> dict[str, Any]:
    """Others' claims, labels and tags; a profile that we claimed ourselves goes when we claim it no more."""
    meta = current.get("meta", {})
    lists = {
        "profile": [one for one in meta.get("profile", ()) if one not in profiles],
        "security": list(meta.get("security", ())),
        "tag": [tag for tag in meta.get("tag", ()) if tag.get("system") != TAG_SYSTEM],
    }
    kept = {name: value for name, value in lists.items() if value}
    return {"meta": kept} if kept else {}


def _merge_meta(ours: Resource, theirs: Resource) -> dict[str, Any]:
    result = dict(ours)
    for name, value in theirs.items():
        known = list(ours.get(name, ()))
        result[name] = [*known, *(item for item in value if item not in known)]
    return result
