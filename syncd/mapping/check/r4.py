"""The structures that we write, as a table: element → type, cardinality, binding (R4 4.0.1 definitions).

Only what syncd emits is listed; other elements are checked for emptiness and control characters, and by a model library
where there is one. `*` means a list, `!` required. A type is a primitive of `primitives.RULES`, a structure of this table,
`code:` with the name of a required binding, or `Reference:` with the resource types that a literal reference may name.
The other versions are told by their differences (`r5_r6`, `dstu2`).
"""

from __future__ import annotations

from collections.abc import Mapping

from syncd.mapping.values.primitives import Rule, one_of

Table = Mapping[str, Mapping[str, str]]

BINDINGS: Mapping[str, Rule] = {
    "imagingstudy-status": one_of("registered", "available", "cancelled", "entered-in-error", "unknown"),
    "imagingstudy-status-r6": one_of("registered", "available", "cancelled", "entered-in-error", "unknown", "inactive"),
    "instance-availability": one_of("ONLINE", "OFFLINE", "NEARLINE", "UNAVAILABLE"),
    "endpoint-status": one_of("active", "suspended", "error", "off", "entered-in-error", "test"),
    "endpoint-status-r5": one_of("active", "suspended", "error", "off", "entered-in-error"),
    "endpoint-status-r6": one_of("active", "limited", "suspended", "error", "off", "entered-in-error"),
    "administrative-gender": one_of("male", "female", "other", "unknown"),
    "identifier-use": one_of("usual", "official", "temp", "secondary", "old"),
    "device-nametype-r5": one_of("registered-name", "user-friendly-name", "patient-reported-name"),
    "event-status": one_of(
        *("preparation", "in-progress", "not-done", "on-hold", "stopped", "completed", "entered-in-error", "unknown")
    ),
    "procedure-status-dstu2": one_of("in-progress", "aborted", "completed", "entered-in-error"),
    "name-use": one_of("usual", "official", "temp", "nickname", "anonymous", "old", "maiden"),
    "name-representation": one_of("ABC", "IDE", "SYL"),
    "link-type": one_of("replaced-by", "replaces", "refer", "seealso"),
    "link-type-dstu2": one_of("replace", "refer", "seealso"),
    "provenance-entity-role": one_of("derivation", "revision", "quotation", "source", "removal"),
    "provenance-entity-role-r5": one_of("revision", "quotation", "source", "instantiates", "removal"),
    "device-nametype": one_of(
        "udi-label-name", "user-friendly-name", "patient-reported-name", "manufacturer-name", "model-name", "other"
    ),
}

R4: Table = {
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
        "procedureReference": "Reference:Procedure",
        "procedureCode": "CodeableConcept*",
        "location": "Reference:Location",
        "reasonCode": "CodeableConcept*",
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
    "Instance": {
        "extension": "Extension*",
        "uid": "id!",
        "sopClass": "Coding!",
        "number": "unsignedInt",
        "title": "string",
    },
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
        "link": "PatientLink*",
    },
    "PatientLink": {"other": "Reference:Patient|RelatedPerson!", "type": "code:link-type!"},
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
    "Practitioner": {
        "resourceType": "code!",
        "id": "id",
        "meta": "Meta",
        "extension": "Extension*",
        "identifier": "Identifier*",
        "active": "boolean",
        "name": "HumanName*",
    },
    "Device": {
        "resourceType": "code!",
        "id": "id",
        "meta": "Meta",
        "extension": "Extension*",
        "identifier": "Identifier*",
        "manufacturer": "string",
        "serialNumber": "string",
        "deviceName": "DeviceName*",
        "version": "DeviceVersion*",
    },
    "DeviceName": {"name": "string!", "type": "code:device-nametype!"},
    "DeviceVersion": {"value": "string!"},
    "Procedure": {
        "resourceType": "code!",
        "id": "id",
        "meta": "Meta",
        "extension": "Extension*",
        "identifier": "Identifier*",
        "status": "code:event-status!",
        "code": "CodeableConcept",
        "subject": "Reference:Patient|Group!",
        "performedPeriod": "Period",
    },
    "Period": {"start": "dateTime", "end": "dateTime"},
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
    "Extension": {
        "url": "uri!",
        "valueBoolean": "boolean",
        "valueCode": "code",
        "valueString": "string",
        "valueCodeableConcept": "CodeableConcept",
    },
    "NameExtension": {"url": "uri!", "valueCode": "code:name-representation"},
}
