"""The rows of ImagingStudy's series and instances (MAPPING A.2, A.3, M)."""

from __future__ import annotations

from scripts.mapping_page.row import row

SERIES = (
    row(
        "ImagingStudy.series",
        said="series BackboneElement*",
        rule="By number, those without one last, then by UID. A series without a usable instance is left out.",
        clause="A.2",
    ),
    row(
        "ImagingStudy.series.uid",
        said="series.uid id",
        dstu2="series.uid oid",
        tags="0020,000E",
        rule="The bare UID; a series whose UID is no FHIR id is left out, not counted, and noted. DSTU2: with `urn:oid:`,"
        " or `data-absent-reason`.",
        clause="A.2",
    ),
    row(
        "ImagingStudy.series.number",
        said="series.number unsignedInt",
        tags="0020,0011",
        rule="0 to 2147483647, else left out.",
        clause="C.4",
    ),
    row(
        "ImagingStudy.series.modality",
        said="series.modality Coding",
        r5="series.modality CodeableConcept",
        tags="0008,0060 0008,0016",
        rule="DICOM's code with its name, also where it is written in lower case; without one inferred from the SOP"
        " class; another token is words without a system, or a code under `SYNCD_POLICY__SITE_MODALITY_SYSTEM`; unknown is"
        " `data-absent-reason`.",
        clause="C.7",
    ),
    row(
        "ImagingStudy.series.description",
        said="series.description string",
        tags="0008,103E 0018,1030",
        rule="The series' description, else the protocol's name.",
        clause="A.2",
    ),
    row(
        "ImagingStudy.series.numberOfInstances",
        said="series.numberOfInstances unsignedInt",
        rule="Counted from what is listed, also where the instances themselves are not.",
        clause="G, R6 ist-6",
    ),
    row(
        "ImagingStudy.series.endpoint",
        said="series.endpoint Reference*",
        dstu2="",
        rule="The Endpoints of the archive that holds the series, only where that is not the one of the study's own. The"
        " profile `mado` names the WADO-RS Endpoint of every series, and no other.",
        clause="E",
    ),
    row(
        "ImagingStudy.series.availability",
        said="",
        dstu2="series.availability code",
        rule="`ONLINE`: a series that is not there is not listed.",
        clause="M",
    ),
    row(
        "ImagingStudy.series.url",
        said="",
        dstu2="series.url uri",
        tags="0020,000E",
        rule="The series below `…__PUBLIC_DICOMWEB_URL`.",
        clause="M",
    ),
    row(
        "ImagingStudy.series.bodySite",
        said="series.bodySite Coding",
        r5="series.bodySite CodeableReference",
        r6="series.bodySite CodeableReference*",
        tags="0008,2218 0020,9071 0018,0015",
        rule="The coded region if every image (and frame) names the same one; else the body part that all images have, by"
        " PS3.16 Annex L; else words. Left out and noted where images differ or only some name one. R6"
        " says the side here, in the words: Chest, left. From R5 on with a reference to its BodyStructure, where one is"
        " written.",
        clause="C.6, J.7, RULES B9",
    ),
    row(
        "ImagingStudy.series.laterality",
        said="series.laterality Coding",
        r5="series.laterality CodeableConcept",
        r6="",
        tags="0020,0060 0020,0062 0020,9072",
        rule="What all images say, each of its own (0020,0062) or the series' (0020,0060), by the table below; left out and"
        " noted where one says none, or where (0020,0060) of any says otherwise than all together.",
        clause="C.6, RULES B6, B9",
    ),
    row(
        "ImagingStudy.series.started",
        said="series.started dateTime",
        tags="0008,0021 0008,0031 0008,0022 0008,0032 0008,0201",
        rule="The series' date and time, else those of the acquisition. R6: cut to a date where the study has only a"
        " date, left out where it would lie before the study or lacks a time that the study has (ist-8).",
        clause="C.1",
    ),
    row(
        "ImagingStudy.series.performer:physician",
        said="series.performer:physician BackboneElement*",
        dstu2="",
        tags="0008,1050 0008,1052",
        rule="One per performing physician who has a name.",
        clause="A.2",
    ),
    row(
        "ImagingStudy.series.performer:operator",
        said="series.performer:operator BackboneElement*",
        dstu2="",
        tags="0008,1070 0008,1072",
        rule="One per operator who has a name, behind the physicians.",
        clause="A.2",
    ),
    row(
        "ImagingStudy.series.performer:device",
        said="series.performer:device BackboneElement*",
        dstu2="",
        tags="0018,1002 0008,0070 0008,1090 0018,1000 0008,1010",
        rule="The machine, behind the people: its Device where one is written, else a logical reference by its UID, and its"
        " manufacturer and model in words, else its station's name. R4, R4B and R5: only with `SYNCD_POLICY__WRITE_DEVICES`"
        " or the profile `eu`.",
        clause="A.2, J.2",
    ),
    row(
        "ImagingStudy.series.performer:place",
        said="",
        r6="series.performer:place BackboneElement*",
        tags="0008,0080 0008,0082",
        rule="The institution: its code, where that has a system, and its name. R4 and R5: only with the profile `eu`.",
        clause="A.2",
    ),
    row(
        "ImagingStudy.series.performer.function",
        said="series.performer.function CodeableConcept",
        dstu2="",
        rule="`PRF` for a performing physician, `SPRF` for an operator, `DEV` for a machine, `LOC` for a place.",
        clause="A.2",
    ),
    row(
        "ImagingStudy.series.performer.actor",
        said="series.performer.actor Reference",
        dstu2="",
        tags="0040,1101",
        rule="As referrer; a machine and a place as said above.",
        clause="C.2, J.2",
    ),
    row(
        "ImagingStudy.series.instance",
        said="series.instance BackboneElement*",
        rule="By number, those without one last, then by UID. One whose UID is no FHIR id is left out, not counted, and"
        " noted.",
        clause="A.2, A.3",
    ),
    row(
        "ImagingStudy.series.instance.uid",
        said="series.instance.uid id",
        dstu2="series.instance.uid oid",
        tags="0008,0018",
        rule="The bare UID. DSTU2: with `urn:oid:`, or `data-absent-reason`.",
        clause="A.3",
    ),
    row(
        "ImagingStudy.series.instance.sopClass",
        said="series.instance.sopClass Coding",
        dstu2="series.instance.sopClass oid",
        r6="series.instance.sopClass oid",
        tags="0008,0016",
        rule="`urn:oid:` before the UID, as a Coding under `urn:ietf:rfc:3986`; `data-absent-reason` where it is missing"
        " or no UID, and as an oid also where it has leading zeros. `SYNCD_POLICY__SOPCLASS_STYLE` `jp` writes the"
        " bare UID under JP Core's system.",
        clause="A.3",
    ),
    row(
        "ImagingStudy.series.instance.type",
        said="",
        dstu2="series.instance.type string",
        tags="0008,0016",
        rule="The SOP class's name.",
        clause="M, PS3.6 Annex A",
    ),
    row(
        "ImagingStudy.series.instance.number",
        said="series.instance.number unsignedInt",
        tags="0020,0013",
        rule="As series.number.",
        clause="C.4",
    ),
    row(
        "ImagingStudy.series.instance.title",
        said="series.instance.title string",
        tags="0040,A043 0070,0080 0042,0010 0008,0008",
        rule="Of documents: the concept name of structured reports and key objects, a presentation state's label, an"
        " encapsulated document's title, else its concept name. Images have none, unless"
        " `SYNCD_POLICY__TITLE_FROM_IMAGE_TYPE` is on.",
        clause="A.3",
    ),
    row(
        "ImagingStudy.series.instance.numberOfFrames",
        said="",
        r6="series.instance.numberOfFrames unsignedInt",
        tags="0028,0008",
        rule="From 1 on, else left out.",
        clause="A.3, C.4",
    ),
    row(
        "ImagingStudy.series.instance.content",
        said="",
        dstu2="series.instance.content Attachment*",
        tags="0008,0018",
        rule="The instance's address below `…__PUBLIC_DICOMWEB_URL`.",
        clause="M",
    ),
)
