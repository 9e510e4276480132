"""What the oracle reads of the FHIR server, by plain GET and uncached, in the flat form of `oracle_expect`.

By id for the truth, by listing for what should not be there: a search may lie (RULES C9), so a listing only ever says
which ids exist, and it is read whole and filtered here, because a search by our own tag cannot find a duplicate without it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import requests

from tests import oracle_dstu2
from tests import oracle_values as values
from tests.oracle_answers import Flat
from tests.oracle_archive import TIMEOUT, Unreadable
from tests.oracle_expect import UID_SYSTEM

TAG_SYSTEM = "urn:syncd:installation"
DATA_ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
REPRESENTATION = "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation"

PEOPLE = ("PRF", "SPRF")
"""Functions of performers that are people; machines and places are said by setting."""

_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_REFERENCE = re.compile(r"(?:.*/)?([A-Za-z]+)/([A-Za-z0-9.-]{1,64})(?:/_history/[^/]+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One ImagingStudy of the listing."""

    id: str
    uids: tuple[str, ...]
    status: str
    ours: bool


class Server:
    """A FHIR R4 server, read only; what is DSTU2's is restated (`oracle_dstu2`)."""

    def __init__(self, url: str, *, installation: str | None = None, session: requests.Session | None = None) -> None:
        """`installation`: whose resources are ours; None: every syncd's."""
        self._installation = installation
        self._url = url.rstrip("/")
        self._session = session or requests.Session()
        self._session.trust_env = False
        self._session.headers.update({"Accept": "application/fhir+json", "Cache-Control": "no-cache"})
        self._read: dict[str, dict[str, Any] | None] = {}

    def imaging_study(self, resource_id: str) -> dict[str, Any] | None:
        """The resource at that id, or `None` (never there, deleted, or no possible id)."""
        study = self._resource(f"ImagingStudy/{resource_id}") if _ID.fullmatch(resource_id) else None
        return oracle_dstu2.restated(study) | {"dstu2": True} if study and oracle_dstu2.is_dstu2(study) else study

    def listing(self) -> Iterator[Listed]:
        """Every ImagingStudy on the server, whoever wrote it."""
        url: str | None = f"{self._url}/ImagingStudy?_elements=identifier,status,meta,uid,availability,patient&_count=200"
        while url:
            page = self._json(url) or {}
            for listed in (entry["resource"] for entry in page.get("entry", [])):
                resource = oracle_dstu2.restated(listed) if oracle_dstu2.is_dstu2(listed) else listed
                uids = tuple(
                    one.get("value", "").removeprefix("urn:oid:")
                    for one in resource.get("identifier", [])
                    if one.get("system") == UID_SYSTEM
                )
                yield Listed(id=resource["id"], uids=uids, status=resource.get("status", ""), ours=self._is_ours(resource))
            url = next((link["url"] for link in page.get("link", []) if link["relation"] == "next"), None)

    def flat(self, study: dict[str, Any]) -> Flat:
        """One ImagingStudy and what it references, as paths and values."""
        flat: Flat = {
            "id": study.get("id"),
            "meta.tag": self._is_ours(study),
            "status": study.get("status"),
            "identifier": tuple(_identifier(one) for one in study.get("identifier", [])),
            "basedOn": tuple(_orders(study)),
            "started": study.get("started"),
            "description": study.get("description"),
            "modality": tuple(code for one in study.get("modality", []) if (code := coded(one)) != values.ABSENT),
            "numberOfSeries": study.get("numberOfSeries"),
            "numberOfInstances": study.get("numberOfInstances"),
            "endpoint.address": tuple(self._wado_rs_addresses(study)),
            "series": tuple(one.get("uid") for one in study.get("series", [])),
            "referrer": study.get("referrer", {}).get("display"),
            "interpreter": tuple(one.get("display") for one in study.get("interpreter", [])),
            "procedureCode": tuple(map(_concept, study.get("procedureCode", []))),
            "reasonCode": tuple(map(_concept, study.get("reasonCode", []))),
            "location": study.get("location", {}).get("display"),
            "encounter": _identifier(study["encounter"].get("identifier", {}))[2:] if "encounter" in study else None,
            **self._subject(study.get("subject", {})),
        }
        for series in study.get("series", []):
            flat |= _series(series)
        return flat

    def _wado_rs_addresses(self, study: dict[str, Any]) -> Iterator[str]:
        for reference in study.get("endpoint", []):
            if study.get("dstu2"):
                yield reference["display"]
                continue
            endpoint = self._follow(reference)
            if endpoint is None:
                yield f"nothing at {reference.get('reference')}"
            elif endpoint.get("connectionType", {}).get("code") == "dicom-wado-rs":
                yield f"{endpoint.get('address')}" + ("" if endpoint.get("status") == "active" else " (not active)")

    def _subject(self, reference: dict[str, Any]) -> Flat:
        logical = [reference["identifier"]] if "identifier" in reference else []
        patient = oracle_dstu2.patient(self._follow(reference) or {"identifier": logical})
        ids = sorted(patient.get("identifier", []), key=lambda one: one.get("use") != "usual")
        first = next(iter(ids), None)
        flat: Flat = {"subject.identifier": _identifier(first)[1:] if first else None}
        flat["subject.identifier.assigner"] = (first or {}).get("assigner", {}).get("display")
        if self._is_ours(patient):
            flat["subject.identifier.secondary"] = tuple(sorted(_identifier(one)[2:] for one in ids[1:]))
            flat["subject.name"] = tuple(
                _name(one) for one in patient.get("name", []) if one.get("use") or _represented(one)
            )
            flat["subject.gender"] = patient.get("gender")
            flat["subject.birthDate"] = patient.get("birthDate")
        return flat

    def _is_ours(self, resource: dict[str, Any]) -> bool:
        tags = resource.get("meta", {}).get("tag", [])
        written_by = {tag.get("code") for tag in tags if tag.get("system") == TAG_SYSTEM}
        return bool(written_by) if self._installation is None else self._installation in written_by

    def _follow(self, reference: dict[str, Any]) -> dict[str, Any] | None:
        found = _REFERENCE.fullmatch(reference.get("reference", ""))
        if not found:
            return None
        path = f"{found[1]}/{found[2]}"
        if path not in self._read:
            self._read[path] = self._resource(path)
        return self._read[path]

    def _resource(self, path: str) -> dict[str, Any] | None:
        return self._json(f"{self._url}/{path}")

    def _json(self, url: str) -> dict[str, Any] | None:
        try:
            answer = self._session.get(url, timeout=TIMEOUT)
            if answer.status_code in (404, 410) and "resourceType" in answer.text:
                return None
            read: dict[str, Any] = answer.json()
        except (requests.RequestException, ValueError) as error:
            raise Unreadable(f"the FHIR server cannot be read: {type(error).__name__} at {url}") from error
        if not answer.ok:
            raise Unreadable(f"the FHIR server answered {answer.status_code} at {url}")
        return read


