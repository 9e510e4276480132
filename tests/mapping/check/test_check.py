"""The check before sending finds what fhirclient lets pass, and says where and why without the value (RULES B1, S1)."""

from __future__ import annotations

import copy
import importlib
import json
from typing import Any

import pytest
from fhirclient.models.imagingstudy import ImagingStudy

from syncd.mapping.check.check import prepare, problems
from syncd.mapping.check.tables import SHAPES
from syncd.mapping.dialects.registry import VERSIONS
from syncd.mapping.resources.endpoints import endpoints
from syncd.mapping.resources.patient import patient
from syncd.mapping.values.identity import patient_key
from tests.mapping.studies import POLICY, golden_study, mapped

DELETED = object()

Path = tuple[str | int, ...]


def broken(resource: dict[str, Any], path: Path, value: object) -> dict[str, Any]:
    """A copy of `resource` with `value` at `path`, or without it."""
    changed = copy.deepcopy(resource)
    place: Any = changed
    for step in path[:-1]:
        place = place[step]
    if value is DELETED:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return changed


INSTANCE: Path = ("series", 0, "instance", 0)

UNSEEN_BY_FHIRCLIENT: list[tuple[Path, object, str]] = [
    (("status",), "foo", "status: must be one of"),
    (("id",), "a b_", "id: must be an id"),
    (("id",), "1" * 65, "id: must be an id"),
    (("numberOfSeries",), -1, "numberOfSeries: must lie between 0 and 2147483647"),
    (("numberOfInstances",), 2147483648, "numberOfInstances: must lie between"),
    (("numberOfInstances",), True, "numberOfInstances: must be an integer"),
    (("numberOfInstances",), 1.5, "numberOfInstances: must be an integer"),
    (("description",), "", "description: a string must not be empty"),
    (("description",), "  ", "description: a string must not be empty"),
    (("description",), "a\x07b", "description: a string must not hold control characters"),
    (("description",), "a\ud800b", "description: a string must not hold control characters"),
    (("series",), [], "series: a list must not be empty"),
    (("endpoint",), [], "endpoint: a list must not be empty"),
    (("referrer",), {}, "referrer: an object must not be empty"),
    (("referrer",), {"type": "Practitioner"}, "referrer: a reference needs"),
    (("subject", "reference"), "p-1", "subject.reference: must be a reference"),
    (("subject", "reference"), "Patient/a b", "subject.reference: must be a reference"),
    (("subject", "reference"), "Endpoint/1", "subject.reference: names a resource type"),
    (("endpoint", 0, "reference"), "Patient/1", "endpoint[0].reference: names a resource type"),
    (("identifier", 0, "system"), "dicom uid", "identifier[0].system: a system must be"),
    (("identifier", 0, "system"), "dicom", "identifier[0].system: a system must be"),
    (("identifier", 0, "system"), "urn:oid:1.02.3", "identifier[0].system: must be a valid OID"),
    (("identifier", 0, "system"), "urn:uuid:ABC", "identifier[0].system: must be a valid UUID"),
    (("identifier", 0, "use"), "mine", "identifier[0].use: must be one of"),
    (("identifier", 0, "value"), "", "identifier[0].value: a string must not be empty"),
    (("modality", 0, "system"), DELETED, "modality[0].code: a code needs a system"),
    (("modality", 0, "code"), " CT", "modality[0].code: must be a code"),
    (("modality", 0, "code"), "C  T", "modality[0].code: must be a code"),
    (("modality", 1), {}, "modality[1]: an object must not be empty"),
    (("meta", "source"), "urn syncd", "meta.source: a uri must not hold blanks"),
    (("meta", "source"), "urn:a\x01b", "meta.source: a uri must not hold blanks"),
    (("modality", 0, "code"), "C\x01T", "modality[0].code: must be a code"),
    (("meta", "tag"), [], "meta.tag: a list must not be empty"),
    (("series", 0, "uid"), "under_score", "series[0].uid: must be an id"),
    (("series", 1, "number"), -1, "series[1].number: must lie between"),
    (("series", 0, "performer", 0, "actor"), {"reference": "Location/1"}, "actor.reference: names a resource type"),
    ((*INSTANCE, "uid"), "a b", "series[0].instance[0].uid: must be an id"),
    ((*INSTANCE, "number"), -1, "series[0].instance[0].number: must lie between"),
    ((*INSTANCE, "title"), "", "series[0].instance[0].title: a string must not be empty"),
    ((*INSTANCE, "sopClass"), {}, "series[0].instance[0].sopClass: an object must not be empty"),
    (("series", 0, "instance", 1, "number"), 2147483648, "series[0].instance[1].number: must lie between"),
    (("extension",), [{"url": "urn:x"}], "extension[0]: an extension needs exactly one value"),
    (("text",), {"status": "generated", "div": ""}, "text.div: a string must not be empty"),
    (("note",), [{"text": "a\x00"}], "note[0].text: a string must not hold control characters"),
]


