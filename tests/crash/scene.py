"""What happens in the archive while syncd is killed: three studies of two patients, one arriving under its eyes.

Two lie there at the start and share a patient, whose resource the newer one speaks for. The third comes while the daemon
runs, so that it is `registered` first, and one more instance of its series comes when it is `available` already. A fourth
lies there at the start, is published, and then deleted in the archive.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.crash.installation import Installation
from tests.dicom import make_study, uid
from tests.oracle import compare
from tests.servers import wait_until

TO_DIE = 40.0
"""Seconds in which every step must have been reached; it takes four."""

_TICK = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """The studies of one installation; UIDs and patients follow from its name."""

    at: Installation

    @property
    def older(self) -> str:
        return uid("crash", self.at.name, "older")

    @property
    def newer(self) -> str:
        return uid("crash", self.at.name, "newer")

    @property
    def leaving(self) -> str:
        return uid("crash", self.at.name, "leaving")

    @property
    def arriving(self) -> str:
        return uid("crash", self.at.name, "arriving")

    @property
    def instances(self) -> dict[str, int]:
        """How many each study has in the end."""
        return {self.older: 2, self.newer: 2, self.arriving: 3}

    def prepare(self) -> None:
        """An archive with nothing but the two studies, which become stable by and by."""
        archive, shared = self.at.archive, f"{self.at.name}-shared"
        archive.clear()
        files = make_study(study_uid=self.older, series=2, patient_id=shared, StudyDate="20230102", AccessionNumber="A-1")
        files += make_study(
            study_uid=self.newer, instances=2, modality="MR", patient_id=shared, StudyDate="20240203", PatientSex="F"
        )
        files += make_study(study_uid=self.leaving, patient_id=shared, StudyDate="20220101")
        archive.upload_all(files)

    def open(self) -> None:
        """The two studies are stable, and the curtain may rise."""
        for study in self.at.archive.get("/studies"):
            self.at.archive.wait_stable(study)

    def play(self, over: Callable[[], bool]) -> None:
        """The third study arrives when the bootstrap is done, its last instance when it is `available`; or both at once
        as soon as it is `over`."""
        *first, late = make_study(
            study_uid=self.arriving, instances=3, modality="US", patient_id=f"{self.at.name}-other", AccessionNumber="A-2"
        )
        _until(lambda: over() or "bootstrap-finished" in self.at.told)
        self.at.archive.upload_all(first)
        _until(lambda: over() or self._available(self.arriving))
        self.at.archive.upload_all([late])
        _until(lambda: over() or self._available(self.leaving))
        self.leave()

    def leave(self) -> None:
        """The archive deletes a study, which it tells nobody; it is marked when there is a ledger that knows it."""
        for orthanc_id in self.at.archive.study_ids(self.leaving):
            self.at.archive.delete(f"/studies/{orthanc_id}")
        if self.at.rows("SELECT 1 FROM feeds"):
            self.at.mark(self.leaving)

    def check(self) -> None:
        """Both sides are equal, nothing is written twice, and nothing of ours became somebody else's."""
        # An inventory that goes on meanwhile may mark a study once more; that is looked at, and nothing is left.
        wait_until(
            lambda: not any(self.at.rows(f"SELECT * FROM {table}") for table in ("intents", "parked", "dirty")),
            what="intents, parked and dirty studies gone",
            timeout=TO_DIE,
        )
        self._check_oracle()
        self._check_ledger()
        self._check_server()

    def _available(self, study: str) -> bool:
        return bool(self.at.rows(f"SELECT 1 FROM records WHERE study_uid = '{study}' AND status = 'available'"))

    def _check_oracle(self) -> None:
        archive = self.at.archive
        report = compare(
            archive.base_url,
            (archive.username, archive.password),
            self.at.fhir.base_url,
            dicomweb_url=self.at.dicomweb,
            installation=self.at.name,
        )
        assert sorted(report.compared) == sorted(self.instances), report.lines()
        assert report.agrees, "\n".join(report.lines())

    def _check_ledger(self) -> None:
        records = self.at.rows("SELECT * FROM records")
        assert {one["study_uid"] for one in records if not one["retracted"]} == set(self.instances)
        left = {one["study_uid"]: (one["status"], one["retracted"]) for one in records if one["retracted"]}
        # Gone before anything was said of it; or deleted; or only withdrawn, because a Provenance names it and HAPI refuses.
        allowed = ({}, *({self.leaving: ("cancelled", how)} for how in ("deleted", "withdrawn")))
        assert left in allowed, left
        (budget,) = self.at.rows("SELECT spent, planned FROM brakes") or [{"spent": 0, "planned": 0}]
        assert budget == {"spent": len(left), "planned": 0}, (budget, left)
        (shown,) = self.at.rows("SELECT sum(number) AS number FROM tallies WHERE kind = 'shown'")
        assert shown["number"] == len(self.instances), (shown, left)
        assert {one["foreign"] for one in records} == {"{}"}, "something of ours became foreign"

    def _check_server(self) -> None:
        fhir = self.at.fhir
        tagged = f"_tag=urn:syncd:installation%7C{self.at.name}"
        studies = {one["id"]: one for one in fhir.search(f"ImagingStudy?{tagged}")}
        # What is gone is deleted, or withdrawn where HAPI refuses because a Provenance names it.
        assert set(studies) - {self.leaving} == set(self.instances)
        gone = studies.pop(self.leaving, None)
        assert gone is None or gone["status"] == "cancelled"
        versions = {one["study_uid"]: one["version"] for one in self.at.rows("SELECT study_uid, version FROM records")}
        for study, resource in studies.items():
            history = [entry["resource"]["status"] for entry in fhir.history(f"ImagingStudy/{study}")]
            assert len(history) <= 3, history
            assert history == sorted(history, reverse=True), f"never back from available to registered: {history}"
            assert versions[study] == resource["meta"]["versionId"]
        assert len(fhir.search(f"Patient?{tagged}")) == 2
        told = fhir.search(f"Provenance?{tagged}")
        named = {one["target"][0]["reference"].removeprefix("ImagingStudy/") for one in told}
        assert named - {self.leaving} <= set(studies)
        assert named - {self.leaving} == set(studies) or self.at.only_corrections, "one of every write"
        assert {one["meta"]["versionId"] for one in told} <= {"1"}, "a retry says the same"
        assert len(fhir.search(f"Device?{tagged}")) == bool(told)
        endpoints = {one["id"]: one["status"] for one in fhir.search(f"Endpoint?{tagged}")}
        assert sorted(endpoints.values()) == ["active", "off"], endpoints
        sentinel = next(one for one, status in endpoints.items() if status == "off")
        assert sentinel in self.at.rows("SELECT value FROM facts WHERE name = 'target'")[0]["value"]


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TO_DIE
    while not holds():
        assert time.monotonic() < deadline, "the daemon neither died nor went on"
        time.sleep(_TICK)