def coded(coding: dict[str, Any] | None) -> str:
    """`system|code`, `|display`, or that the value is absent."""
    if not coding:
        return ""
    if any(one.get("url") == DATA_ABSENT and one.get("valueCode") == "unknown" for one in coding.get("extension", [])):
        return values.ABSENT
    return f"{coding.get('system', '')}|{coding['code']}" if "code" in coding else f"|{coding.get('display', '')}"


def _series(series: dict[str, Any]) -> Flat:
    at = f"series[{series.get('uid')}]"
    flat = {f"{at}.{name}": series.get(name) for name in ("number", "description", "started", "numberOfInstances")}
    flat |= {f"{at}.{name}": coded(series.get(name)) for name in ("modality", "bodySite", "laterality")}
    for function in PEOPLE:
        told = tuple(words for kind, words in map(_performer, series.get("performer", [])) if kind == function)
        flat[f"{at}.performer[{function}]"] = told
    flat[f"{at}.instance"] = tuple(one.get("uid") for one in series.get("instance", []))
    for one in series.get("instance", []):
        flat[f"{at}.instance[{one.get('uid')}].sopClass"] = coded(one.get("sopClass"))
        flat[f"{at}.instance[{one.get('uid')}].number"] = one.get("number")
        flat[f"{at}.instance[{one.get('uid')}].title"] = one.get("title")
    return flat


def _identifier(identifier: dict[str, Any]) -> tuple[str, str, str, str]:
    kind = next((one.get("code", "") for one in identifier.get("type", {}).get("coding", [])), "")
    return identifier.get("use", ""), kind, identifier.get("system", ""), identifier.get("value", "")


def _orders(study: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    for reference in study.get("basedOn", []):
        yield _identifier(reference.get("identifier", {}))[1:]


def _concept(concept: dict[str, Any]) -> str:
    """The first coding that has a system, else the words."""
    coding = next((one for one in concept.get("coding", []) if one.get("system")), None)
    return coded(coding) if coding else f"|{concept.get('text', '')}"


def _performer(performer: dict[str, Any]) -> tuple[str, str]:
    function = next((one.get("code", "") for one in performer.get("function", {}).get("coding", [])), "")
    return function, performer.get("actor", {}).get("display", "")


def _represented(name: dict[str, Any]) -> bool:
    return any(one.get("url") == REPRESENTATION for one in name.get("extension", []))


def _name(name: dict[str, Any]) -> tuple[str, str, str, str, str]:
    return (
        name.get("family", ""),
        "|".join(name.get("given", [])),
        " ".join(name.get("prefix", [])),
        " ".join(name.get("suffix", [])),
        name.get("text", ""),
    )