@pytest.mark.parametrize(("path", "value", "expected"), UNSEEN_BY_FHIRCLIENT)
def test_what_fhirclient_lets_pass_is_found(path: Path, value: object, expected: str) -> None:
    """RULES B1: fhirclient 4.4 accepts each of these (docs/fhir-servers.md); the table does not."""
    resource = broken(mapped(golden_study()), path, value)
    ImagingStudy(resource, strict=True)
    found = problems(resource)
    assert len(found) == 1
    assert found[0].startswith("ImagingStudy.")
    assert expected in found[0]


SEEN_BY_BOTH: list[tuple[Path, object, str]] = [
    (("status",), DELETED, "ImagingStudy.status: a required element is missing"),
    (("subject",), DELETED, "ImagingStudy.subject: a required element is missing"),
    (("series", 1, "uid"), DELETED, "ImagingStudy.series[1].uid: a required element is missing"),
    (("series", 0, "modality"), DELETED, "ImagingStudy.series[0].modality: a required element is missing"),
    ((*INSTANCE, "sopClass"), DELETED, "ImagingStudy.series[0].instance[0].sopClass: a required element is missing"),
    (("description",), 5, "ImagingStudy.description: must be a string"),
    (("identifier",), {"value": "1"}, "ImagingStudy.identifier: must be a list"),
    (("series", 0), "text", "ImagingStudy.series[0]: must be an object"),
    (("started",), "2026-03-01T09:15+01:00", "ImagingStudy.started: must be a FHIR dateTime"),
    (("started",), "2026-03-01T09:15:00", "ImagingStudy.started: must be a FHIR dateTime"),
    (("started",), "2026-02-30", "ImagingStudy.started: must be a day of the calendar"),
    (("started",), "01.03.2026", "ImagingStudy.started: must be a FHIR dateTime"),
]


@pytest.mark.parametrize(("path", "value", "expected"), SEEN_BY_BOTH)
def test_missing_and_misshapen_elements_are_named(path: Path, value: object, expected: str) -> None:
    """RULES B1: with the element's path, whoever notices first."""
    found = problems(broken(mapped(golden_study()), path, value))
    assert any(expected in problem for problem in found)


def test_an_element_that_fhir_does_not_know_is_found() -> None:
    """RULES B1: fhirclient's part."""
    assert problems(broken(mapped(golden_study()), ("colour",), "red")) == (
        "ImagingStudy: holds an element that FHIR does not define (fhirclient)",
    )
    assert problems(broken(mapped(golden_study()), ("series", 0, "colour"), "red")) == (
        "ImagingStudy.series.0: holds an element that FHIR does not define (fhirclient)",
    )


OF_OTHERS: list[tuple[str, Path, object, str]] = [
    ("Patient", ("gender",), "F", "Patient.gender: must be one of"),
    ("Patient", ("birthDate",), "19700203", "Patient.birthDate: must be a FHIR date"),
    ("Patient", ("birthDate",), "2023-02-29", "Patient.birthDate: must be a day of the calendar"),
    ("Patient", ("name", 0, "given"), [""], "Patient.name[0].given[0]: a string must not be empty"),
    ("Patient", ("name", 0, "use"), "main", "Patient.name[0].use: must be one of"),
    ("Endpoint", ("status",), "on", "Endpoint.status: must be one of"),
    ("Endpoint", ("address",), "archive/dicom-web", "Endpoint.address: must be an absolute URL"),
    ("Endpoint", ("payloadType",), [], "Endpoint.payloadType: a list must not be empty"),
    ("Endpoint", ("payloadType",), DELETED, "Endpoint.payloadType: a required element is missing"),
    ("Endpoint", ("connectionType",), DELETED, "Endpoint.connectionType: a required element is missing"),
]


@pytest.mark.parametrize(("kind", "path", "value", "expected"), OF_OTHERS)
def test_patients_and_endpoints_are_checked_too(kind: str, path: Path, value: object, expected: str) -> None:
    """RULES B1: for every resource that is sent."""
    key = patient_key(golden_study(), policy=POLICY)
    sound = {"Patient": patient(golden_study(), key=key, policy=POLICY), "Endpoint": endpoints(POLICY)[0]}[kind]
    assert problems(sound) == ()
    assert any(problem.startswith(expected) for problem in problems(broken(sound, path, value)))


def test_other_resource_types_are_not_ours_to_send() -> None:
    """RULES B1."""
    assert problems({"resourceType": "Observation", "status": "final"}) == ("resourceType: not a type that syncd writes",)
    assert problems({}) == ("resourceType: not a type that syncd writes",)


