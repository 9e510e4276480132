"""One deliberate error per compared field, each reported at its own path and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydicom.dataset import Dataset

from tests import oracle
from tests.oracle_itself import pair

Resources = dict[str, dict[str, Any]]


def compared(
    resources: Resources | None = None,
    *,
    held: list[Dataset] | None = None,
    stable: bool = True,
    accepted: dict[str, str] | None = None,
    installation: str | None = None,
) -> oracle.Report:
    answers = pair.archive_answers(pair.instances() if held is None else held, stable=stable)
    fhir = pair.fhir_answers(pair.resources() if resources is None else resources)
    with pair.serving(answers) as orthanc, pair.serving(fhir) as server:
        return oracle.compare(
            orthanc, None, server, dicomweb_url=pair.DICOMWEB, accepted=accepted, installation=installation
        )


CHEST = f"ImagingStudy/{pair.CHEST}"
CT = f"series[{pair.CT_SERIES}]"
SR = f"series[{pair.SR_SERIES}]"

PERFORMED = {"function": {"coding": [{"code": "PRF"}]}, "actor": {"display": "Dr. Who"}}


def put(value: Any, *keys: Any, of: str = CHEST) -> Callable[[Resources], None]:
    """Sets (or with `None` removes) one element of a resource."""

    def spoil(resources: Resources) -> None:
        at: Any = resources[of]
        for key in keys[:-1]:
            at = at[key]
        if value is None:
            del at[keys[-1]]
        else:
            at[keys[-1]] = value

    return spoil


ERRORS: list[tuple[list[str], Callable[[Resources], None]]] = [
    (["id"], put("2.25.1000", "id")),
    (["status"], put("registered", "status")),
    (["meta.tag"], put({}, "meta")),
    (["identifier"], put("urn:oid:2.25.101", "identifier", 0, "value")),
    (["identifier"], put(None, "identifier", 0, "use")),
    (["identifier"], put("A2", "identifier", 1, "value")),
    (["identifier"], put("urn:oid:2.25.77", "identifier", 1, "system")),
    (["basedOn"], put(None, "basedOn")),
    (["referrer"], put({"display": "Dr. Who"}, "referrer")),
    (["interpreter"], put([{"display": "Dr. Who"}], "interpreter")),
    (["procedureCode"], put([{"text": "Something"}], "procedureCode")),
    (["reasonCode"], put([{"text": "Something"}], "reasonCode")),
    (["location"], put({"display": "Somewhere"}, "location")),
    (["encounter"], put({"identifier": {"system": "urn:oid:2.25.77", "value": "V1"}}, "encounter")),
    (["started"], put("2026-03-01T09:15:00Z", "started")),
    (["started"], put(None, "started")),
    (["description"], put("CT Throax", "description")),
    (["modality"], put([{"system": pair.DCM, "code": "CT"}], "modality")),
    (["modality"], put([{"system": pair.DCM, "code": "SR"}, {"system": pair.DCM, "code": "CT"}], "modality")),
    (["numberOfSeries"], put(3, "numberOfSeries")),
    (["numberOfInstances"], put(2, "numberOfInstances")),
    (["endpoint.address"], put(None, "endpoint")),
    (["endpoint.address"], put("Endpoint/gone", "endpoint", 0, "reference")),
    (["subject.identifier"], put("P2", "identifier", 0, "value", of="Patient/pat-1")),
    (["subject.identifier"], put("urn:oid:2.25.77", "identifier", 0, "system", of="Patient/pat-1")),
    (["subject.identifier.secondary"], put([{"value": "P1"}, {"value": "P3"}], "identifier", of="Patient/pat-1")),
    (["subject.name"], put("Deo", "name", 0, "family", of="Patient/pat-1")),
    (["subject.gender"], put("male", "gender", of="Patient/pat-1")),
    (["subject.birthDate"], put("1970-01-02", "birthDate", of="Patient/pat-1")),
    ([f"{CT}.number"], put(None, "series", 0, "number")),
    ([f"{CT}.modality"], put("MR", "series", 0, "modality", "code")),
    ([f"{CT}.modality"], put("http://example.org/", "series", 0, "modality", "system")),
    ([f"{CT}.description"], put(None, "series", 0, "description")),
    ([f"{CT}.started"], put("2026-03-01T09:16:30.250+01:00", "series", 0, "started")),
    ([f"{CT}.performer[PRF]"], put([PERFORMED], "series", 0, "performer")),
    ([f"{CT}.bodySite"], put({"display": "CHEST"}, "series", 0, "bodySite")),
    ([f"{CT}.laterality"], put("24028007", "series", 0, "laterality", "code")),
    ([f"{CT}.laterality"], put(None, "series", 0, "laterality")),
    ([f"{CT}.numberOfInstances"], put(1, "series", 0, "numberOfInstances")),
    ([f"{CT}.instance[2.25.112].sopClass"], put("urn:oid:1.2.3", "series", 0, "instance", 1, "sopClass", "code")),
    ([f"{CT}.instance[2.25.112].number"], put(7, "series", 0, "instance", 1, "number")),
    ([f"{SR}.instance[2.25.121].title"], put("Report", "series", 1, "instance", 0, "title")),
]


@pytest.mark.parametrize(("paths", "spoil"), ERRORS, ids=lambda value: "+".join(value) if isinstance(value, list) else "")
def test_an_error_is_reported_at_its_path(paths: list[str], spoil: Callable[[Resources], None]) -> None:
    """Every field that the oracle compares can fail."""
    resources = pair.resources()
    spoil(resources)
    if paths == ["subject.identifier.secondary"]:
        resources["Patient/pat-1"]["identifier"][0] = pair.resources()["Patient/pat-1"]["identifier"][0]
    report = compared(resources)
    assert [one.path for one in report.differences] == paths
    assert not report.agrees


def test_a_pair_that_agrees_is_said_to_agree() -> None:
    """The counterpart of every failure below."""
    report = compared()
    assert report.agrees, report.lines()
    assert report.compared == (pair.CHEST, pair.REPORT)


@pytest.mark.parametrize("spoilt", ["reorder", "drop", "foreign series", "other instance"])
def test_series_and_instances_are_compared_by_uid_and_order(spoilt: str) -> None:
    """MAPPING A.1, A.3: sorted by (number, UID); a series or instance too few or too many is a difference."""
    resources = pair.resources()
    series = resources[CHEST]["series"]
    if spoilt == "reorder":
        series[0]["instance"].reverse()
    elif spoilt == "drop":
        del series[1]
    elif spoilt == "foreign series":
        series.append({"uid": "2.25.999"})
    else:
        series[0]["instance"][0]["uid"] = "2.25.119"
    told = [one.path for one in compared(resources).differences]
    assert (f"{CT}.instance" if spoilt in ("reorder", "other instance") else "series") in told


def test_a_wrong_endpoint_address_is_reported_for_every_study() -> None:
    """RULES B5; MAPPING E: the address is the service root."""
    resources = pair.resources()
    resources["Endpoint/main-wado-rs"]["address"] = pair.DICOMWEB + "/studies"
    told = {(one.study_uid, one.path) for one in compared(resources).differences}
    assert told == {(pair.CHEST, "endpoint.address"), (pair.REPORT, "endpoint.address")}


def test_a_missing_study_is_reported_unless_it_was_accepted() -> None:
    """Published exactly once, or parked with a listed reason."""
    resources = pair.resources()
    del resources[f"ImagingStudy/{pair.REPORT}"]
    assert compared(resources).missing == (pair.REPORT,)
    report = compared(resources, accepted={pair.REPORT: "uid-not-oid"})
    assert report.agrees
    assert report.accepted == {pair.REPORT: "uid-not-oid"}


def test_an_accepted_study_that_is_there_is_compared_all_the_same() -> None:
    """Accepting an absence does not accept an error."""
    resources = pair.resources()
    resources[f"ImagingStudy/{pair.REPORT}"]["numberOfSeries"] = 2
    assert [one.path for one in compared(resources, accepted={pair.REPORT: "any"}).differences] == ["numberOfSeries"]


def test_a_resource_of_ours_that_the_archive_does_not_hold_is_extra() -> None:
    """RULES E7: our tag, but no such study; a foreign one and a retracted one are not extra."""
    resources = pair.resources()
    for uid, status, meta in (
        ("2.25.1", "available", pair.OURS),
        ("2.25.2", "available", {}),
        ("2.25.3", "cancelled", pair.OURS),
    ):
        identifier = [{"system": "urn:dicom:uid", "value": f"urn:oid:{uid}"}]
        told = {"resourceType": "ImagingStudy", "id": uid, "status": status, "meta": meta, "identifier": identifier}
        told["subject"] = {"display": "P"}
        resources[f"ImagingStudy/{uid}"] = told
    (extra,) = compared(resources).extra
    assert extra.startswith("ImagingStudy/2.25.1 ")


@pytest.mark.parametrize(
    ("element", "value", "path"),
    [
        ("started", "2026-01-01", "started"),
        ("modality", [{"code": "CT"}], "modality"),
        ("numberOfSeries", 1, "numberOfSeries"),
        ("numberOfInstances", 1, "numberOfInstances"),
        ("series", [{"uid": "2.25.4"}], "series"),
        ("endpoint", "as before", "endpoint.address"),
        ("subject", {}, "identifier, subject"),
        ("note", [{"text": "a human's"}], ""),
    ],
)
@pytest.mark.parametrize("status", ["cancelled", "entered-in-error", "inactive"])
def test_what_was_taken_back_shows_nothing(status: str, element: str, value: Any, path: str) -> None:
    """MAPPING F.3: no series, modality, counts and endpoints of ours; identifier and subject are kept."""
    resources = pair.resources()
    endpoint = resources[CHEST]["endpoint"]
    identifier = [{"system": "urn:dicom:uid", "value": "urn:oid:2.25.3"}]
    told = {"resourceType": "ImagingStudy", "id": "2.25.3", "status": status, "meta": pair.OURS, "identifier": identifier}
    told |= {"subject": {"display": "P"}, element: endpoint if element == "endpoint" else value}
    resources["ImagingStudy/2.25.3"] = told
    report = compared(resources)
    assert [one.path for one in report.differences] == ([path] if path else [])
    assert not report.extra


@pytest.mark.parametrize("status", ["available", "entered-in-error"])
def test_another_installations_resource_is_a_difference_only_where_nobody_in_particular_is_asked_about(status: str) -> None:
    """RULES B2: the tag names the installation; several share a FHIR server, and each has an archive of its own."""
    resources = pair.resources()
    identifier = [{"system": "urn:dicom:uid", "value": "urn:oid:2.25.3"}]
    tagged = {"tag": [{"system": "urn:syncd:installation", "code": "another"}]}
    theirs = {"resourceType": "ImagingStudy", "id": "2.25.3", "status": status, "meta": tagged, "identifier": identifier}
    theirs |= {"subject": {"display": "P"}, "numberOfSeries": 1}
    resources["ImagingStudy/2.25.3"] = theirs
    resources["ImagingStudy/copy"] = {**theirs, "id": "copy"}
    assert compared(resources, installation="syncd").agrees
    for asked in (None, "another"):
        report = compared(resources, installation=asked)
        assert report.duplicate
        assert report.extra if status == "available" else report.differences


def test_a_resource_of_another_installation_is_not_ours() -> None:
    """RULES B2: every study of the archive must carry the tag of the installation that is asked about."""
    report = compared(installation="another")
    assert {(one.study_uid, one.path) for one in report.differences} == {(pair.CHEST, "meta.tag"), (pair.REPORT, "meta.tag")}


def test_a_second_resource_of_one_uid_is_a_duplicate_whoever_wrote_it() -> None:
    """Exactly once."""
    resources = pair.resources()
    resources["ImagingStudy/copy"] = {**resources[CHEST], "id": "copy", "meta": {}}
    report = compared(resources)
    assert report.duplicate == (f"{pair.CHEST}: ImagingStudy/{pair.CHEST}, ImagingStudy/copy",)
    assert not report.agrees


def test_two_patients_that_share_one_patient_resource_are_reported() -> None:
    """MAPPING I case 11: studies without a PatientID never share a Patient."""
    resources = pair.resources()
    resources[f"ImagingStudy/{pair.REPORT}"]["subject"] = {"reference": "Patient/pat-1"}
    told = [one.path for one in compared(resources).differences]
    assert "subject.reference" in told
    assert "subject.identifier" in told


def test_one_study_of_two_patients_is_never_equal() -> None:
    """MAPPING I case 50: parked as a conflict, so only an accepted one agrees."""
    held = pair.instances()
    other = pair.dataset("2.25.119", study=pair.CHEST, series="2.25.13", sop_class=pair.CT, PatientID="P2", Modality="CT")
    assert [one.path for one in compared(held=[*held, other]).differences] == ["subject"]
    assert compared(held=[*held, other], accepted={pair.CHEST: "patient-conflict"}).agrees


def _two_people() -> list[Dataset]:
    """The pair's studies, and an older one of the same PatientID whose birth date and sex are another's."""
    bert = {"PatientID": "P1", "PatientBirthDate": "19331111", "PatientSex": "M", "Modality": "CT"}
    other = pair.dataset("2.25.311", study="2.25.300", series="2.25.31", sop_class=pair.CT, **bert)
    return [*pair.instances(), other]


def test_one_of_two_people_under_one_id_is_parked_and_not_missing() -> None:
    """RULES B10: which of them came first, the archive does not tell."""
    report = compared(held=_two_people())
    assert report.agrees, report.lines()
    assert report.accepted == {"2.25.300": "patient-mismatch"}


def test_two_people_that_share_a_patient_resource_are_reported() -> None:
    """RULES B10: also where both studies are there and each says the Patient's words."""
    resources = pair.resources()
    identifier = [{"use": "official", "system": "urn:dicom:uid", "value": "urn:oid:2.25.300"}]
    resources["ImagingStudy/2.25.300"] = resources[CHEST] | {"id": "2.25.300", "identifier": identifier}
    told = [(one.study_uid, one.path, one.expected) for one in compared(resources, held=_two_people()).differences]
    assert ("2.25.300", "subject", "one person") in told


