"""docs/mapping.md: the mapping as integration engineers read it, made from the tables that are data.

Most tables are the code's own: they are asked here (schemes, sides, services, statuses), never written a second time.
What no function holds stands in this module, and tests compare it with what the code does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from scripts.mapping_page.row import Row
from scripts.mapping_page.table import ROWS
from syncd.mapping.dialects.services import services
from syncd.mapping.policy import ArchivePolicy
from syncd.mapping.resources.retracted import retracted_status
from syncd.mapping.values.systems import SCHEMES
from syncd.mapping.values.terms import laterality
from syncd.model.ids import ArchiveName
from syncd.model.study.rejection import EXPIRED, QUALITY, SAFETY, WRONG_WORKLIST

CLAUSES = Path(__file__).with_name("clauses.md")
"""What each clause says, in words: the part of the page that no table holds."""

COLUMNS = {"DSTU2": "dstu2", "R4, R4B": "r4", "R5": "r5", "R6": "r6"}
"""Heading → version. R4B says nothing that R4 does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Title:
    """What a rejecting key object title does (D.2): whether the note itself stays listed, and whether a study of which
    nothing is left should never have been."""

    code: str
    meaning: str
    note_listed: bool
    in_error: bool


TITLES = (
    Title(code=QUALITY, meaning="Rejected for Quality Reasons", note_listed=True, in_error=False),
    Title(code=SAFETY, meaning="Rejected for Patient Safety Reasons", note_listed=True, in_error=True),
    Title(code=WRONG_WORKLIST, meaning="Incorrect Modality Worklist Entry", note_listed=True, in_error=True),
    Title(code=EXPIRED, meaning="Data Retention Policy Expired", note_listed=False, in_error=False),
)

UNMAPPED = (
    ("ImagingStudy.reasonReference", "never"),
    ("ImagingStudy.note", "never: the description stands in `description`, comments may tell of the patient"),
    ("ImagingStudy.meta.profile", "only with a [profile](profiles.md)"),
    ("ImagingStudy.series.specimen", "never"),
    ("Endpoint.managingOrganization", "never"),
    ("Endpoint.header", "never"),
    ("Patient.telecom", "never, nor address, contacts, marital status or death: those are not an archive's to tell"),
)
"""Elements that FHIR has and syncd leaves out, and why."""

_INTRODUCTION = """\
# Mapping

Generated from `scripts/mapping_page/` and the code's own tables by `scripts/generate_docs.py`; do not edit.

From which DICOM attribute each FHIR element comes, by which rule, and what it is called in each version. An element
without a value is left out. `–`: the version has no such element, or syncd does not write it there. A name in a version's
column is what the element is called there. R6 is 6.0.0-ballot5 and later.

In brackets stands the rule's clause: one of those explained [below](#the-clauses), with RULES one of syncd's
[rules](rules.md), or one of the standard that is named. `syncd render --notes` cites the same clauses for what was odd in a
study: a value that cannot be used costs that value, never the study, unless `SYNCD_POLICY__VALUES` says so. `…__TIMEZONE` is
short for `SYNCD_ARCHIVES__<NAME>__TIMEZONE`, and so with the archive's other [settings](settings.md). A site's own
[hook](hook.md) may change what is written here."""

_ABOUT = {
    "ImagingStudy": """\
Attributes of the study are what the archive shows for it; codes, issuers and the offset from UTC, which it does not keep,
are read from one instance per series.""",
    "Patient": """\
Written only where the server has no active Patient with exactly this identifier; another writer's Patient is never changed.
It shows what the newest study says of the patient, of those that name birth date and sex.""",
    "Endpoint": """\
One per service that has an address. A further one, the sentinel, is off and leads nowhere: by it syncd tells whether the
server is still the same. DSTU2 has no Endpoint; the sentinel there is a Basic.""",
    "Practitioner": """\
Only with `SYNCD_POLICY__PRACTITIONER_FROM_NAME` `resource`, and only for somebody with an identifier that has a system: a
name is shared by many. As every companion from here on it is written before its study, is never taken from another writer,
and never costs the study: what cannot be written is not referred to. Where several studies name it, the newest speaks.""",
    "Device": """\
Only with `SYNCD_POLICY__WRITE_DEVICES`, and only for equipment that can be told from others; and one for syncd itself, as
agent of the Provenances, written with the first of them. DSTU2 has no place for it.""",
    "Procedure": """\
Only with `SYNCD_POLICY__WRITE_PROCEDURES`, where a series names its performed step or the study has procedure codes. It
stays when its study is withdrawn.""",
    "BodyStructure": """\
Only with `SYNCD_POLICY__BODY_STRUCTURE`, for a body site whose side is known.""",
    "Provenance": """\
Written after the ImagingStudy, as `SYNCD_POLICY__PROVENANCE` says: for corrections (another patient or Patient, a study
that replaces another one or was withdrawn), for every write, or never; never where nothing was written. Not in DSTU2.""",
}

_ISSUERS = """\
## Systems of identifiers

Who assigned an identifier is read from its issuer: (0010,0024) or (0010,0021), (0008,0051), (0040,0026), (0040,0027),
(0038,0014). Nothing is invented [B]:

1. a universal id (0040,0032) of type ISO becomes `urn:oid:`, of type UUID `urn:uuid:`, of type URI itself;
2. any other is looked up in the archive's `…__ISSUERS`, first the universal id, then the name;
3. without a hit there is no system, and the issuer's name is shown as the assigner;
4. only where no issuer is given at all, `…__PATIENT_ID_SYSTEM` or `…__ACCESSION_SYSTEM` holds; for the retired Other
   Patient IDs (0010,1000), which cannot name one, only `…__OTHER_PATIENT_IDS_SYSTEM`.

Two patients whose issuers differ are never one patient, with or without systems."""

