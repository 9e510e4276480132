"""The script that sites write today: pyorthanc reads, fhirclient says it, study by study.

    ORTHANC_URL=… ORTHANC_USER=… ORTHANC_PASSWORD=… FHIR_URL=… python -m benchmarks.baseline_script

Written as well as such scripts are: the libraries' own objects and models, one call for all instances of a series (a
call for each instance is as usual, and takes many times as long), the Patient once, conditional updates, so that a
second run makes no second study. What it leaves out is what syncd is for: it notices no change, believes each answer,
and forgets everything.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from typing import Any

from fhirclient import client
from fhirclient.models.coding import Coding
from fhirclient.models.fhirdate import FHIRDate
from fhirclient.models.fhirdatetime import FHIRDateTime
from fhirclient.models.fhirreference import FHIRReference
from fhirclient.models.humanname import HumanName
from fhirclient.models.identifier import Identifier
from fhirclient.models.imagingstudy import ImagingStudy, ImagingStudySeries, ImagingStudySeriesInstance
from fhirclient.models.patient import Patient
from pyorthanc import Orthanc, Series, Study

PATIENTS = "urn:example:baseline"
GENDERS = {"M": "male", "F": "female", "O": "other"}
DCM = "http://dicom.nema.org/resources/ontology/DCM"


def main() -> int:
    """Prints studies and seconds as JSON."""
    archive = Orthanc(os.environ["ORTHANC_URL"], os.environ["ORTHANC_USER"], os.environ["ORTHANC_PASSWORD"], timeout=300)
    server = client.FHIRClient(settings={"app_id": "baseline", "api_base": os.environ["FHIR_URL"]}).server
    patients: dict[str, str] = {}
    began = time.perf_counter()
    ids = archive.get_studies()
    for study_id in ids:
        study = Study(study_id, archive)
        subject = subject_of(study, server=server, patients=patients)
        put(imaging_study(study, subject=subject), server=server)
    print(json.dumps({"studies": len(ids), "seconds": time.perf_counter() - began}))
    return 0


def subject_of(study: Study, *, server: Any, patients: dict[str, str]) -> str:
    """The Patient's reference, written when its PatientID is first met."""
    said = study.patient_information
    patient_id = said.get("PatientID", "")
    if patient_id not in patients:
        patients[patient_id] = f"Patient/{put(patient(said), server=server)}"
    return patients[patient_id]


def patient(said: Mapping[str, str]) -> Patient:
    family, _, given = said.get("PatientName", "").partition("^")
    name = HumanName({"family": family, "given": [given]} if given else {"family": family})
    found = Patient()
    found.identifier = [identifier(PATIENTS, said.get("PatientID", ""))]
    found.name = [name]
    found.gender = GENDERS.get(said.get("PatientSex", ""), "unknown")
    birth = said.get("PatientBirthDate", "")
    if len(birth) == 8:
        found.birthDate = FHIRDate(f"{birth[:4]}-{birth[4:6]}-{birth[6:]}")
    return found


def imaging_study(study: Study, *, subject: str) -> ImagingStudy:
    """The whole study, series by series."""
    tags = study.main_dicom_tags
    found = ImagingStudy()
    found.status = "available"
    found.identifier = [identifier("urn:dicom:uid", f"urn:oid:{tags['StudyInstanceUID']}")]
    found.subject = FHIRReference({"reference": subject})
    found.started = FHIRDateTime(study.date.date().isoformat())
    found.description = tags.get("StudyDescription")
    found.series = [imaging_series(series) for series in study.series]
    found.modality = [found.series[0].modality]
    found.numberOfSeries = len(found.series)
    found.numberOfInstances = sum(series.numberOfInstances for series in found.series)
    return found


def imaging_series(series: Series) -> ImagingStudySeries:
    tags = series.main_dicom_tags
    found = ImagingStudySeries()
    found.uid = tags["SeriesInstanceUID"]
    found.number = int(tags["SeriesNumber"])
    found.modality = Coding({"system": DCM, "code": tags["Modality"]})
    found.description = tags.get("SeriesDescription")
    instances = series.client.get_series_id_instances_tags(series.identifier, params={"simplify": ""})
    found.instance = [imaging_instance(tags) for tags in instances.values()]
    found.numberOfInstances = len(found.instance)
    return found


def imaging_instance(tags: Mapping[str, Any]) -> ImagingStudySeriesInstance:
    found = ImagingStudySeriesInstance()
    found.uid = tags["SOPInstanceUID"]
    found.sopClass = Coding({"system": "urn:ietf:rfc:3986", "code": f"urn:oid:{tags['SOPClassUID']}"})
    found.number = int(tags["InstanceNumber"])
    return found


def identifier(system: str, value: str) -> Identifier:
    return Identifier({"system": system, "value": value})


def put(resource: Any, *, server: Any) -> str:
    """A conditional update by the resource's first identifier; returns the id that it has."""
    first = resource.identifier[0]
    path = f"{resource.resource_type}?identifier={first.system}|{first.value}"
    answer: Mapping[str, Any] = server.put_json(path, resource.as_json()).json()
    return str(answer["id"])


if __name__ == "__main__":
    sys.exit(main())
