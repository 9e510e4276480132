"""The few plain values of an instance whose full tags cannot be had, read one by one (RULES B11).

`GET /instances/{id}/content/…` costs Orthanc a tenth of `/tags` where frames are many (40,000 frames: 0.8 to 1.2 s
against 5 to 16), for it need not write them all. What is asked for is what nobody may guess: who issued the ids of
patient and order, and the side. The values come as bytes; those that need a character set to be understood are not
understood here, and then nothing counts as known: half of a patient's identity is a wrong one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from syncd.archive.reading.doubt import Place
from syncd.archive.rest.routes import Routes
from syncd.model.ids import OrthancId
from syncd.model.study.raw import Tags

Wanted = Mapping[str, "Wanted | None"]
"""Tags and, for a sequence, what is wanted of its items."""

_ISSUER: Wanted = {"0040,0031": None, "0040,0032": None, "0040,0033": None}
_ID: Wanted = {"0010,0020": None, "0010,0021": None, "0010,0022": None, "0010,0024": {**_ISSUER, "0040,0035": None}}
_ORDER: Wanted = {
    "0008,0050": None,
    "0008,0051": _ISSUER,
    "0040,0026": _ISSUER,
    "0040,0027": _ISSUER,
    "0040,2016": None,
    "0040,2017": None,
}
WANTED: Wanted = {
    "0008,0005": None,
    "0008,0008": None,
    "0008,0016": None,
    "0008,0018": None,
    "0008,0060": None,
    "0008,0201": None,
    "0018,0015": None,
    "0020,000d": None,
    "0020,000e": None,
    "0020,0013": None,
    "0020,0060": None,
    "0020,0062": None,
    "0038,0010": None,
    "0038,0014": _ISSUER,
    **_ID,
    **_ORDER,
    "0010,1002": _ID,
    "0040,0275": _ORDER,
}
"""Identity (MAPPING B), orders (B), side (C.6), and what names the instance itself."""

MOST_CALLS = 100
"""Values asked for of one instance at most; a usual file has 15 to 25 of those wanted."""


class NotPlain(Exception):
    """A value that cannot be understood without more, or too many of them."""


def read_elements(routes: Routes, instance_id: OrthancId) -> Tags:
    """Those of `WANTED` that the instance has. Raises `NotPlain`, and whatever a call raises: then nothing is known."""
    return _Reading(routes, instance_id).level((), WANTED)


class _Reading:
    def __init__(self, routes: Routes, instance_id: OrthancId) -> None:
        self._routes = routes
        self._instance_id = instance_id
        self._calls = 0

    def level(self, place: Place, wanted: Wanted) -> dict[str, Any]:
        there = {each.replace("-", ",") for each in self._names(place)}
        return {tag: self._value((*place, tag), wanted[tag]) for tag in wanted if tag in there}

    def _value(self, place: Place, wanted: Wanted | None) -> Any:
        if wanted is None:
            return _plain(self._routes.content(self._count_call(), place))
        return [self.level((*place, number), wanted) for number in range(len(self._names(place)))]

    def _names(self, place: Place) -> list[str]:
        return self._routes.names(self._count_call(), place)

    def _count_call(self) -> OrthancId:
        self._calls += 1
        if self._calls > MOST_CALLS:
            raise NotPlain
        return self._instance_id


def _plain(value: bytes) -> str:
    try:
        text = value.decode("ascii")
    except UnicodeDecodeError as error:
        raise NotPlain from error
    if "\x1b" in text:
        raise NotPlain
    return text.rstrip("\0 ")