def test_one_study_of_two_people_is_never_equal() -> None:
    """RULES B10: two series of one PatientID with another birth date and sex."""
    held = pair.instances()
    held[2].PatientBirthDate, held[2].PatientSex = "19331111", "M"
    assert [one.path for one in compared(held=held).differences] == ["subject"]


def test_what_is_registered_and_then_turns_out_to_be_of_two_people_waits() -> None:
    """RULES A6, B10: parked as it stands; the counterpart shows that nothing else is forgiven."""
    held, resources = pair.instances(), pair.resources()
    held[2].PatientBirthDate, held[2].PatientSex = "19331111", "M"
    resources[CHEST] = {**resources[CHEST], "status": "registered", "series": [], "modality": []}
    report = compared(resources, held=held)
    assert (report.agrees, report.accepted) == (True, {pair.CHEST: "patient-mismatch"})


def test_one_image_that_speaks_for_a_series_is_reported() -> None:
    """RULES B9: the pair's CT says left and chest; one image of it says otherwise."""
    held = pair.instances()
    held[0].Laterality, held[0].BodyPartExamined, held[0].SeriesDescription = "R", "FOOT", "Foot"
    told = {one.path for one in compared(held=held).differences}
    assert told == {f"{CT}.laterality", f"{CT}.bodySite", f"{CT}.description"}


