"""The structures that we write, as a table: element → type, cardinality, binding (R4 4.0.1 definitions).

Only what syncd emits is listed; other elements are checked for emptiness and control characters, and by fhirclient.
`*` means a list, `!` required. A type is a primitive of `primitives.RULES`, a structure of this table, `code:` with the
name of a required binding, or `Reference:` with the resource types that a literal reference may name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from syncd.mapping.primitives import RULES, Rule, one_of

_BINDINGS: Mapping[str, Rule] = {
    "imagingstudy-status": one_of("registered", "available", "cancelled", "entered-in-error", "unknown"),
    "endpoint-status": one_of("active", "suspended", "error", "off", "entered-in-error", "test"),
    "administrative-gender": one_of("male", "female", "other", "unknown"),
    "identifier-use": one_of("usual", "official", "temp", "secondary", "old"),
    "name-use": one_of("usual", "official", "temp", "nickname", "anonymous", "old", "maiden"),
    "name-representation": one_of("ABC", "IDE", "SYL"),
}

_TABLE: Mapping[str, Mapping[str, str]] = {
    "ImagingStudy": {
        "resourceType": "code!",
        "id": "id",
        "meta": "Meta",
        "extension": "Extension*",
        "identifier": "Identifier*",
        "status": "code:imagingstudy-status!",
        "modality": "Coding*",
        "subject": "Reference:Patient|Device|Group!",
        "encounter": "Reference:Encounter",
        "started": "dateTime",
        "basedOn": "Reference:CarePlan|ServiceRequest|Appointment|AppointmentResponse|Task*",
        "referrer": "Reference:Practitioner|PractitionerRole",
        "interpreter": "Reference:Practitioner|PractitionerRole*",
        "endpoint": "Reference:Endpoint*",
        "numberOfSeries": "unsignedInt",
        "numberOfInstances": "unsignedInt",
        "location": "Reference:Location",
        "description": "string",
        "series": "Series*",
    },
    "Series": {
        "extension": "Extension*",
        "uid": "id!",
        "number": "unsignedInt",
        "modality": "Coding!",
        "description": "string",
        "numberOfInstances": "unsignedInt",
        "endpoint": "Reference:Endpoint*",
        "bodySite": "Coding",
        "laterality": "Coding",
        "started": "dateTime",
        "performer": "Performer*",
        "instance": "Instance*",
    },
    "Performer": {
        "function": "CodeableConcept",
        "actor": ("Reference:Practitioner|PractitionerRole|Organization|CareTeam|Patient|Device|RelatedPerson!"),
    },
    "Instance": {"uid": "id!", "sopClass": "Coding!", "number": "unsignedInt", "title": "string"},
    "Patient": {
        "resourceType": "code!",
        "id": "id",
        "meta": "Meta",
        "extension": "Extension*",
        "identifier": "Identifier*",
        "active": "boolean",
        "name": "HumanName*",
        "gender": "code:administrative-gender",
        "birthDate": "date",
    },
    "Endpoint": {
        "resourceType": "code!",
        "id": "id",
        "meta": "Meta",
        "extension": "Extension*",
        "identifier": "Identifier*",
        "status": "code:endpoint-status!",
        "connectionType": "Coding!",
        "name": "string",
        "payloadType": "CodeableConcept*!",
        "payloadMimeType": "code*",
        "address": "url!",
    },
    "Meta": {"source": "uri", "profile": "uri*", "tag": "Coding*", "security": "Coding*"},
    "Identifier": {
        "extension": "Extension*",
        "use": "code:identifier-use",
        "type": "CodeableConcept",
        "system": "system",
        "value": "string",
        "assigner": "Reference:Organization",
    },
    "HumanName": {
        "extension": "NameExtension*",
        "use": "code:name-use",
        "text": "string",
        "family": "string",
        "given": "string*",
        "prefix": "string*",
        "suffix": "string*",
    },
    "Coding": {
        "extension": "Extension*",
        "system": "system",
        "version": "string",
        "code": "code",
        "display": "string",
        "userSelected": "boolean",
    },
    "CodeableConcept": {"extension": "Extension*", "coding": "Coding*", "text": "string"},
    "Reference": {
        "extension": "Extension*",
        "reference": "reference",
        "type": "uri",
        "identifier": "Identifier",
        "display": "string",
    },
    "Extension": {"url": "uri!", "valueBoolean": "boolean", "valueCode": "code", "valueString": "string"},
    "NameExtension": {"url": "uri!", "valueCode": "code:name-representation"},
}

RESOURCES = frozenset({"ImagingStudy", "Patient", "Endpoint"})
"""The resource types that we write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """One element: a primitive with its `rule`, or a `structure`; `targets` of a literal reference."""

    many: bool
    required: bool
    rule: Rule | None = None
    structure: str = ""
    targets: frozenset[str] = frozenset()


def _element(written: str) -> Element:
    kind = written.rstrip("*!")
    name, _, detail = kind.partition(":")
    cardinality = written[len(kind) :]
    rule = _BINDINGS[detail] if name == "code" and detail else RULES.get(name)
    return Element(
        many="*" in cardinality,
        required="!" in cardinality,
        rule=rule,
        structure="" if rule else name,
        targets=frozenset(detail.split("|")) if name == "Reference" else frozenset(),
    )


SHAPES: Mapping[str, Mapping[str, Element]] = {
    name: {element: _element(written) for element, written in elements.items()} for name, elements in _TABLE.items()
}

REQUIRED: Mapping[str, tuple[str, ...]] = {
    name: tuple(element for element, shape in elements.items() if shape.required) for name, elements in SHAPES.items()
}