def test_a_problem_never_repeats_a_value() -> None:
    """RULES S1: neither ours nor fhirclient's words carry what the study says."""
    secret = "Doe^Jane\x00"
    sound = mapped(golden_study())
    spots: list[Path] = [(element,) for element in sound if element != "resourceType"]
    spots += [("series", 0, element) for element in sound["series"][0]]
    spots += [(*INSTANCE, element) for element in sound["series"][0]["instance"][0]]
    for value in (secret, [secret], {"text": secret}, [{"code": secret}]):
        for path in spots:
            found = problems(broken(sound, path, value))
            assert found, path
            assert "Doe" not in json.dumps(found), path


def test_all_problems_are_told_at_once_in_a_stable_order() -> None:
    """RULES B1: an operator sees everything that is wrong."""
    resource = broken(broken(mapped(golden_study()), ("status",), "foo"), (*INSTANCE, "number"), -1)
    assert [problem.split(":")[0] for problem in problems(resource)] == [
        "ImagingStudy.status",
        "ImagingStudy.series[0].instance[0].number",
    ]
    assert problems(resource) == problems(copy.deepcopy(resource))


def test_the_check_changes_nothing() -> None:
    """RULES B1: what is sent is our own JSON, never what a model parsed."""
    resource = mapped(golden_study())
    before = json.dumps(resource)
    problems(resource)
    assert json.dumps(resource) == before


IN_VERSIONS: list[tuple[str, Path, object, str]] = [
    ("r4b", ("status",), "foo", "status: must be one of"),
    ("r4b", ("status",), "inactive", "status: must be one of"),
    ("r4b", ("numberOfSeries",), -1, "numberOfSeries: must lie between"),
    ("r4b", ("colour",), "red", "colour: holds an element that FHIR does not define (fhir.resources)"),
    ("r4b", ("subject",), DELETED, "subject: a required element is missing"),
    ("r4b", (*INSTANCE, "number"), "1", "series[0].instance[0].number: must be an integer"),
    ("r5", ("status",), "inactive", "status: must be one of"),
    ("r5", ("description",), "a\x07b", "description: a string must not hold control characters"),
    ("r5", ("modality", 0, "coding", 0, "system"), DELETED, "modality[0].coding[0].code: a code needs a system"),
    ("r5", ("modality", 0), {"code": "CT"}, "modality[0].code: holds an element that FHIR does not define"),
    ("r5", ("interpreter",), [{"display": "x"}], "interpreter: holds an element that FHIR does not define"),
    ("r5", ("series", 0, "bodySite"), {"display": "x"}, "bodySite.display: holds an element that FHIR does not define"),
    ("r5", ("series", 0, "uid"), "under_score", "series[0].uid: must be an id"),
    ("r6", ("status",), "foo", "status: must be one of"),
    ("r6", ("colour",), "red", "colour: holds an element that FHIR does not define"),
    ("r6", ("partOf",), [{"reference": "Procedure/1"}], "partOf: holds an element that FHIR does not define"),
    ("r6", ("series", 0, "laterality"), {"text": "x"}, "laterality: holds an element that FHIR does not define"),
    ("r6", ("series", 0, "bodySite"), {"concept": {"text": "x"}}, "series[0].bodySite: must be a list"),
    ("r6", (*INSTANCE, "sopClass"), "1.2.3", "sopClass: must be a valid OID"),
    ("r6", (*INSTANCE, "sopClass"), "urn:oid:1.02.3", "sopClass: must be a valid OID"),
    ("r6", (*INSTANCE, "sopClass"), DELETED, "sopClass: a required element is missing"),
    ("r6", (*INSTANCE, "numberOfFrames"), -1, "numberOfFrames: must lie between"),
    ("r6", ("basedOn", 0), {"reference": "AppointmentResponse/1"}, "names a resource type that is not allowed here"),
    ("r6", ("procedure",), [{"reference": "PlanDefinition/1"}], "names a resource type that is not allowed here"),
    ("dstu2", ("uid",), DELETED, "uid: a required element is missing"),
    ("dstu2", ("uid",), "1.2.3", "uid: must be a valid OID"),
    ("dstu2", ("series", 0, "uid"), "urn:oid:1.02.3", "series[0].uid: must be a valid OID"),
    ("dstu2", ("status",), "available", "status: holds an element that FHIR does not define"),
    ("dstu2", ("subject",), {"display": "x"}, "subject: holds an element that FHIR does not define"),
    ("dstu2", ("availability",), "HERE", "availability: must be one of"),
    ("dstu2", ("numberOfSeries",), DELETED, "numberOfSeries: a required element is missing"),
    ("dstu2", ("meta", "source"), "urn:syncd", "meta.source: holds an element that FHIR does not define"),
    ("dstu2", ("patient",), {"type": "Patient", "display": "x"}, "patient.type: holds an element that FHIR does not define"),
    ("dstu2", ("patient", "reference"), "Device/1", "patient.reference: names a resource type"),
    ("dstu2", ("accession", "value"), "", "accession.value: a string must not be empty"),
]


