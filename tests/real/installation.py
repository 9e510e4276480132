"""An Orthanc, a FHIR server, and a syncd between them that reaches both through recording proxies.

Names are unique (archive, installation), so several share a FHIR server without touching each other's Endpoints and
Patients; an Orthanc must not be shared, because a syncd publishes everything that is in it. Whatever was sent is noted,
so that at the end everything syncd ever said can be searched for it (RULES S1).
"""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import pydicom

from tests import oracle
from tests.daemon import Syncd
from tests.dicom import make_instance, make_study, uid
from tests.planted import PATIENT
from tests.proxy import Exchange, RecordingProxy
from tests.servers import Archive, FhirServer

TAG_SYSTEM = "urn:syncd:installation"

_numbers = itertools.count(1)

_owners: dict[tuple[FhirServer, str], str] = {}
"""(FHIR server, StudyInstanceUID) → the installation whose archive got that study. On a shared server a second one would
find it published by the first, or not, by the order of the tests."""


def study(words: str, *, series: int = 1, instances: int = 1, modality: str = "CT", **tags: Any) -> tuple[str, list[bytes]]:
    """(StudyInstanceUID, files) of the study that `words` name; each has a patient and an accession of its own."""
    study_uid = uid("path", words)
    short = study_uid[-9:]
    said = {"patient_id": f"PID-{short}", "AccessionNumber": f"ACC-{short}", **PATIENT, **tags}
    return study_uid, make_study(study_uid=study_uid, series=series, instances=instances, modality=modality, **said)


def further(words: str, *, number: int = 1, modality: str = "CT", series: int = 1, **tags: Any) -> bytes:
    """One more instance of the study that `words` name, in its series `series` of `modality`."""
    study_uid = uid("path", words)
    short = study_uid[-9:]
    said = {"patient_id": f"PID-{short}", "AccessionNumber": f"ACC-{short}", **PATIENT, "SeriesNumber": series, **tags}
    series_uid = uid(study_uid, "series", modality, series)
    return make_instance(study_uid=study_uid, series_uid=series_uid, modality=modality, number=number, **said)


