"""A faked pair of servers that agree: two small studies in an Orthanc, and their ImagingStudies written out by hand.

Only what the oracle asks for is answered. The resources are literal JSON and not computed, so the agreement of the pair
is a statement of MAPPING's K section in small, and every test spoils exactly one thing in it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

CHEST, REPORT = "2.25.100", "2.25.200"
CT_SERIES, SR_SERIES, US_SERIES = "2.25.11", "2.25.12", "2.25.21"
CT, SR, US = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.88.11", "1.2.840.10008.5.1.4.1.1.6.1"
DICOMWEB = "https://archive.example.org/dicom-web"
DCM, SCT = "http://dicom.nema.org/resources/ontology/DCM", "http://snomed.info/sct"
OURS = {"tag": [{"system": "urn:syncd:installation", "code": "syncd"}]}

_MAIN = {
    "study": ("StudyInstanceUID", "StudyDate", "StudyTime", "StudyDescription", "AccessionNumber"),
    "patient": ("PatientID", "PatientName", "PatientBirthDate", "PatientSex"),
    "series": ("SeriesInstanceUID", "SeriesNumber", "SeriesDescription", "Modality", "SeriesDate", "SeriesTime"),
}


def dataset(uid: str, *, study: str, series: str, sop_class: str, **elements: Any) -> Dataset:
    """One instance's header, with the facts that all instances of the pair share."""
    made = Dataset()
    made.SOPInstanceUID, made.SOPClassUID = uid, sop_class
    made.StudyInstanceUID, made.SeriesInstanceUID = study, series
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


def instances() -> list[Dataset]:
    """What Orthanc holds: a CT of the left chest with a report, and an ultrasound of somebody without a PatientID."""
    first = {"PatientID": "P1", "PatientName": "Doe^Jane", "PatientBirthDate": "19700101", "PatientSex": "F"}
    first |= {"StudyDate": "20260301", "StudyTime": "0915", "TimezoneOffsetFromUTC": "+0100", "AccessionNumber": "A1"}
    first |= {"StudyDescription": "CT Thorax"}
    ct = {"Modality": "CT", "SeriesNumber": "2", "SeriesDescription": "Thorax 1.0", "SeriesDate": "20260301"}
    ct |= {"SeriesTime": "091630.250", "BodyPartExamined": "CHEST", "Laterality": "L"}
    title = Dataset()
    title.CodeValue, title.CodingSchemeDesignator, title.CodeMeaning = "18748-4", "LN", "Diagnostic imaging report"
    sr = {"Modality": "SR", "SeriesNumber": "9", "ConceptNameCodeSequence": [title], "InstanceNumber": "1"}
    us = {"Modality": "US", "StudyDate": "20260302", "StudyTime": "101500", "BodyPartExamined": "SOMEWHERE"}
    return [
        dataset("2.25.112", study=CHEST, series=CT_SERIES, sop_class=CT, InstanceNumber="2", **first, **ct),
        dataset("2.25.111", study=CHEST, series=CT_SERIES, sop_class=CT, InstanceNumber="1", **first, **ct),
        dataset("2.25.121", study=CHEST, series=SR_SERIES, sop_class=SR, **first, **sr),
        dataset("2.25.211", study=REPORT, series=US_SERIES, sop_class=US, **us),
    ]


def _instance(uid: str, *, sop_class: str, **rest: Any) -> dict[str, Any]:
    return {"uid": uid, "sopClass": {"system": "urn:ietf:rfc:3986", "code": f"urn:oid:{sop_class}"}, **rest}


def _dcm(code: str) -> dict[str, str]:
    return {"system": DCM, "code": code}


