"""RULES A7: studies that are read together are what each of them is when it is read by itself, on the fake and on the real
servers. Here syncd speaks: what is held to its word is how it puts the answers of a version together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from syncd.archive.orthanc import OrthancArchive
from syncd.archive.rest.connection import ArchiveConnection
from syncd.model.ids import ArchiveName, OrthancId
from tests.contracts.archive import ArchiveClient, ArchiveUnderTest

KINDS: dict[str, list[dict[str, Any]]] = {
    "one image": [{}],
    "three images that agree": [{"number": number, "BodyPartExamined": "CHEST"} for number in (1, 2, 3)],
    "more images than a site's find gives": [{"number": number} for number in range(1, 12)],
    "two series, two sides": [{"series": side, "number": side, "Laterality": "RL"[side - 1]} for side in (1, 2)],
    "a report beside images": [{}, {"series": 2, "modality": "SR"}],
    "a key object": [{"modality": "KO"}],
    "names in several scripts": [{"PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう"}],
    "a text that the archive cannot decode": [{"SpecificCharacterSet": b"ISO IR 192", "PatientName": "Müller^J".encode()}],
    "texts that are no main tags": [{"StudyDescription": "d" * 300, "SeriesDescription": "s" * 300}],
    "next to nothing": [{"patient_id": "", "StudyDate": None, "StudyDescription": None, "number": None}],
    "a UID that is none": [{"study": "12"}],
}


class TogetherContract:
    """`OrthancArchive.read_studies`; `archive` is the fixture of `orthanc_contract`."""

    @pytest.fixture
    def reader(self, server: ArchiveUnderTest) -> Iterator[OrthancArchive]:
        username, password = server.credentials
        reader = OrthancArchive(
            ArchiveConnection(name=ArchiveName("main"), url=server.url, username=username, password=password, timeout=30)
        )
        yield reader
        reader.close()

    def test_studies_of_every_kind_are_as_read_by_themselves(self, archive: ArchiveClient, reader: OrthancArchive) -> None:
        """RULES A7; LimitFind* of the archive under test cut what 1.12 finds in the middle of a study."""
        mark = archive.high_water()
        studies = [self._upload(archive, instances) for instances in KINDS.values()]
        if archive.modern:
            archive.ask("PUT", f"/studies/{studies[0]}/labels/checked")
        for study in studies:
            archive.wait_stable(study, since=mark)
        alone = {study: reader.read_study(study) for study in studies}
        assert reader.read_studies(studies) == {
            study: raw for study, raw in alone.items() if raw.header.study_uid != "12" or not archive.modern
        }
        assert [alone[study].header for study in studies] == [reader.study(study) for study in studies]

    def test_two_studies_of_one_uid_keep_their_own_instances(self, archive: ArchiveClient, reader: OrthancArchive) -> None:
        """RULES C8: under two PatientIDs; a find by UID gives both."""
        mark, uid = archive.high_water(), archive.new_uid()
        stored = [archive.upload(uid, patient_id=patient, series=number) for number, patient in enumerate("AB", start=1)]
        studies = [OrthancId(each["ParentStudy"]) for each in stored]
        for study in studies:
            archive.wait_stable(study, since=mark)
        expected = {study: reader.read_study(study) for study in studies}
        assert reader.read_studies(studies) == expected
        assert reader.read_studies(studies[:1]).items() <= expected.items()

    def test_what_is_gone_or_still_arriving_is_left_out(self, archive: ArchiveClient, reader: OrthancArchive) -> None:
        """RULES A5, D1: it is read by itself, and says so."""
        mark = archive.high_water()
        there, gone = (OrthancId(archive.upload(archive.new_uid())["ParentStudy"]) for _ in range(2))
        for study in (there, gone):
            archive.wait_stable(study, since=mark)
        archive.delete(f"/studies/{gone}")
        arriving = OrthancId(archive.upload(archive.new_uid())["ParentStudy"])
        assert set(reader.read_studies([gone, arriving, there, OrthancId("../system"), there])) == {there}
        assert reader.read_studies([]) == {}

    def _upload(self, archive: ArchiveClient, instances: list[dict[str, Any]]) -> OrthancId:
        uid = archive.new_uid()
        stored = [
            archive.upload(each.get("study", uid), **{k: v for k, v in each.items() if k != "study"}) for each in instances
        ]
        return OrthancId(stored[0]["ParentStudy"])
