"""What is already on the server under a study's or a patient's identifier: searched for, then confirmed by GET (C9).

A search may be a minute old and may find what is gone; a hit is only a hint. Patients are searched with a system always
(HAPI finds the `123` of every system without one), and a Patient that was merged points to the one that replaced it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from syncd.plan.decide import Found
from syncd.plan.essence import reference_of
from syncd.publish.server import FhirServer, escape, token

BATCH = 50
"""Studies per lookup (RULES C2); 100 identifiers in one search took HAPI 25 ms (docs/fhir-servers.md)."""

_LONGEST_CHAIN = 5

_NO_ORDER = ("entered-in-error", "revoked")
"""Statuses of a ServiceRequest that orders nothing."""

_REPLACED = ("replaced-by", "replace")
"""The link from a merged Patient to the one that is left; the second is DSTU2's word for it."""


def imaging_studies(server: FhirServer, ids: Mapping[str, str], *, fhir_version: str = "r4") -> dict[str, frozenset[str]]:
    """For each StudyInstanceUID in `ids` (→ the id we would use): ids of ImagingStudies that may be it.

    Both `_id` and the UID are asked; at most `BATCH` studies per call of the server.
    """
    found: dict[str, set[str]] = {uid: set() for uid in ids}
    told = "identifier,uid" if fhir_version == "dstu2" else "identifier"
    uids = sorted(ids)
    for start in range(0, len(uids), BATCH):
        batch = uids[start : start + BATCH]
        by_id = {ids[uid]: uid for uid in batch}
        by_value = {f"urn:oid:{uid}": uid for uid in batch} | {uid: uid for uid in batch}
        params = [
            {"_id": ",".join(sorted(by_id)), "_elements": told},
            {**by_uid(batch, fhir_version=fhir_version), "_elements": told},
        ]
        for one in params:
            for resource in server.search("ImagingStudy", one):
                resource_id = str(resource.get("id", ""))
                uid = by_id.get(resource_id)
                if uid is not None:
                    found[uid].add(resource_id)
                for value in _uid_values(resource):
                    uid = by_value.get(value)
                    if uid is not None:
                        found[uid].add(resource_id)
    return {uid: frozenset(hits) for uid, hits in found.items()}


def by_uid(uids: Sequence[str], *, fhir_version: str) -> dict[str, str]:
    """The search of ImagingStudies by StudyInstanceUID. DSTU2 cannot search for identifiers; `study` is the study's UID
    there, and `uid` an instance's."""
    if fhir_version == "dstu2":
        return {"study": ",".join(escape(f"urn:oid:{uid}") for uid in uids)}
    return {"identifier": ",".join(token("urn:dicom:uid", f"urn:oid:{uid}") for uid in uids)}


def _uid_values(resource: Mapping[str, Any]) -> Iterator[str]:
    """What an ImagingStudy says of its StudyInstanceUID, in any version."""
    yield str(resource.get("uid", ""))
    for identifier in resource.get("identifier", ()):
        if identifier.get("system") == "urn:dicom:uid":
            yield str(identifier.get("value", ""))


def study_named(resource: Mapping[str, Any]) -> str:
    """The StudyInstanceUID that an ImagingStudy names (MAPPING A, M); empty: none."""
    return next((uid.removeprefix("urn:oid:") for uid in _uid_values(resource) if uid), "")


def patient_hits(server: FhirServer, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], tuple[str, ...]]:
    """For each (system, value) the ids of Patients that may carry it, by one search for `BATCH` of them; only hints (C9)."""
    found: dict[tuple[str, str], dict[str, None]] = {pair: {} for pair in sorted(wanted)}
    pairs = list(found)
    for start in range(0, len(pairs), BATCH):
        tokens = ",".join(token(system, value) for system, value in pairs[start : start + BATCH])
        for resource in server.search("Patient", {"identifier": tokens, "_elements": "identifier"}):
            for item in resource.get("identifier", ()):
                carried = found.get((str(item.get("system")), str(item.get("value"))))
                if carried is not None:
                    carried[str(resource.get("id", ""))] = None
    return {pair: tuple(ids) for pair, ids in found.items()}


def patients(
    server: FhirServer, *, system: str, value: str, hits: Sequence[str] | None = None
) -> tuple[Mapping[str, Any], ...]:
    """Active Patients that carry exactly (`system`, `value`), `replaced-by` links followed (RULES B4). `hits` are ids that a
    search gave, None where none was made."""
    confirmed: dict[str, Mapping[str, Any]] = {}
    if hits is None:
        hits = [
            str(resource.get("id", ""))
            for resource in server.search("Patient", {"identifier": token(system, value), "_elements": "identifier"})
        ]
    for resource_id in dict.fromkeys(hits):
        current = server.read("Patient", resource_id)
        if not isinstance(current, Found) or not carries(current.resource, system, value):
            continue
        patient = follow_replaced_by(server, current.resource)
        if patient is not None and patient.get("active") is not False:
            confirmed[str(patient["id"])] = patient
    return tuple(confirmed[key] for key in sorted(confirmed))


def is_in_use(patient: Mapping[str, Any]) -> bool:
    """Whether a Patient may be a subject: active, and not replaced by another (RULES B4)."""
    return patient.get("active") is not False and not any(link.get("type") in _REPLACED for link in patient.get("link", ()))


def service_requests(server: FhirServer, *, system: str, value: str) -> tuple[str, ...]:
    """Ids of the ServiceRequests in use that carry exactly (`system`, `value`) (MAPPING J.3)."""
    hits = [
        str(resource.get("id", ""))
        for resource in server.search("ServiceRequest", {"identifier": token(system, value), "_elements": "identifier"})
    ]
    confirmed = (server.read("ServiceRequest", one) for one in sorted(set(hits)))
    orders = [one.resource for one in confirmed if isinstance(one, Found) and carries(one.resource, system, value)]
    return orders_in_use(orders, base_url=server.base_url)


def orders_in_use(orders: Sequence[Mapping[str, Any]], *, base_url: str) -> tuple[str, ...]:
    """Of the orders under one identifier the ids of those that stand: neither entered in error nor revoked, nor replaced
    by another of them (ServiceRequest.replaces, RULES B12)."""
    standing = [one for one in orders if one.get("status") not in _NO_ORDER]
    replaced = {
        reference_of(str(replaces.get("reference", "")), base_url=base_url)
        for one in standing
        for replaces in one.get("replaces", ())
    }
    return tuple(str(one["id"]) for one in standing if f"ServiceRequest/{one['id']}" not in replaced)


def carries(resource: Mapping[str, Any], system: str, value: str) -> bool:
    """Whether exactly this is one of its identifiers."""
    pairs: Sequence[Mapping[str, Any]] = resource.get("identifier", ())
    return any(item.get("system") == system and item.get("value") == value for item in pairs)


def follow_replaced_by(server: FhirServer, patient: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The Patient that is left at the end of its `replaced-by` links; None where they lead nowhere."""
    for _ in range(_LONGEST_CHAIN):
        links = [
            reference_of(str(link.get("other", {}).get("reference", "")), base_url=server.base_url)
            for link in patient.get("link", ())
            if link.get("type") in _REPLACED
        ]
        if not links:
            return patient
        resource_type, _, resource_id = links[0].partition("/")
        current = server.read("Patient", resource_id) if resource_type == "Patient" else None
        if not isinstance(current, Found):
            return None
        patient = current.resource
    return None
