"""What R5 changed of R4's structures, and R6 (ballot5) of R5's, in the notation of `r4`; empty: taken away."""

from __future__ import annotations

from collections.abc import Mapping

from syncd.mapping.check.r4 import Table

R5: Table = {
    "ImagingStudy": {
        "modality": "CodeableConcept*",
        "interpreter": "",
        "procedureReference": "",
        "partOf": "Reference:Procedure*",
        "procedureCode": "",
        "reasonCode": "",
        "procedure": "CodeableReference*",
        "reason": "CodeableReference*",
    },
    "Series": {
        "modality": "CodeableConcept!",
        "bodySite": "CodeableReference",
        "laterality": "CodeableConcept",
    },
    "Performer": {
        "actor": (
            "Reference:Practitioner|PractitionerRole|Organization|CareTeam|Patient|Device|RelatedPerson|HealthcareService!"
        ),
    },
    "Endpoint": {
        "status": "code:endpoint-status-r5!",
        "connectionType": "CodeableConcept*!",
        "payloadType": "",
        "payloadMimeType": "",
        "payload": "Payload*",
    },
    "Payload": {"type": "CodeableConcept*", "mimeType": "code*"},
    "Device": {"deviceName": "", "name": "DeviceName*"},
    "DeviceName": {"name": "", "value": "string!", "type": "code:device-nametype-r5!"},
    "Procedure": {
        "subject": "Reference:Patient|Group|Device|Practitioner|Organization|Location!",
        "performedPeriod": "",
        "occurrencePeriod": "Period",
    },
    "BodyStructure": {
        "resourceType": "code!",
        "id": "id",
        "meta": "Meta",
        "extension": "Extension*",
        "identifier": "Identifier*",
        "includedStructure": "IncludedStructure*!",
        "patient": "Reference:Patient!",
    },
    "IncludedStructure": {"structure": "CodeableConcept!", "laterality": "CodeableConcept"},
    "CodeableReference": {"extension": "Extension*", "concept": "CodeableConcept", "reference": "Reference"},
}

R6: Table = {
    "ImagingStudy": {
        "status": "code:imagingstudy-status-r6!",
        "basedOn": "Reference:CarePlan|ServiceRequest|Appointment|Task*",
        "partOf": "",
        "procedure": "Reference:Procedure*",
    },
    "Device": {"version": "", "deviceVersion": "DeviceVersion*"},
    "DeviceName": {"type": "CodeableConcept!"},
    "Series": {"bodySite": "CodeableReference*", "laterality": ""},
    "Instance": {"sopClass": "oid!", "numberOfFrames": "unsignedInt"},
    "Endpoint": {"status": "code:endpoint-status-r6!"},
}

_RESOURCE = "implicitRules language text contained modifierExtension"

R6_FURTHER: Mapping[str, str] = {
    "ImagingStudy": f"{_RESOURCE} note",
    "Series": "id modifierExtension specimen",
    "Performer": "id extension modifierExtension",
    "Instance": "id extension modifierExtension",
    "Patient": (
        f"{_RESOURCE} telecom deceasedBoolean deceasedDateTime address maritalStatus multipleBirthBoolean"
        " multipleBirthInteger photo contact communication generalPractitioner managingOrganization"
    ),
    "PatientLink": "id extension modifierExtension",
    "Endpoint": f"{_RESOURCE} description environmentType managingOrganization contact period availability header",
    "Payload": "id extension modifierExtension profileCanonical profileUri",
    "Practitioner": (
        f"{_RESOURCE} telecom deceasedBoolean deceasedDateTime address gender birthDate photo qualification communication"
    ),
    "Device": (
        f"{_RESOURCE} definition udiCarrier status availabilityStatus biologicalSourceEvent manufactureDate expirationDate"
        " lotNumber modelNumber partNumber category type conformsTo property additive contact location endpoint gateway note"
        " safety parent"
    ),
    "DeviceName": "id extension modifierExtension display",
    "DeviceVersion": "id extension modifierExtension type component installDate",
    "Procedure": (
        f"{_RESOURCE} basedOn partOf statusReason category focus encounter occurrenceDateTime occurrenceString occurrenceAge"
        " occurrenceRange occurrenceTiming recorded recorder reportedBoolean reportedReference performer location reason"
        " bodySite bodyStructure outcome report complication followUp note focalDevice used supportingInfo"
    ),
    "Period": "id extension",
    "BodyStructure": f"{_RESOURCE} active excludedStructure description image",
    "IncludedStructure": (
        "id extension modifierExtension morphology bodyLandmarkOrientation spatialReference qualifier image"
    ),
    "CodeableReference": "id",
    "Meta": "id extension versionId lastUpdated",
    "Identifier": "id period",
    "HumanName": "id period",
    "Coding": "id",
    "CodeableConcept": "id",
    "Reference": "id",
}
"""Elements that R6 defines and we never write; a site's hook may."""
