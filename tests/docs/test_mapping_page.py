"""The mapping's table says what is written, and nothing else; its page says what the code does.

What is written is taken apart to the table's elements: into series, instances and names, but not into data types. An element
with several sources is told apart by its value, as the table does it (`identifier:accession`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from scripts.generate_docs import GENERATED
from scripts.mapping_page.page import COLUMNS, TITLES, UNMAPPED, Title, mapping_page
from scripts.mapping_page.table import ROWS
from syncd.mapping.check.check import problems
from syncd.mapping.check.tables import SHAPES, Element
from syncd.mapping.dialects.registry import VERSIONS, dialect
from syncd.mapping.policy import ArchivePolicy, MappingPolicy
from syncd.mapping.resources.endpoints import endpoints
from syncd.mapping.resources.imagingstudy import available_study, registered_study, withdrawn_study
from syncd.mapping.resources.patient import patient, replaced_patient, subject
from syncd.mapping.resources.provenance import device, provenance, writes_provenance
from syncd.mapping.resources.retracted import retracted_status
from syncd.mapping.resources.sentinel import sentinel
from syncd.mapping.values.identity import patient_key
from syncd.mapping.values.primitives import RULES
from syncd.mapping.values.systems import DICOM_UID, SCHEMES
from syncd.model.ids import ArchiveName, StudyInstanceUID
from syncd.model.provenance import Occasion
from syncd.model.snapshot import (
    Code,
    InstanceReference,
    Institution,
    IssuedId,
    Issuer,
    KeyObject,
    NameGroup,
    PatientFacts,
    Person,
    PersonName,
    StudySnapshot,
)
from syncd.model.study.rejection import REJECTING_TITLES
from syncd.model.words import NOTE_RULES
from syncd.snapshot.instances.rejection import rejections_in, without_rejected
from tests.mapping.resources.test_provenance import OWED
from tests.mapping.studies import (
    COLLEAGUE,
    ORTHANC,
    SCANNER,
    STEP,
    WANTED,
    beside,
    golden_study,
    instance,
    person,
    policies,
    series,
    snapshots,
    study,
)

Json = dict[str, Any]

BACKBONES = {"Series", "Performer", "Instance", "Payload", "DeviceName", "DeviceVersion", "IncludedStructure"}
BACKBONES |= {"PatientLink", "ProvenanceAgent", "ProvenanceEntity"}
ENTERED = {"meta", "series", "series.performer", "series.instance", "name", "payload", "deviceName", "version"}
ENTERED |= {"deviceVersion", "includedStructure", "link", "agent", "entity"}
"""Elements that the table takes apart; of `meta` it has only the parts."""

EVERYTHING = MappingPolicy(
    archive=ArchivePolicy(
        name=ORTHANC,
        dicomweb_url="https://archive.example.org/dicom-web",
        wado_uri_url="https://archive.example.org/wado",
        qido_url="https://archive.example.org/dicom-web",
        viewer_url="https://view.example.org/app",
        timezone="Europe/Berlin",
        study_id_system="http://hosp.example/study",
        issuers={"HOSP-A": "http://hosp.example/a"},
    ),
    further=(ArchivePolicy(name=ArchiveName("other"), dicomweb_url="https://other.example.org/dicom-web"),),
    accession_in_identifier=True,
    **WANTED,
)


NAME = PersonName(
    alphabetic=NameGroup(family="Doe", given="Jane", middle="M", prefix="Dr", suffix="Jr"),
    ideographic=NameGroup(family="山田"),
)


def rich_study() -> StudySnapshot:
    """A study that gives every attribute of the table."""
    golden = golden_study()
    hospital = Issuer(local="HOSP-A")
    ct, ko = golden.series
    full = replace(
        ct,
        laterality="L",
        operators=(Person(name=NAME, identifiers=(COLLEAGUE,)),),
        equipment=SCANNER,
        institution=Institution(name="Hospital"),
        performed_step=STEP,
        instances=tuple(replace(one, frames=2) for one in ct.instances),
    )
    return replace(
        golden,
        patient=replace(golden.patient, ids=(*golden.patient.ids, IssuedId(value="P-2", issuer=hospital)), names=(NAME,)),
        study_id="S1",
        placer_orders=(IssuedId(value="PL1", issuer=hospital),),
        filler_orders=(IssuedId(value="FI1", issuer=hospital),),
        admission=IssuedId(value="V1", issuer=hospital),
        interpreters=(person("Lang"),),
        procedure_codes=(Code(value="24627-2", scheme="LN", meaning="CT Chest"),),
        reason_texts=("cough",),
        location_text="Radiology",
        series=(full, ko),
    )


def written(snapshot: StudySnapshot, policy: MappingPolicy, version: str) -> list[Json]:
    """Everything that syncd writes of a study in a version, in each of its states."""
    key = patient_key(snapshot, policy=policy)
    made = [patient(snapshot, key=key, policy=policy, fhir_version=version), *endpoints(policy, fhir_version=version)]
    made.append(sentinel("syncd-1", installation_id="syncd", fhir_version=version))
    who = subject(key, snapshot, literal=None, fhir_version=version)
    found, referring = beside(snapshot, policy, version, who=who)
    made += [*found, referring]
    for summary in (False, True):
        made.append(available_study(snapshot, subject=who, policy=policy, summary=summary, dialect=version))
    status = retracted_status(in_error=False, fhir_version=version)
    made.append(withdrawn_study(snapshot, subject=who, policy=policy, status=status, dialect=version))
    if dialect(version).writes_registered:
        made.append(registered_study(snapshot, subject=who, policy=policy, dialect=version))
    made.append(replaced_patient(made[0], by="Patient/theirs", policy=policy, fhir_version=version))
    if writes_provenance(version):
        debts = [replace(OWED, occasion=occasion) for occasion in Occasion]
        made += [provenance(one, policy=policy, with_device=True, fhir_version=version) for one in debts]
        made.append(device(policy, fhir_version=version))
    return [one for one in made if one["resourceType"] != "Basic"]


def code_of(content: Json) -> str:
    """The first code of an Identifier's type, or of a performer's function."""
    return str(content.get("coding", [{}])[0].get("code", ""))


PERFORMERS = {"PRF": "physician", "SPRF": "operator", "DEV": "device", "LOC": "place"}
SOURCES: dict[str, Callable[[Json], str]] = {
    "ImagingStudy.identifier": lambda one: (
        "StudyInstanceUID"
        if one.get("system") == DICOM_UID
        else {"ACSN": "accession", "": "StudyID"}[code_of(one.get("type", {}))]
    ),
    "ImagingStudy.basedOn": lambda one: {"ACSN": "accession", "PLAC": "placer", "FILL": "filler"}[
        code_of(one["identifier"]["type"])
    ],
    "ImagingStudy.series.performer": lambda one: PERFORMERS[code_of(one["function"])],
    "Patient.identifier": lambda one: {"usual": "PatientID", "secondary": "other"}[one["use"]],
}


def elements(content: Json, *, resource: str, below: str = "") -> Iterator[str]:
    """`resource.path` of every element of the table in a resource, a source behind a colon."""
    for name, value in content.items():
        if name == "resourceType":
            continue
        path = f"{below}{name.removeprefix('_')}"
        for one in value if isinstance(value, list) else [value]:
            source = SOURCES.get(f"{resource}.{path}")
            if path != "meta":
                yield f"{resource}.{path}:{source(one)}" if source else f"{resource}.{path}"
            if isinstance(one, dict) and path in ENTERED:
                yield from elements(one, resource=resource, below=f"{path}.")


def found_in(made: list[Json]) -> set[str]:
    return {path for one in made for path in elements(one, resource=one["resourceType"])}


@cache
def rows_of(version: str) -> frozenset[str]:
    """What the table says that the version writes."""
    return frozenset(f"{row.resource}.{row.path(version)}" for row in ROWS if row.path(version))


@pytest.mark.parametrize("version", VERSIONS)
def test_every_element_that_is_written_has_its_row_and_every_row_its_element(version: str) -> None:
    """MAPPING A, E, J.1, M: of one study with everything, one without a PatientID, one whose UID is no OID."""
    unidentified = study(patient=PatientFacts())
    odd = study(study_uid=StudyInstanceUID("1.02.3"), series=(series(instances=(instance(sop_class=""),)),))
    elsewhere = study(series=(series(elsewhere=ArchiveName("other")),))
    studies = (rich_study(), unidentified, odd, elsewhere)
    made = [one for snapshot in studies for one in written(snapshot, EVERYTHING, version)]
    assert [problems(one, fhir_version=version) for one in made] == [()] * len(made)
    assert found_in(made) == rows_of(version)


@pytest.mark.parametrize("version", VERSIONS)
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(snapshots, policies)
def test_no_study_writes_an_element_without_a_row(version: str, snapshot: StudySnapshot, policy: MappingPolicy) -> None:
    """Whatever the archive says."""
    assert found_in(written(snapshot, policy, version)) <= rows_of(version)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_row_says_the_type_that_the_version_defines(version: str) -> None:
    """MAPPING A.1 to A.3: by the structures that the check of B1 uses."""
    for row in ROWS:
        if not row.path(version):
            assert row.type(version) == ""
            continue
        found = shape_of(f"{row.resource}.{row.path(version).partition(':')[0]}", version)
        named = row.type(version).removesuffix("*")
        assert row.type(version).endswith("*") == found.many, row.element
        if found.structure:
            structure = found.structure.removeprefix("Name") if found.structure == "NameExtension" else found.structure
            assert named == ("BackboneElement" if structure in BACKBONES else structure), row.element
        else:
            assert named == "code" or RULES[named] is found.rule, row.element


def shape_of(element: str, version: str) -> Element:
    """Walks the version's structures down a path."""
    structure, *steps = element.split(".")
    for step in steps:
        found = SHAPES[version].structures[structure][step]
        structure = found.structure
    return found


