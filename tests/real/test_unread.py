"""Files that are lost, damaged, nested or too large in real archives: RULES B11, C6, PS3.5 7.5."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from deploy.native.servers import Orthanc
from syncd.archive.orthanc import OrthancArchive
from syncd.archive.reading import reader
from syncd.archive.rest.connection import ArchiveConnection
from syncd.http.messages import Answer, Request, Transport
from syncd.http.pool import Pool
from syncd.model.ids import ArchiveName, OrthancId
from syncd.model.snapshot import StudySnapshot
from syncd.model.study.raw import RawStudy, Unread
from syncd.snapshot.build import build
from tests.dicom import make_instance, make_study, uid
from tests.servers import Archive

Reading = Callable[..., OrthancArchive]
FRAMES = reader.MOST_FRAMES + 1
SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"


@pytest.fixture
def archive_of(either: Archive) -> Iterator[Reading]:
    """A client of the archive."""
    with ExitStack() as after:

        def opened(transport: Transport | None = None) -> OrthancArchive:
            connection = ArchiveConnection(
                name=ArchiveName("main"), url=either.url, username=either.username, password=either.password, timeout=60.0
            )
            archive = OrthancArchive(connection, transport=transport)
            after.callback(archive.close)
            return archive

        yield opened


def _stored(orthanc: Archive, *files: bytes) -> tuple[OrthancId, list[str]]:
    """The Orthanc ids of the study and of its instances, in order; a neighbour is there as well."""
    orthanc.upload(make_instance(study_uid=uid("test_unread", "neighbour"), patient_id="SYN-2"))
    answers = orthanc.upload_all(files)
    assert len(answers) == len(files)
    return OrthancId(answers[0]["ParentStudy"]), [one["ID"] for one in answers]


def _file(orthanc: Archive, instance_id: str) -> Path:
    """Where the archive keeps an instance's file."""
    process = orthanc.process
    if not isinstance(process, Orthanc):
        pytest.skip("the storage of a container cannot be reached")
    name = orthanc.get(f"/instances/{instance_id}")["FileUuid"]
    return process.directory / "storage" / name[:2] / name[2:4] / name


def _read(archive: OrthancArchive, study: OrthancId) -> tuple[RawStudy, StudySnapshot]:
    raw = archive.read_study(study)
    return raw, build(raw)


class _Late(Pool):
    """No answer from one route within any time."""

    def __init__(self, path: str) -> None:
        super().__init__(ssl.create_default_context(), timeout=60.0, most=16)
        self._path = path
        self.asked = 0

    def send(self, request: Request) -> Answer:
        if urlsplit(request.url).path == self._path:
            self.asked += 1
            raise TimeoutError("late")
        return super().send(request)


def _safety(snapshot: StudySnapshot) -> set[str]:
    return {note.tag for note in snapshot.notes if note.safety}


def test_a_file_that_is_lost_costs_its_series_side_and_nobody_the_study(either: Archive, archive_of: Reading) -> None:
    """RULES B11: its other series tell whose study it is; the lost image may have named another side."""
    study_uid = uid("test_unread", "lost", either.version)
    images = make_study(study_uid=study_uid, series=2, modality="CR", Laterality="L", IssuerOfPatientID="CLINIC")
    study, instances = _stored(either, *images)
    _file(either, instances[0]).unlink()
    either.restart()
    raw, snapshot = _read(archive_of(), study)
    assert raw.unread == {OrthancId(instances[0]): Unread.BROKEN}
    assert [one.laterality for one in snapshot.series] == ["", "L"]
    assert [one.modality for one in snapshot.series] == ["CR", "CR"]
    assert snapshot.patient.ids[0].issuer is not None
    assert _safety(snapshot) == {"0020,0060"}


