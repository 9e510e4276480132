"""References between resources as HAPI sees them: only those that a search parameter indexes are held to exist.

So an ImagingStudy with a missing subject is refused, while a DiagnosticReport may name a deleted ImagingStudy: no search
parameter of R4 leads there. Absolute references to the server itself and versioned ones are answered as relative.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

INDEXED: Mapping[str, Mapping[str, frozenset[str]]] = {
    "ImagingStudy": {
        "subject": frozenset({"Patient", "Device", "Group"}),
        "patient": frozenset({"Patient"}),
        "order": frozenset({"DiagnosticOrder"}),
        "encounter": frozenset({"Encounter"}),
        "basedOn": frozenset({"CarePlan", "ServiceRequest", "Appointment", "AppointmentResponse", "Task"}),
        "referrer": frozenset({"Practitioner", "PractitionerRole"}),
        "interpreter": frozenset({"Practitioner", "PractitionerRole"}),
        "endpoint": frozenset({"Endpoint"}),
        "series.endpoint": frozenset({"Endpoint"}),
        "series.performer.actor": frozenset(),
    },
    "Patient": {
        "generalPractitioner": frozenset(),
        "managingOrganization": frozenset({"Organization"}),
        "link.other": frozenset(),
    },
    "Endpoint": {"managingOrganization": frozenset({"Organization"})},
    "Observation": {"subject": frozenset(), "derivedFrom": frozenset(), "encounter": frozenset()},
    "DiagnosticReport": {"subject": frozenset(), "result": frozenset(), "encounter": frozenset(), "basedOn": frozenset()},
    "Provenance": {"target": frozenset(), "agent.who": frozenset(), "entity.what": frozenset()},
    "Basic": {"subject": frozenset()},
}
"""Per type: the paths of reference search parameters (R4, and DSTU2's `patient` and `order`), and the types allowed there
(empty: any)."""


def local(reference: str, base_url: str) -> str:
    """`Type/id` for a reference to this server, else the empty string."""
    relative = reference.removeprefix(base_url + "/")
    parts = relative.split("/")
    if relative.startswith(("#", "urn:", "http:", "https:")) or len(parts) not in (2, 4):
        return ""
    return "/".join(parts[:2])


def indexed(resource: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(path, reference) of every reference that HAPI indexes."""
    for path in INDEXED.get(resource["resourceType"], {}):
        for reference in _at(resource, path.split(".")):
            yield f"{resource['resourceType']}.{path}", reference


def allowed_types(resource_type: str, path: str) -> frozenset[str]:
    return INDEXED[resource_type][path.removeprefix(resource_type + ".")]


def normalised(resource: Mapping[str, Any], base_url: str, *, keep_absolute: bool = False) -> dict[str, Any]:
    """A copy with references to this server made relative and unversioned."""

    def walk(value: Any) -> Any:
        if isinstance(value, Mapping):
            walked = {name: walk(one) for name, one in value.items()}
            reference = walked.get("reference")
            if isinstance(reference, str) and local(reference, base_url):
                absolute = keep_absolute and reference.startswith(base_url)
                walked["reference"] = (base_url + "/" if absolute else "") + local(reference, base_url)
            return walked
        return [walk(one) for one in value] if isinstance(value, list) else value

    walked = walk(copy.deepcopy(dict(resource)))
    assert isinstance(walked, dict)
    return walked


def _at(value: Any, path: list[str]) -> Iterator[str]:
    if isinstance(value, list):
        for one in value:
            yield from _at(one, path)
    elif isinstance(value, Mapping):
        if path:
            yield from _at(value.get(path[0]), path[1:])
        elif isinstance(value.get("reference"), str):
            yield value["reference"]