def test_each_row_is_complete_and_told_once() -> None:
    """A rule with its clause; tags as DICOM writes them; R4B says what R4 says (MAPPING A)."""
    names = [row.element for row in ROWS]
    assert len(set(names)) == len(names)
    for row in ROWS:
        assert row.rule.endswith(".") and row.clause
        assert row.r4b == row.r4
        assert all(len(tag) == 9 and tag == tag.upper() and int(tag.replace(",", ""), 16) for tag in row.tags)
        assert any(row.path(version) for version in VERSIONS)
        assert "|" not in row.rule


def test_what_is_said_to_be_left_out_has_no_row() -> None:
    """`not mapped yet` and the table do not contradict each other."""
    assert {element for element, _ in UNMAPPED}.isdisjoint(row.element for row in ROWS)


@pytest.mark.parametrize("title", TITLES, ids=lambda title: title.code)
def test_a_rejecting_title_does_what_the_page_says(title: Title) -> None:
    """MAPPING D.2, RULES B7: a note beside two images, of which it rejects one, and then both."""
    uids = ("2.25.1", "2.25.2")
    listed = (
        series(uid="2.25.10", instances=tuple(instance(uid=uid) for uid in uids)),
        series(uid="2.25.11", modality="KO", instances=(instance(uid="2.25.3"),)),
    )
    for rejected in (uids[:1], uids):
        snapshot = study(series=listed)
        note = KeyObject(
            instance_uid="2.25.3",
            title=Code(value=title.code, scheme="DCM"),
            references=tuple(
                InstanceReference(study_uid=snapshot.study_uid, series_uid="2.25.10", instance_uid=uid) for uid in rejected
            ),
        )
        with_note = replace(snapshot, key_objects=(note,))
        left = without_rejected(with_note, rejections_in(with_note, patient="p"), patient="p")
        shown = {one.uid for each in left.snapshot.series for one in each.instances}
        if len(rejected) == 1:
            assert shown == {"2.25.2"} | ({"2.25.3"} if title.note_listed else set())
        assert left.nothing == (len(rejected) == 2)
        assert left.in_error == (left.nothing and title.in_error)