class Installation:
    """Starts nothing but the proxies: `syncd.start()` or `syncd.command("resync")` do the work."""

    def __init__(
        self,
        directory: Path,
        *,
        archive: Archive,
        fhir: FhirServer,
        name: str = "",
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.archive = archive
        self.fhir = fhir
        self.name = name or f"path{next(_numbers)}"
        self.before_archive = RecordingProxy(archive.url).start()
        self.before_fhir = RecordingProxy(fhir.base_url).start()
        self.sent_values: set[str] = {archive.password}
        block = f"SYNCD_ARCHIVES__{self.name.upper()}__"
        self.block = block
        self.dicomweb_url = f"https://pacs.example/{self.name}/dicom-web"
        self.syncd = Syncd(
            directory,
            variables={
                f"{block}URL": self.before_archive.url,
                f"{block}USERNAME": archive.username,
                f"{block}PASSWORD": archive.password,
                f"{block}PUBLIC_DICOMWEB_URL": self.dicomweb_url,
                f"{block}POLL_INTERVAL": "0.2s",
                f"{block}SETTLE_AFTER": "1s",
                "SYNCD_FHIR__URL": self.before_fhir.before(fhir.base_url),
                "SYNCD_INSTALLATION_ID": self.name,
                **(settings or {}),
            },
        )

    def __enter__(self) -> Installation:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.syncd.kill()
        self.before_archive.stop()
        self.before_fhir.stop()
        if error is None:
            assert self.leaks() == [], "what identifies a patient, or a secret, was written (RULES S1)"

    def send(self, *files: bytes) -> None:
        """Into Orthanc, past the proxy."""
        for file in files:
            self.noted(file)
            self.claim(file)
            assert self.archive.upload(file) is not None

    def wait_stable(self, *study_uids: str) -> None:
        """Wait until Orthanc calls all of them stable."""
        for study_uid in study_uids:
            for orthanc_id in self.archive.study_ids(study_uid):
                self.archive.wait_stable(orthanc_id)

    def noted(self, file: bytes) -> None:
        """Remember what must never be written: of a file that is sent."""
        header = pydicom.dcmread(io.BytesIO(file), stop_before_pixels=True, force=True)
        self.sent_values.update(identifying(header))

    def claim(self, file: bytes) -> None:
        """This installation publishes the study of this file, and no other one of the same FHIR server does."""
        header = pydicom.dcmread(io.BytesIO(file), specific_tags=["StudyInstanceUID"], force=True)
        owner = _owners.setdefault((self.fhir, str(header.get("StudyInstanceUID", ""))), self.name)
        assert owner == self.name, "another test of this FHIR server sends a study of the same words: name it otherwise"

    def leaks(self) -> list[str]:
        """Values of the files sent that syncd wrote somewhere."""
        said = self.syncd.everything_said()
        return sorted(value for value in self.sent_values if _appears(value, said))

    def resource(self, study_uid: str) -> dict[str, Any] | None:
        """The ImagingStudy as the FHIR server holds it, asked past the proxy."""
        reply = self.fhir.request("GET", f"ImagingStudy/{study_uid}", headers={"Cache-Control": "no-cache"})
        if reply.status != 200:
            return None
        found: dict[str, Any] = reply.json
        return found

    def says(self, study_uid: str, *, status: str = "available", instances: int | None = None) -> bool:
        found = self.resource(study_uid)
        if found is None or status_of(found) != status:
            return False
        return instances is None or found.get("numberOfInstances") == instances

    def wait_for(self, *study_uids: str, status: str = "available", instances: int | None = None) -> None:
        for one in study_uids:
            self.syncd.wait(
                lambda one=one: self.says(one, status=status, instances=instances),  # type: ignore[misc]
                what=f"{status} ({instances if instances is not None else 'any number of'} instances): {one}",
            )

    def wait_settled(self) -> None:
        self.syncd.wait(self.syncd.settled, what="settled")

    def statuses(self, study_uid: str) -> list[str]:
        """The statuses of the resource's versions, oldest first; `deleted` for a tombstone."""
        history = self.fhir.history(f"ImagingStudy/{study_uid}")
        return ["deleted" if entry["request"]["method"] == "DELETE" else status_of(entry["resource"]) for entry in history]

    def puts(self, study_uid: str) -> tuple[Exchange, ...]:
        """Every PUT of this ImagingStudy that syncd sent, whatever became of it."""
        return self.before_fhir.exchanges(method="PUT", path=rf"/ImagingStudy/{re.escape(study_uid)}$")

    def published(self) -> dict[str, dict[str, Any]]:
        """All ImagingStudies with this installation's tag, by id."""
        found = self.fhir.search(f"ImagingStudy?_tag={quote(f'{TAG_SYSTEM}|{self.name}')}&_count=200")
        return {one["id"]: one for one in found}

    def compare(self, *, accepted: Mapping[str, str] | None = None) -> oracle.Report:
        """What the oracle says of this installation; others share the FHIR server."""
        return oracle.compare(
            self.archive.url,
            (self.archive.username, self.archive.password),
            self.fhir.base_url,
            dicomweb_url=self.dicomweb_url,
            accepted=accepted,
            installation=self.name,
        )

    def assert_equal(self, *, accepted: Mapping[str, str] | None = None) -> oracle.Report:
        """Both sides say the same, and nothing of ours is there that should not be."""
        report = self.compare(accepted=accepted)
        differences = [one for one in report.differences if one.study_uid not in (accepted or {})]
        assert (differences, report.missing, report.extra, report.duplicate) == ([], (), (), ()), "\n".join(report.lines())
        return report


def status_of(study: Mapping[str, Any]) -> str:
    """An ImagingStudy's status; in DSTU2, which has none, what its availability amounts to."""
    unavailable = study.get("availability") == "UNAVAILABLE"
    return str(study.get("status") or ("cancelled" if unavailable else "available"))


def rejecting(code: str, study_uid: str, series_uid: str, instance_uid: str) -> dict[str, Any]:
    """Title and evidence of a rejection note (PS3.3 C.17.6.2.1), for `further`."""
    title = {"CodeValue": code, "CodingSchemeDesignator": "DCM", "CodeMeaning": "A title"}
    sop = {"ReferencedSOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "ReferencedSOPInstanceUID": instance_uid}
    evidence = {
        "StudyInstanceUID": study_uid,
        "ReferencedSeriesSequence": [{"SeriesInstanceUID": series_uid, "ReferencedSOPSequence": [sop]}],
    }
    return {
        "ConceptNameCodeSequence": [title],
        "ValueType": "CONTAINER",
        "CurrentRequestedProcedureEvidenceSequence": [evidence],
    }


def identifying(header: pydicom.Dataset) -> set[str]:
    """Names, their parts, birth date, PatientID, accession: as DICOM and as FHIR would write them."""
    names = [str(header.get(keyword, "") or "") for keyword in ("PatientName", "ReferringPhysicianName")]
    birth = str(header.get("PatientBirthDate", "") or "")
    values = {*names, *(part for name in names for part in re.split(r"[\^= ]+", name)), birth}
    if len(birth) == 8:
        values.add(f"{birth[:4]}-{birth[4:6]}-{birth[6:]}")
    values |= {str(header.get(keyword, "") or "") for keyword in ("PatientID", "AccessionNumber", "OtherPatientIDs")}
    return {value.strip() for value in values if len(value.strip()) >= 4}


def _appears(value: str, said: str) -> bool:
    """As a word of its own: a PatientID such as `1234` may well be part of a UID."""
    return re.search(rf"(?<![\w.]){re.escape(value)}(?![\w.])", said) is not None
