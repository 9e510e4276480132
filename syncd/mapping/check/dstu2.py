"""DSTU2 (1.0.2) where it is not R4, in the notation of `r4`; empty: not yet defined (MAPPING M)."""

from __future__ import annotations

from collections.abc import Mapping

from syncd.mapping.check.r4 import R4, Table

_ABSENT_STUDY = dict.fromkeys(
    [
        *("status", "modality", "subject", "encounter", "basedOn", "endpoint", "procedureReference", "procedureCode"),
        *("location", "reasonCode"),
    ],
    "",
)

DSTU2: Table = {
    "ImagingStudy": _ABSENT_STUDY
    | {
        "uid": "oid!",
        "accession": "Identifier",
        "patient": "Reference:Patient!",
        "order": "Reference:DiagnosticOrder*",
        "modalityList": "Coding*",
        "referrer": "Reference:Practitioner",
        "interpreter": "Reference:Practitioner",
        "procedure": "Reference:Procedure*",
        "availability": "code:instance-availability",
        "url": "uri",
        "numberOfSeries": "unsignedInt!",
        "numberOfInstances": "unsignedInt!",
    },
    "Series": {
        "uid": "oid!",
        "numberOfInstances": "unsignedInt!",
        "availability": "code:instance-availability",
        "url": "uri",
        "endpoint": "",
        "performer": "",
    },
    "Performer": dict.fromkeys(R4["Performer"], ""),
    "Instance": {"uid": "oid!", "sopClass": "oid!", "type": "string", "content": "Attachment*"},
    "Attachment": {"contentType": "code", "url": "uri", "title": "string"},
    "Endpoint": dict.fromkeys(R4["Endpoint"], ""),
    "PatientLink": {"other": "Reference:Patient!", "type": "code:link-type-dstu2!"},
    "Basic": {
        "resourceType": "code!",
        "id": "id",
        "meta": "Meta",
        "extension": "Extension*",
        "identifier": "Identifier*",
        "code": "CodeableConcept!",
    },
    "Practitioner": {"name": "HumanName"},
    "Device": dict.fromkeys(R4["Device"], ""),
    "Procedure": {"status": "code:procedure-status-dstu2!", "code": "CodeableConcept!"},
    "Meta": {"source": ""},
    "Reference": {"type": "", "identifier": ""},
    "HumanName": {"family": "string*"},
}

_RESOURCE = "implicitRules language text contained modifierExtension"

FURTHER: Mapping[str, str] = {
    "ImagingStudy": _RESOURCE,
    "Series": "id modifierExtension",
    "Instance": "id extension modifierExtension",
    "Attachment": "id extension language data size hash creation",
    "Patient": (
        f"{_RESOURCE} telecom deceasedBoolean deceasedDateTime address maritalStatus multipleBirthBoolean"
        " multipleBirthInteger photo contact animal communication careProvider managingOrganization"
    ),
    "PatientLink": "id extension modifierExtension",
    "Basic": f"{_RESOURCE} subject author created",
    "Practitioner": f"{_RESOURCE} telecom address gender birthDate photo practitionerRole qualification communication",
    "Procedure": (
        f"{_RESOURCE} category notPerformed reasonNotPerformed bodySite reasonCodeableConcept reasonReference performer"
        " performedDateTime encounter location outcome report complication followUp request notes focalDevice used"
    ),
    "Period": "id extension",
    "Meta": "id extension versionId lastUpdated profile security",
    "Identifier": "id period",
    "HumanName": "id period",
    "Coding": "id",
    "CodeableConcept": "id",
    "Reference": "id",
}
"""Elements that DSTU2 defines and we never write; a site's hook may."""
