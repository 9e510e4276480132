"""The rows of Patient and Endpoint (MAPPING B, C, E, J.1)."""

from __future__ import annotations

from scripts.mapping_page.row import row

PATIENT = (
    row(
        "Patient.id",
        said="id id",
        tags="0010,0020 0010,0021 0010,0024",
        rule="`pat-` and a digest of system and PatientID; without a system, of archive, issuer and PatientID; without a"
        " PatientID, of the study. Nothing of the value can be read from it.",
        clause="RULES B4",
    ),
    row("Patient.meta.source", said="meta.source uri", dstu2="", rule="Always `urn:syncd`.", clause="RULES B2"),
    row(
        "Patient.meta.tag",
        said="meta.tag Coding*",
        rule="`SYNCD_INSTALLATION_ID` under `urn:syncd:installation`.",
        clause="RULES B2",
    ),
    row(
        "Patient.extension",
        said="extension Extension*",
        rule="`urn:syncd:extension:unidentified`, true, where there is no PatientID; such a Patient belongs to one study.",
        clause="I-11",
    ),
    row(
        "Patient.identifier:PatientID",
        said="identifier:PatientID Identifier*",
        tags="0010,0020 0010,0021 0010,0024 0040,0035",
        rule="use `usual`. Type (0040,0035) if HL7's table 0203 has it, else `MR`. System by the issuer rule, else"
        " `…__PATIENT_ID_SYSTEM` where no issuer is given; without a system, the name of the issuer or archive as"
        " assigner.",
        clause="B",
    ),
    row(
        "Patient.identifier:other",
        said="identifier:other Identifier*",
        tags="0010,1002 0010,1000",
        rule="use `secondary`, one per other patient id of any of the patient's studies; exact repetitions vanish, and what"
        " once stands there stays. The retired form (0010,1000) only under the archive's `…__OTHER_PATIENT_IDS_SYSTEM`.",
        clause="B, RULES B9",
    ),
    row(
        "Patient.name",
        said="name HumanName*",
        tags="0010,0010 0010,1001",
        rule="One per group (alphabetic, ideographic, phonetic) that says something.",
        clause="C.2",
    ),
    row(
        "Patient.name.extension",
        said="name.extension Extension*",
        rule="`iso21090-EN-representation` `ABC`, `IDE` or `SYL`; not on a name that has an alphabetic group only.",
        clause="C.2",
    ),
    row("Patient.name.use", said="name.use code", rule="`official` on the first one, none on the others.", clause="C.2"),
    row(
        "Patient.name.text",
        said="name.text string",
        rule="Prefix, given, middle, family, suffix; of ideographic and phonetic groups family, given. Alone, where a"
        " group cannot be taken apart.",
        clause="C.2",
    ),
    row(
        "Patient.name.family",
        said="name.family string",
        dstu2="name.family string*",
        rule="The first component.",
        clause="C.2, PS3.5 6.2.1",
    ),
    row(
        "Patient.name.given",
        said="name.given string*",
        rule="The second component, then the third (middle); neither is split at blanks.",
        clause="C.2, PS3.5 6.2.1",
    ),
    row("Patient.name.prefix", said="name.prefix string*", rule="The fourth component.", clause="C.2, PS3.5 6.2.1"),
    row("Patient.name.suffix", said="name.suffix string*", rule="The fifth component.", clause="C.2, PS3.5 6.2.1"),
    row(
        "Patient.gender",
        said="gender code",
        tags="0010,0040",
        rule="M male, F female, O other; left out where empty; anything else is unknown.",
        clause="C.3",
    ),
    row(
        "Patient.birthDate",
        said="birthDate date",
        tags="0010,0030",
        rule="A partial date stays partial: cut where month or day is 00.",
        clause="C.1-10",
    ),
)

ENDPOINT = (
    row(
        "Endpoint.id",
        said="id id",
        dstu2="",
        rule="`SYNCD_POLICY__ENDPOINT_PREFIX`, the archive's name and the service: `main-wado-rs`.",
        clause="RULES B5",
    ),
    row("Endpoint.meta.source", said="meta.source uri", dstu2="", rule="Always `urn:syncd`.", clause="RULES B2"),
    row(
        "Endpoint.meta.tag",
        said="meta.tag Coding*",
        dstu2="",
        rule="`SYNCD_INSTALLATION_ID` under `urn:syncd:installation`.",
        clause="RULES B2",
    ),
    row(
        "Endpoint.identifier",
        said="identifier Identifier*",
        dstu2="",
        rule="Only on the sentinel, under `urn:syncd:sentinel`.",
        clause="RULES E3",
    ),
    row(
        "Endpoint.status",
        said="status code",
        dstu2="",
        rule="Always `active`, whether the archive answers or not; the sentinel is off.",
        clause="E",
    ),
    row(
        "Endpoint.connectionType",
        said="connectionType Coding",
        dstu2="",
        r5="connectionType CodeableConcept*",
        rule="By the table of services below. `ihe-iid` is words from R5 on, because HL7's terminology has no such code"
        " any more.",
        clause="E",
    ),
    row("Endpoint.name", said="name string", dstu2="", rule="The archive's name and the service's.", clause="E"),
    row(
        "Endpoint.payloadType",
        said="payloadType CodeableConcept*",
        dstu2="",
        r5="payload.type CodeableConcept*",
        rule="In words, by the table of services below.",
        clause="E",
    ),
    row(
        "Endpoint.payloadMimeType",
        said="payloadMimeType code*",
        dstu2="",
        r5="payload.mimeType code*",
        rule="By the table of services below.",
        clause="E",
    ),
    row(
        "Endpoint.payload",
        said="",
        r5="payload BackboneElement*",
        rule="One, which holds what the versions before R5 say in two elements.",
        clause="E",
    ),
    row(
        "Endpoint.address",
        said="address url",
        dstu2="",
        rule="The service's public root from the settings, without a slash at its end; never the address that syncd uses.",
        clause="E",
    ),
)
