"""The rows of ImagingStudy above its series (MAPPING A.1, B, M)."""

from __future__ import annotations

from scripts.mapping_page.row import row

STUDY = (
    row(
        "ImagingStudy.id",
        said="id id",
        tags="0020,000D",
        rule="The StudyInstanceUID itself. What is no UID is parked, or hashed with `SYNCD_POLICY__BAD_UID` `verbatim`.",
        clause="RULES C1",
    ),
    row(
        "ImagingStudy.meta.source",
        said="meta.source uri",
        dstu2="",
        rule="Always `urn:syncd`.",
        clause="RULES B2",
    ),
    row(
        "ImagingStudy.meta.tag",
        said="meta.tag Coding*",
        rule="`SYNCD_INSTALLATION_ID` under `urn:syncd:installation`.",
        clause="RULES B2",
    ),
    row(
        "ImagingStudy.extension",
        said="extension Extension*",
        rule="`urn:syncd:extension:summary`, true, where the instances are not listed: above"
        " `SYNCD_POLICY__MAX_INSTANCES`, or the server finds the resource too large.",
        clause="F.6",
    ),
    row(
        "ImagingStudy.uid",
        said="",
        dstu2="uid oid",
        tags="0020,000D",
        rule="`urn:oid:` before the StudyInstanceUID; a UID with leading zeros is no OID, and `data-absent-reason` takes"
        " its place.",
        clause="M",
    ),
    row(
        "ImagingStudy.identifier:StudyInstanceUID",
        said="identifier:StudyInstanceUID Identifier*",
        tags="0020,000D",
        rule="Always first: system `urn:dicom:uid`, value `urn:oid:` and the UID, use `official`. DSTU2: only where uid"
        " cannot hold it.",
        clause="B",
    ),
    row(
        "ImagingStudy.identifier:accession",
        said="identifier:accession Identifier*",
        dstu2="accession Identifier",
        tags="0008,0050 0008,0051 0040,A370 0040,0275",
        rule="One per accession number, type `ACSN`; system by the issuer rule, else `…__ACCESSION_SYSTEM` where no"
        " issuer is given. All that the study's level, its series, documents and copies and their requests name, the"
        " study's own first; the same number with and without its issuer is one. DSTU2: the first one. From R5 on only"
        " where `SYNCD_POLICY__ACCESSION_IN_IDENTIFIER` is true, in R4 and R4B unless it is false.",
        clause="B, RULES B9",
    ),
    row(
        "ImagingStudy.identifier:StudyID",
        said="identifier:StudyID Identifier*",
        tags="0020,0010",
        rule="Only under the archive's `…__STUDY_ID_SYSTEM`, for it means nothing without a system; type.text is Study ID.",
        clause="B",
    ),
    row(
        "ImagingStudy.status",
        said="status code",
        dstu2="",
        rule="`registered` while the study arrives, `available` once it is stable; for a study of which nothing is left"
        " see the table below.",
        clause="F.3",
    ),
    row(
        "ImagingStudy.availability",
        said="",
        dstu2="availability code",
        rule="What DSTU2 says instead of a status: `ONLINE` for a study that is there, `UNAVAILABLE` for one that is no"
        " more. One that still arrives is not written.",
        clause="M",
    ),
    row(
        "ImagingStudy.modality",
        said="modality Coding*",
        dstu2="modalityList Coding*",
        r5="modality CodeableConcept*",
        tags="0008,0060 0008,0016",
        rule="The distinct modalities of the listed series in their order, never (0008,0061), each followed by what else"
        " its instances are: by their own token, or by an SOP class that leaves no doubt (an RTSTRUCT in a CT series),"
        " noted. R6 has no place for these (ist-7). With"
        " `SYNCD_POLICY__MODALITY_SCOPE` `acquisition` those of CID 29 only, in DSTU2 always; R6 names all (ist-7).",
        clause="C.7",
    ),
    row(
        "ImagingStudy.subject",
        said="subject Reference",
        dstu2="patient Reference",
        tags="0010,0020 0010,0021 0010,0024",
        rule="The server's Patient with exactly this identifier, else syncd's own, else a logical reference"
        " (`SYNCD_POLICY__PATIENT`). DSTU2 knows no logical references: words. Without a PatientID, words and the"
        " extension `urn:syncd:extension:unidentified`, unless a Patient of its own is written.",
        clause="RULES B4, J.1",
    ),
    row(
        "ImagingStudy.encounter",
        said="encounter Reference",
        dstu2="",
        tags="0038,0010 0038,0014",
        rule="A logical reference, identifier type `VN`, only if the issuer has a system.",
        clause="B",
    ),
    row(
        "ImagingStudy.started",
        said="started dateTime",
        tags="0008,0020 0008,0030 0008,0201",
        rule="Date and time with the offset (0008,0201), else that of the archive's `…__TIMEZONE`; the date alone where"
        " no offset is known or the time is unusable; nothing without a date.",
        clause="C.1",
    ),
    row(
        "ImagingStudy.basedOn:accession",
        said="basedOn:accession Reference*",
        dstu2="order Reference*",
        tags="0008,0050 0008,0051 0040,A370 0040,0275",
        rule="A logical reference to a ServiceRequest per accession number, as they are gathered for identifier, type"
        " `ACSN`; with"
        " `SYNCD_POLICY__SERVICE_REQUEST` `match` and a system also a literal one, where the server holds exactly one such"
        " order. DSTU2: the number in words.",
        clause="B, J.3, RULES B9",
    ),
    row(
        "ImagingStudy.basedOn:placer",
        said="basedOn:placer Reference*",
        dstu2="",
        tags="0040,2016 0040,0026 0040,A370 0040,0275",
        rule="The same for each placer order number, type `PLAC`; system by the issuer rule.",
        clause="B, RULES B9",
    ),
    row(
        "ImagingStudy.basedOn:filler",
        said="basedOn:filler Reference*",
        dstu2="",
        tags="0040,2017 0040,0027 0040,A370 0040,0275",
        rule="The same for each filler order number, type `FILL`; system by the issuer rule.",
        clause="B, RULES B9",
    ),
    row(
        "ImagingStudy.referrer",
        said="referrer Reference",
        tags="0008,0090 0008,0096",
        rule="The name in words, with the identifier of a coded identification whose scheme has a system; without a name"
        " nothing. DSTU2: the name only. To a Practitioner instead, where one is written.",
        clause="C.2, J.2",
    ),
    row(
        "ImagingStudy.interpreter",
        said="interpreter Reference*",
        dstu2="interpreter Reference",
        r5="",
        tags="0008,1060 0008,1062",
        rule="As referrer, one per name. DSTU2: the first one. R5 and R6 have no element for it.",
        clause="A.1",
    ),
    row(
        "ImagingStudy.endpoint",
        said="endpoint Reference*",
        dstu2="",
        rule="The Endpoints of the archive that holds most of its series, WADO-RS first; none once the study is no more.",
        clause="E",
    ),
    row(
        "ImagingStudy.url",
        said="",
        dstu2="url uri",
        tags="0020,000D",
        rule="The study below `…__PUBLIC_DICOMWEB_URL`, because DSTU2 has no Endpoint.",
        clause="M",
    ),
    row(
        "ImagingStudy.numberOfSeries",
        said="numberOfSeries unsignedInt",
        rule="Counted from what is listed, never taken from a file; not said while the study arrives.",
        clause="G, R6 ist-3",
    ),
    row(
        "ImagingStudy.numberOfInstances",
        said="numberOfInstances unsignedInt",
        rule="Counted likewise, also where the instances themselves are not listed.",
        clause="G, R6 ist-4 and ist-5",
    ),
    row(
        "ImagingStudy.procedureReference",
        said="procedureReference Reference",
        dstu2="procedure Reference*",
        r5="partOf Reference*",
        r6="procedure Reference*",
        tags="0008,1111",
        rule="The Procedures that are written, in the order of the series; R4: the first.",
        clause="J.4",
    ),
    row(
        "ImagingStudy.procedureCode",
        said="procedureCode CodeableConcept*",
        dstu2="",
        r5="procedure CodeableReference*",
        r6="",
        tags="0008,1032 0032,1060",
        rule="One per coded item of any series, document or copy, by the coding schemes below; an item without a system"
        " is words. Without any item, the descriptions of the requested procedures. R6 has the code in a Procedure only.",
        clause="C.5",
    ),
    row(
        "ImagingStudy.reasonCode",
        said="reasonCode CodeableConcept*",
        dstu2="",
        r5="reason CodeableReference*",
        tags="0040,100A 0040,1002",
        rule="One per coded item, and each reason in words unless a code says the same; of any series, document or copy,"
        " and of all their requests.",
        clause="C.5",
    ),
    row(
        "ImagingStudy.location",
        said="location Reference",
        dstu2="",
        tags="0008,1040 0040,0243",
        rule="The department, else the performed location, in words.",
        clause="A.1",
    ),
    row(
        "ImagingStudy.description",
        said="description string",
        tags="0008,1030",
        rule="Trimmed; several values are joined with a semicolon.",
        clause="C.3",
    ),
)