@pytest.mark.parametrize(("version", "path", "value", "expected"), IN_VERSIONS)
def test_each_version_has_its_own_shape(version: str, path: Path, value: object, expected: str) -> None:
    """RULES B1: R4B and R5 by fhir.resources and our table, R6 and DSTU2 by our table alone, which is closed."""
    found = problems(broken(mapped(golden_study(), dialect=version), path, value), fhir_version=version)
    assert any(expected in problem for problem in found), found


INVARIANTS: list[tuple[str, list[tuple[Path, object]]]] = [
    ("ist-1", [(("identifier", 0, "system"), "urn:other")]),
    ("ist-2", [(("identifier",), [{"system": "urn:dicom:uid", "value": one} for one in ("urn:oid:1.2", "urn:oid:1.3")])]),
    ("ist-3", [(("numberOfSeries",), 3)]),
    ("ist-4", [(("numberOfInstances",), 4), (("series", 0, "numberOfInstances"), 3)]),
    ("ist-5", [(("numberOfInstances",), 4)]),
    ("ist-6", [(("series", 0, "numberOfInstances"), 1)]),
    ("ist-7", [(("modality", 1), DELETED)]),
    ("ist-7", [(("modality", 0, "text"), "CT")]),
    ("ist-7", [(("series", 1, "modality"), {"coding": [{"system": "urn:x", "code": "KO"}]})]),
    ("ist-8", [(("series", 0, "started"), "2026-03-01T09:14:59+01:00")]),
    ("ist-8", [(("series", 0, "started"), "2026-03-01T09:16:00+02:00")]),
    ("ist-8", [(("series", 0, "started"), "2026-03-01")]),
    ("ist-8", [(("started",), "2026-03-01")]),
]


@pytest.mark.parametrize(("key", "changes"), INVARIANTS)
def test_each_invariant_of_r6_is_checked(key: str, changes: list[tuple[Path, object]]) -> None:
    """MAPPING A.4: none is broken by what we make, each is found where it is."""
    resource = mapped(golden_study(), dialect="r6")
    for path, value in changes:
        resource = broken(resource, path, value)
    assert any(f": {key}: " in problem for problem in problems(resource, fhir_version="r6"))


HOLDING: list[tuple[Path, object]] = [
    (("numberOfSeries",), DELETED),
    (("numberOfInstances",), DELETED),
    (("modality",), DELETED),
    (("started",), DELETED),
    (("series", 0, "started"), "2026-03-01T08:15:00+00:00"),
    (("note",), [{"text": "by a hook"}]),
]


@pytest.mark.parametrize(("path", "value"), HOLDING)
def test_an_invariant_about_what_is_absent_holds(path: Path, value: object) -> None:
    """MAPPING A.4; and what FHIR defines besides may be added (a site's hook)."""
    assert problems(broken(mapped(golden_study(), dialect="r6"), path, value), fhir_version="r6") == ()


@pytest.mark.parametrize("version", VERSIONS)
def test_no_version_repeats_a_value(version: str) -> None:
    """RULES S1: pydantic's messages quote what they were given."""
    secret = "Doe^Jane\x00"
    sound = mapped(golden_study(), dialect=version)
    spots: list[Path] = [(element,) for element in sound if element != "resourceType"]
    spots += [("series", 0, element) for element in sound["series"][0]]
    spots += [(*INSTANCE, element) for element in sound["series"][0]["instance"][0]]
    for value in (secret, [secret], {"text": secret}, [{"code": secret}], [[secret]], None, 5):
        for path in spots:
            found = problems(broken(sound, path, value), fhir_version=version)
            assert found or value == 5, path
            assert "Doe" not in json.dumps(found), path


@pytest.mark.parametrize("version", VERSIONS)
def test_no_version_changes_the_resource(version: str) -> None:
    """RULES B1: what is sent is our own JSON, never what a model parsed."""
    resource = mapped(golden_study(), dialect=version)
    before = json.dumps(resource)
    problems(resource, fhir_version=version)
    assert json.dumps(resource) == before


@pytest.mark.parametrize("version", ["r4", "r4b", "r5"])
def test_what_is_prepared_is_imported_no_more(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/decisions/imports.md: no thread that checks a resource imports a model."""
    prepare(version)
    monkeypatch.setattr(importlib, "import_module", pytest.fail)
    for resource_type in SHAPES[version].resources:
        problems({"resourceType": resource_type}, fhir_version=version)