def test_a_study_of_which_every_file_is_damaged_says_what_the_index_knows(either: Archive, archive_of: Reading) -> None:
    """RULES B11: no number whose issuer nobody can name."""
    study_uid = uid("test_unread", "damaged", either.version)
    study, instances = _stored(either, make_instance(study_uid=study_uid, AccessionNumber="A1"))
    _file(either, instances[0]).write_bytes(b"no DICOM at all")
    either.restart()
    raw, snapshot = _read(archive_of(), study)
    assert raw.is_blind
    assert snapshot.description == "Synthetic study"
    assert (snapshot.patient.ids, snapshot.accessions) == ((), ())
    assert [one.modality for one in snapshot.series] == ["CT"]
    assert _safety(snapshot) >= {"0010,0020", "0008,0050"}


def test_a_lost_key_object_costs_nobody_the_study(either: Archive, archive_of: Reading) -> None:
    """RULES B7, B11: what it rejects is unknown, and said to be so."""
    study_uid = uid("test_unread", "note", either.version)
    files = [make_instance(study_uid=study_uid), make_instance(study_uid=study_uid, modality="KO")]
    study, instances = _stored(either, *files)
    _file(either, instances[1]).unlink()
    either.restart()
    raw, snapshot = _read(archive_of(), study)
    assert (raw.documents, snapshot.number_of_instances, snapshot.key_objects) == ({}, 2, ())
    assert len(snapshot.unread_key_objects) == 1
    assert "0040,a043" in _safety(snapshot)


def test_forty_sequences_within_each_other_are_read(either: Archive, archive_of: Reading) -> None:
    """PS3.5 7.5 sets no depth; a deeper one neither version of Orthanc survives."""
    item: dict[str, Any] = {"AccessionNumber": "DEEP"}
    for _ in range(39):
        item = {"ConceptCodeSequence": [item]}
    nested = {"AccessionNumber": "A2", **item}
    study_uid = uid("test_unread", "nested", either.version)
    study, _ = _stored(either, make_instance(study_uid=study_uid, RequestAttributesSequence=[nested]))
    raw, snapshot = _read(archive_of(), study)
    assert not raw.unread
    assert "A2" in [one.value for one in snapshot.accessions]


@pytest.fixture(scope="module")
def slide() -> bytes:
    """One frame more than is asked for, each with its functional groups (PS3.3 C.7.6.16)."""
    groups = [
        {
            "FrameContentSequence": [{"DimensionIndexValues": [1, number]}],
            "PlanePositionSlideSequence": [{"ColumnPositionInTotalImagePixelMatrix": number}],
        }
        for number in range(1, FRAMES + 1)
    ]
    return make_instance(
        study_uid=uid("test_unread", "slide"),
        modality="SM",
        sop_class=SLIDE,
        NumberOfFrames=str(FRAMES),
        IssuerOfPatientID="CLINIC",
        IssuerOfAccessionNumberSequence=[{"LocalNamespaceEntityID": "RIS"}],
        AccessionNumber="A1",
        PerFrameFunctionalGroupsSequence=groups,
    )


def test_a_slide_of_many_frames_is_published_without_its_frames(
    either: Archive, archive_of: Reading, slide: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RULES B11: never its full tags, but who issued the numbers; and where it is not foreseen, a timeout costs the
    rest only, once."""
    study, instances = _stored(either, slide)
    archive = archive_of()
    raw, snapshot = _read(archive, study)
    assert raw.unread == {OrthancId(instances[0]): Unread.FORESEEN}
    assert snapshot.patient.ids[0].issuer is not None
    assert snapshot.accessions[0].issuer is not None
    assert (snapshot.series[0].modality, snapshot.series[0].instances[0].frames) == ("SM", FRAMES)
    assert _safety(snapshot) == {"0020,0060"}

    monkeypatch.setattr(reader, "MOST_FRAMES", 10 * FRAMES)
    late = _Late(f"/instances/{instances[0]}/tags")
    impatient = archive_of(late)
    for _ in range(2):
        raw, snapshot = _read(impatient, study)
        assert raw.unread == {OrthancId(instances[0]): Unread.SLOW}
        assert (snapshot.series[0].modality, len(snapshot.patient.ids)) == ("SM", 1)
    assert late.asked == 1