_SCHEMES = """\
## Coding schemes

Designator (0008,0102) to system [C.5]. `SRT`, `SNM3` and `99SDM` are converted to SNOMED CT by pydicom's table. Any other
scheme has a system only if the file gives its UID (0008,010C), in the item or in (0008,0110); else the meaning is shown in
words. A designator is never a system, and a code without a system is never written."""

_TERMS = """\
## Modalities, body parts, sides

Modalities [C.7] are those of DICOM's CID 33 with their names, as pydicom has them, the newer ones of PS3.3 C.7.3.1.1.1 and
the retired ones, which are kept as they are unless `SYNCD_POLICY__MAP_RETIRED` is on; all under the system of `DCM`. Body
parts [C.6] are looked up in PS3.16 Annex L, whatever their case, blanks, `_` and hyphens; syncd holds the table as
`syncd/mapping/anatomic_regions.json`.

Sides [C.6, DICOM CID 244], under the system of `SCT`:"""

_REJECTION = """\
## Key objects that reject

A key object with one of these titles (0040,A043) takes back the instances that it names (0040,A375), in its own study and
in others of the same patient [D.2]. They are left out and not counted; a series without any left goes too. If nothing but
such notes is left, the status says so. A note that another one names has no effect any more, and is left out itself. The
archive still serves what is rejected: syncd does not protect it."""

_WITHDRAWN = """\
## A study of which nothing is left

Identifiers, subject and status stay; no series, modality, count or endpoint [F.3]. DSTU2 says `UNAVAILABLE` and counts 0."""


def mapping_page() -> str:
    """docs/mapping.md."""
    parts = [
        _INTRODUCTION,
        *(part for resource, about in _ABOUT.items() for part in (f"## {resource}", about, _elements(resource))),
        "## Services",
        "With the archive named `main`. A viewer's address with `IHEInvokeImageDisplay` in it is one of IHE's [E].",
        _services(),
        _ISSUERS,
        _SCHEMES,
        _table(("designator", "system"), ((f"`{name}`", f"`{system}`") for name, system in SCHEMES.items())),
        _TERMS,
        _table(("side", "code", "display"), _sides()),
        _REJECTION,
        _table(("title", "meaning", "the note itself", "nothing is left"), map(_effect, TITLES)),
        f"With `SYNCD_POLICY__REJECTED_QUALITY` `keep`, {QUALITY} has no effect. With `SYNCD_POLICY__LIST_MANIFEST` off,\n"
        "manifests (113030, 113031, MADOTEMP001), which reject nothing, are left out and not counted, unless nothing else\n"
        "is there.",
        _WITHDRAWN,
        _table(("nothing is left because", *list(COLUMNS)[1:]), _statuses()),
        "## Not mapped",
        "No Organization, Location or ServiceRequest is written: orders, visits and places are logical\n"
        "references or words, and so are people unless the site wants them. Left out besides:",
        _table(("element", "why"), ((f"`{element}`", why) for element, why in UNMAPPED)),
        CLAUSES.read_text(encoding="utf-8").rstrip(),
    ]
    return "\n\n".join(parts) + "\n"


def _elements(resource: str) -> str:
    rows = [one for one in ROWS if one.resource == resource]
    return _table(("element", "DICOM", "rule", *COLUMNS), map(_element, rows))


def _element(one: Row) -> tuple[str, ...]:
    name, _, source = one.element.removeprefix(f"{one.resource}.").partition(":")
    tags = " ".join(f"({tag})" for tag in one.tags) or "–"
    shown = f"`{name}` ({source})" if source else f"`{name}`"
    return (shown, tags, f"{one.rule} [{one.clause}]", *(_said(one, version, name) for version in COLUMNS.values()))


def _said(one: Row, version: str, name: str) -> str:
    """The type, behind the element's name where it is not that of the first column."""
    path, kind = one.path(version).partition(":")[0], one.type(version)
    if not path:
        return "–"
    words = f"list of {kind[:-1]}" if kind.endswith("*") else kind
    return words if path == name else f"`{path}`: {words}"


def _services() -> str:
    address = "https://pacs.example.org"
    archive = ArchivePolicy(
        name=ArchiveName("main"), dicomweb_url=address, wado_uri_url=address, qido_url=address, viewer_url=address
    )
    invoked = ArchivePolicy(name=ArchiveName("main"), viewer_url=f"{address}/IHEInvokeImageDisplay")
    found = [*services(archive, prefix=""), *services(invoked, prefix="")]
    rows = (
        (f"`{one.resource_id}`", f"`{one.code}`" if one.code else "–", one.words, one.payload, f"`{one.mime_type}`")
        for one in found
    )
    return _table(("id", "connection type", "in words", "payload", "media type"), rows)


def _sides() -> Iterable[tuple[str, ...]]:
    for letter in ("L", "R", "B"):
        term = laterality(letter)
        if term is not None:
            yield f"`{letter}`", f"`{term.code}`", term.display


def _effect(title: Title) -> tuple[str, ...]:
    listed = "stays listed" if title.note_listed else "is left out too"
    return title.code, title.meaning, listed, "never should have been" if title.in_error else "is no more"


def _statuses() -> Iterable[tuple[str, ...]]:
    for words, in_error in (("it is no more", False), ("it never should have been", True)):
        said = (retracted_status(in_error=in_error, fhir_version=version) for version in list(COLUMNS.values())[1:])
        yield words, *(f"`{status}`" for status in said)


def _table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    names = list(headings)
    lines = [names, ["---"] * len(names), *(list(cells) for cells in rows)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