def test_a_description_that_differs_between_series_is_the_archives() -> None:
    """MAPPING I case 62: what Orthanc shows, if a file says so; not what another file says."""
    held, resources = pair.instances(), pair.resources()
    held[2].StudyDescription = "A report"
    assert compared(held=held).agrees
    resources[CHEST]["description"] = "A report"
    assert [one.path for one in compared(resources, held=held).differences] == ["description"]


def test_a_late_instance_makes_the_sides_differ() -> None:
    """docs/cases.md: late instances to a known series reach FHIR."""
    held = pair.instances()
    late = pair.dataset("2.25.113", study=pair.CHEST, series=pair.CT_SERIES, sop_class=pair.CT, InstanceNumber="3")
    late.PatientID, late.SeriesNumber = "P1", "2"
    told = [one.path for one in compared(held=[*held, late]).differences]
    assert {"numberOfInstances", f"{CT}.numberOfInstances", f"{CT}.instance"} <= set(told)


def test_only_a_study_still_arriving_may_be_registered_and_then_says_no_more() -> None:
    """RULES A6: identifier, subject, started, basedOn, endpoint; no modality, counts or series."""
    resources = pair.resources()
    for study in (resources[CHEST], resources[f"ImagingStudy/{pair.REPORT}"]):
        study["status"] = "registered"
        for name in ("modality", "numberOfSeries", "numberOfInstances", "series"):
            del study[name]
        study.pop("description", None)
    assert compared(resources, stable=False).agrees
    assert not compared(resources).agrees
    resources[CHEST]["numberOfInstances"] = 3
    assert [one.path for one in compared(resources, stable=False).differences] == ["numberOfInstances"]