def _of_kind(code: str) -> dict[str, Any]:
    return {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": code}]}


def resources() -> dict[str, dict[str, Any]]:
    """What the FHIR server holds, equal to `instances`."""
    accession = {"type": _of_kind("ACSN"), "value": "A1"}
    named = {"use": "official", "system": "urn:dicom:uid"}
    ct = {"uid": CT_SERIES, "number": 2, "modality": _dcm("CT"), "description": "Thorax 1.0", "numberOfInstances": 2}
    ct |= {"started": "2026-03-01T09:16:30.25+01:00", "bodySite": {"system": SCT, "code": "816094009", "display": "Chest"}}
    ct |= {"laterality": {"system": SCT, "code": "7771000"}}
    ct["instance"] = [_instance("2.25.111", sop_class=CT, number=1), _instance("2.25.112", sop_class=CT, number=2)]
    sr = {"uid": SR_SERIES, "number": 9, "modality": _dcm("SR"), "numberOfInstances": 1}
    sr["instance"] = [_instance("2.25.121", sop_class=SR, number=1, title="Diagnostic imaging report")]
    us = {"uid": US_SERIES, "modality": _dcm("US"), "numberOfInstances": 1, "bodySite": {"display": "SOMEWHERE"}}
    us["instance"] = [_instance("2.25.211", sop_class=US)]
    shared: dict[str, Any] = {"resourceType": "ImagingStudy", "status": "available", "meta": OURS}
    shared["endpoint"] = [{"reference": "Endpoint/main-wado-rs"}]
    found: list[dict[str, Any]] = [
        {
            **shared,
            "id": CHEST,
            "identifier": [{**named, "value": f"urn:oid:{CHEST}"}, accession],
            "basedOn": [{"type": "ServiceRequest", "identifier": accession}],
            "subject": {"reference": "Patient/pat-1"},
            "started": "2026-03-01T09:15:00+01:00",
            "description": "CT Thorax",
            "modality": [_dcm("CT"), _dcm("SR")],
            "numberOfSeries": 2,
            "numberOfInstances": 3,
            "series": [ct, sr],
        },
        {
            **shared,
            "id": REPORT,
            "identifier": [{**named, "value": f"urn:oid:{REPORT}"}],
            "subject": {"reference": "Patient/pat-2"},
            "started": "2026-03-02",
            "modality": [_dcm("US")],
            "numberOfSeries": 1,
            "numberOfInstances": 1,
            "series": [us],
        },
        {
            "resourceType": "Patient",
            "id": "pat-1",
            "meta": OURS,
            "identifier": [{"use": "usual", "type": _of_kind("MR"), "value": "P1"}],
            "name": [{"use": "official", "family": "Doe", "given": ["Jane"], "text": "Jane Doe"}],
            "gender": "female",
            "birthDate": "1970-01-01",
        },
        {"resourceType": "Patient", "id": "pat-2", "meta": OURS},
        {
            "resourceType": "Endpoint",
            "id": "main-wado-rs",
            "status": "active",
            "connectionType": {"code": "dicom-wado-rs"},
            "address": DICOMWEB,
        },
    ]
    copied: list[dict[str, Any]] = json.loads(json.dumps(found))
    return {f"{one['resourceType']}/{one['id']}": one for one in copied}


def archive_answers(held: list[Dataset], *, stable: bool = True) -> dict[str, bytes]:
    """Orthanc's answers by path; a study's main tags are those of its first stored instance, as in Orthanc."""
    answers: dict[str, Any] = {"/statistics": {"CountInstances": len(held)}}
    studies: dict[str, dict[str, Any]] = {}
    series: dict[str, dict[str, Any]] = {}
    for one in held:
        orthanc_id = f"{one.get('PatientID', '')}-{one.StudyInstanceUID}"
        study = studies.setdefault(orthanc_id, {"IsStable": stable, "Series": []})
        study.setdefault("MainDicomTags", _main(one, "study"))
        study.setdefault("PatientMainDicomTags", _main(one, "patient"))
        series_id = f"{orthanc_id}-{one.SeriesInstanceUID}"
        if series_id not in series:
            study["Series"].append(series_id)
        known = series.setdefault(series_id, {"MainDicomTags": _main(one, "series"), "Instances": []})
        instance_id = f"{series_id}-{one.SOPInstanceUID}"
        known["Instances"].append(instance_id)
        answers[f"/instances/{instance_id}/file"] = _file(one)
        answers[f"/instances/{instance_id}/metadata/SopClassUid"] = one.SOPClassUID.encode()
    answers["/studies"] = list(studies)
    answers |= {f"/studies/{key}": value for key, value in studies.items()}
    answers |= {f"/series/{key}": value for key, value in series.items()}
    return {path: body if isinstance(body, bytes) else json.dumps(body).encode() for path, body in answers.items()}


def _main(one: Dataset, level: str) -> dict[str, str]:
    return {keyword: str(one.get(keyword)) for keyword in _MAIN[level] if keyword in one}


def _file(one: Dataset) -> bytes:
    one.file_meta = FileMetaDataset()
    one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    written = BytesIO()
    one.save_as(written, enforce_file_format=True)
    return written.getvalue()


def fhir_answers(held: dict[str, dict[str, Any]]) -> dict[str, bytes]:
    """The FHIR server's answers by path: each resource, and one page of all ImagingStudies."""
    entries = [{"resource": one} for key, one in held.items() if key.startswith("ImagingStudy/")]
    listing = {"resourceType": "Bundle", "type": "searchset", "entry": entries, "link": []}
    by_path = {f"/{key}": json.dumps(one).encode() for key, one in held.items()}
    return {**by_path, "/ImagingStudy": json.dumps(listing).encode()}


@contextmanager
def serving(answers: dict[str, bytes]) -> Iterator[str]:
    """A server with these answers on a free loopback port; anything else is a 404 with an OperationOutcome."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = answers.get(self.path.partition("?")[0])
            self.send_response(404 if body is None else 200)
            self.end_headers()
            self.wfile.write(b'{"resourceType": "OperationOutcome"}' if body is None else body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
