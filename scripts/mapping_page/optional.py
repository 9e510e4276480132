"""The rows of the companions that a site may want: Practitioner, Device, Procedure, BodyStructure (MAPPING J)."""

from __future__ import annotations

from scripts.mapping_page.row import Row, row


def _head(resource: str, *, rule: str, tags: str, clause: str, dstu2: bool = True, r4: bool = True) -> tuple[Row, ...]:
    """Id and meta, which every resource has; `dstu2` and `r4`: whether those versions write it."""

    def one(element: str, said: str, *, rule: str, clause: str, tags: str = "", source: bool = False) -> Row:
        old = said if dstu2 and not source else ""
        return row(f"{resource}.{element}", said=said if r4 else "", dstu2=old, r5=said, rule=rule, clause=clause, tags=tags)

    return (
        one("id", "id id", rule=rule, clause=clause, tags=tags),
        one("meta.source", "meta.source uri", rule="Always `urn:syncd`.", clause="RULES B2", source=True),
        one(
            "meta.tag", "meta.tag Coding*", rule="`SYNCD_INSTALLATION_ID` under `urn:syncd:installation`.", clause="RULES B2"
        ),
    )


PRACTITIONER = (
    *_head(
        "Practitioner",
        rule="`prac-` and a digest of the first identifier that has a system.",
        tags="0040,1101",
        clause="J.2",
    ),
    row(
        "Practitioner.identifier",
        said="identifier Identifier*",
        tags="0040,1101",
        rule="One per identification code whose scheme has a system, by the coding schemes below. Of (0008,0096),"
        " (0008,1062), (0008,1052), (0008,1072).",
        clause="B, C.5",
    ),
    row(
        "Practitioner.name",
        said="name HumanName*",
        dstu2="name HumanName",
        tags="0008,0090 0008,1060 0008,1050 0008,1070",
        rule="As Patient's, as the study first names them. DSTU2: the first group.",
        clause="C.2",
    ),
    row(
        "Practitioner.name.extension",
        said="name.extension Extension*",
        rule="As Patient's: which group it is.",
        clause="C.2",
    ),
    row("Practitioner.name.use", said="name.use code", rule="`official` on the first one.", clause="C.2"),
    row("Practitioner.name.text", said="name.text string", rule="As Patient's.", clause="C.2"),
    row(
        "Practitioner.name.family",
        said="name.family string",
        dstu2="name.family string*",
        rule="The first component.",
        clause="C.2, PS3.5 6.2.1",
    ),
    row(
        "Practitioner.name.given",
        said="name.given string*",
        rule="The second and the third component.",
        clause="C.2, PS3.5 6.2.1",
    ),
    row("Practitioner.name.prefix", said="name.prefix string*", rule="The fourth component.", clause="C.2, PS3.5 6.2.1"),
    row("Practitioner.name.suffix", said="name.suffix string*", rule="The fifth component.", clause="C.2, PS3.5 6.2.1"),
)

DEVICE = (
    *_head(
        "Device",
        rule="`dev-` and a digest of the device UID; without one, of manufacturer, model and serial number.",
        tags="0018,1002 0008,0070 0008,1090 0018,1000",
        clause="J.2",
        dstu2=False,
    ),
    row(
        "Device.identifier",
        said="identifier Identifier*",
        dstu2="",
        tags="0018,1002",
        rule="`urn:oid:` and the device UID, if it is a valid OID.",
        clause="B",
    ),
    row("Device.manufacturer", said="manufacturer string", dstu2="", tags="0008,0070", rule="As it is.", clause="J.2"),
    row("Device.serialNumber", said="serialNumber string", dstu2="", tags="0018,1000", rule="As it is.", clause="J.2"),
    row(
        "Device.deviceName",
        said="deviceName BackboneElement*",
        dstu2="",
        r5="name BackboneElement*",
        tags="0008,1090 0008,1010",
        rule="The model, then the station.",
        clause="J.2",
    ),
    row(
        "Device.deviceName.name",
        said="deviceName.name string",
        dstu2="",
        r5="name.value string",
        rule="As it is.",
        clause="J.2",
    ),
    row(
        "Device.deviceName.type",
        said="deviceName.type code",
        dstu2="",
        r5="name.type code",
        r6="name.type CodeableConcept",
        rule="`model-name` for the model, from R5 on `registered-name`; `user-friendly-name` for the station.",
        clause="J.2",
    ),
    row(
        "Device.version",
        said="version BackboneElement*",
        dstu2="",
        r6="deviceVersion BackboneElement*",
        tags="0018,1020",
        rule="One per software version.",
        clause="J.2",
    ),
    row(
        "Device.version.value",
        said="version.value string",
        dstu2="",
        r6="deviceVersion.value string",
        rule="As it is.",
        clause="J.2",
    ),
)

PROCEDURE = (
    *_head(
        "Procedure",
        rule="`proc-` and a digest of the performed step's UID; where no series names one, of the StudyInstanceUID.",
        tags="0008,1111 0020,000D",
        clause="J.4",
    ),
    row(
        "Procedure.identifier",
        said="identifier Identifier*",
        tags="0008,1111",
        rule="`urn:oid:` and the step's UID under `urn:dicom:uid`.",
        clause="J.4",
    ),
    row(
        "Procedure.status",
        said="status code",
        tags="0040,0250",
        rule="`completed` if an end is known, else `unknown`. DSTU2 has no such word: a Procedure without an end is not"
        " written there.",
        clause="J.4",
    ),
    row(
        "Procedure.code",
        said="code CodeableConcept",
        tags="0008,1032 0040,0254",
        rule="The first coded item, by the coding schemes below; else the step's description. DSTU2: not written without.",
        clause="J.4, C.5",
    ),
    row("Procedure.subject", said="subject Reference", rule="The study's.", clause="J.4"),
    row(
        "Procedure.performedPeriod",
        said="performedPeriod Period",
        r5="occurrencePeriod Period",
        tags="0040,0244 0040,0245 0040,0250 0040,0251 0008,0201",
        rule="Start and end, both as dates where one has no time; an end before the start is left out.",
        clause="J.4, C.1",
    ),
)

BODY_STRUCTURE = (
    *_head(
        "BodyStructure",
        rule="`bs-` and a digest of patient, site and side.",
        tags="0010,0020 0008,2218 0018,0015 0020,0060",
        clause="J.7",
        dstu2=False,
        r4=False,
    ),
    row(
        "BodyStructure.includedStructure",
        said="",
        r5="includedStructure BackboneElement*",
        rule="One: the body site of a series whose side is known.",
        clause="J.7",
    ),
    row(
        "BodyStructure.includedStructure.structure",
        said="",
        r5="includedStructure.structure CodeableConcept",
        rule="As `series.bodySite`.",
        clause="J.7, C.6",
    ),
    row(
        "BodyStructure.includedStructure.laterality",
        said="",
        r5="includedStructure.laterality CodeableConcept",
        rule="By the table of sides below.",
        clause="J.7, C.6",
    ),
    row("BodyStructure.patient", said="", r5="patient Reference", rule="The study's subject.", clause="J.7"),
)

OPTIONAL = (*PRACTITIONER, *DEVICE, *PROCEDURE, *BODY_STRUCTURE)