def test_the_page_has_every_table() -> None:
    """Every title, coding scheme, element and version; docs/mapping.md is one of the generated files."""
    page = mapping_page()
    assert GENERATED["docs/mapping.md"] is mapping_page
    assert {title.code for title in TITLES} == REJECTING_TITLES
    assert set(COLUMNS.values()) | {"r4b"} == set(VERSIONS)
    lines = page.splitlines()
    assert all(f"| `{name}` | `{system}` |" in lines for name, system in SCHEMES.items())
    shown = [line.split(" | ")[0].removeprefix("| ") for line in lines]
    for row in ROWS:
        name, _, source = row.element.removeprefix(f"{row.resource}.").partition(":")
        assert (f"`{name}` ({source})" if source else f"`{name}`") in shown


def test_the_page_explains_each_clause_that_a_row_or_a_note_names() -> None:
    """A heading that begins with the clause as it is cited; those of RULES stand elsewhere."""
    headings = [line.lstrip("#").strip() + " " for line in mapping_page().splitlines() if line.startswith("##")]
    of_rows = {
        clause for row in ROWS for clause in row.clause.split(", ") if re.fullmatch(r"[A-M](\.\d(-\d+)?)?|I-\d+", clause)
    }
    of_notes = {rule for rule in NOTE_RULES if not re.match(r"RULES |[A-E]\d", rule)}
    cited = of_rows | of_notes
    assert len(cited) > 40
    assert [clause for clause in sorted(cited) if not any(heading.startswith(f"{clause} ") for heading in headings)] == []


@pytest.mark.parametrize(
    "line",
    [
        "| `series.laterality` | (0020,0060) (0020,0062) (0020,9072) | What all images say, each of its own (0020,0062) or"
        " the series' (0020,0060), by the table below; left out and noted where one says none, or where (0020,0060) of any"
        " says otherwise than all together. [C.6, RULES B6, B9] | Coding | Coding | CodeableConcept | – |",
        "| `main-wado-rs` | `dicom-wado-rs` | WADO-RS | DICOM WADO-RS | `application/dicom` |",
        "| `B` | `51440002` | Bilateral |",
        "| it is no more | `cancelled` | `cancelled` | `inactive` |",
    ],
)
def test_a_line_of_the_page(line: str) -> None:
    """MAPPING A.1, C.6, D.2, E: as it should read."""
    assert line in mapping_page().splitlines()
