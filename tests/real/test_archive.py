"""`OrthancArchive` before both real Orthancs: RULES A2, A3, A6, A7, A8, B6, D1.

The number of HTTP calls is asserted, the time they take is not: it depends on the machine.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from deploy.native.servers import Orthanc
from syncd.archive.orthanc import OrthancArchive
from syncd.archive.rest.connection import ArchiveConnection
from syncd.errors import StudyGone, TornRead, Unsuitable
from syncd.feed.follow import PAGE_LIMIT
from syncd.feed.interest import wanted_ids
from syncd.model.change import Change
from syncd.model.ids import ArchiveName, OrthancId
from tests.dicom import make_instance, make_study, pydicom_files, uid
from tests.servers import VERSIONS, Archive, wait_until

Start = Callable[..., Archive]
Reach = Callable[[ArchiveConnection], OrthancArchive]


def connection(orthanc: Archive, *, password: str | None = None) -> ArchiveConnection:
    return ArchiveConnection(
        name=ArchiveName("main"),
        url=orthanc.url,
        username=orthanc.username,
        password=orthanc.password if password is None else password,
    )


class Counted:
    """An archive whose calls are counted; `after` them something may happen behind its back."""

    def __init__(self, orthanc: Archive) -> None:
        self.outcomes: list[str] = []
        self.after: dict[int, Callable[[], None]] = {}
        self.archive = OrthancArchive(connection(orthanc), on_call=self._called)

    def _called(self, outcome: str) -> None:
        self.outcomes.append(outcome)
        act = self.after.pop(len(self.outcomes), None)
        if act is not None:
            act()


@pytest.fixture
def counted(orthanc: Archive) -> Iterator[Counted]:
    one = Counted(orthanc)
    yield one
    one.archive.close()


@pytest.fixture
def reach() -> Iterator[Reach]:
    """`OrthancArchive(connection)`, closed after the test."""
    with ExitStack() as after:

        def opened(one: ArchiveConnection) -> OrthancArchive:
            archive = OrthancArchive(one)
            after.callback(archive.close)
            return archive

        yield opened


@pytest.fixture
def study_uid(request: pytest.FixtureRequest) -> str:
    """A UID of the test's own."""
    return uid("test_archive", request.node.name)


def stored(orthanc: Archive, files: list[bytes]) -> OrthancId:
    """Store them; the Orthanc id of the (last) study."""
    return OrthancId(orthanc.upload_all(files)[-1]["ParentStudy"])


def changes_of(archive: OrthancArchive, since: int, *, ids: set[str]) -> list[Change]:
    """All changes above `since` that speak of these resources."""
    found: list[Change] = []
    while True:
        page = archive.changes(since, limit=PAGE_LIMIT)
        found += [change for change in page.changes if change.resource_id in ids]
        if page.done:
            return found
        since = page.last


def test_one_pass_costs_what_the_rule_says(orthanc: Archive, counted: Counted, study_uid: str) -> None:
    """RULES A7, B9: four calls on 1.10.1, three on 1.12, one per series of few images and per document; a document that
    is its series' representative is read once."""
    images = make_study(study_uid=study_uid, series=3, instances=7)
    report = make_instance(study_uid=study_uid, modality="SR")
    notes = make_study(study_uid=study_uid, instances=2, modality="KO")
    sides = make_study(study_uid=study_uid, instances=4, modality="MG", ImageLaterality="L")
    study = stored(orthanc, [*images, report, *notes, *sides])
    counted.archive.read_study(study)
    counted.outcomes.clear()
    raw = counted.archive.read_study(study)
    per_study = 3 if orthanc.version.startswith("1.12") else 4
    assert len(counted.outcomes) == per_study + 6 + 1  # one for each series, few images or one (B9); the second KO
    assert set(counted.outcomes) == {"ok"}
    assert (len(raw.series), len(raw.instances), len(raw.documents)) == (6, 28, 3)
    by_modality = {each.representative["0008,0060"]: each for each in raw.series}
    assert {name: len(each.images) for name, each in by_modality.items()} == {"CT": 7, "SR": 1, "KO": 2, "MG": 4}
    assert by_modality["CT"].representative["0020,0013"] == "1"
    assert {each.sop_class_uid for each in raw.instances if each.series_id == by_modality["MG"].orthanc_id} == {
        "1.2.840.10008.5.1.4.1.1.1.2"
    }


@pytest.mark.quick("1.10.1")
def test_a_thousand_instances_cost_no_call_more(orthanc: Archive, counted: Counted, study_uid: str) -> None:
    """docs/orthanc.md: a whole study is three or four calls plus one per series, however many instances it has."""
    study = stored(orthanc, make_study(study_uid=study_uid, series=2, instances=500))
    raw = counted.archive.read_study(study)
    calls = len(counted.outcomes) - 1  # the first asks what this version can
    assert calls == (3 if orthanc.version.startswith("1.12") else 4) + 2 + 2  # B9
    assert len({each.tags["0008,0018"] for each in raw.instances}) == 1000
    assert {each.tags["0020,0013"] for each in raw.instances} == {str(number) for number in range(1, 501)}


def test_a_study_that_changes_while_it_is_read_is_unknown(orthanc: Archive, counted: Counted, study_uid: str) -> None:
    """RULES A7: an instance deleted or stored between the calls; 1.10.1 does not move LastUpdate when one is deleted."""
    files = make_study(study_uid=study_uid, series=2, instances=3)
    answers = orthanc.upload_all(files)
    study = OrthancId(answers[0]["ParentStudy"])
    counted.archive.read_study(study)
    counted.after[len(counted.outcomes) + 2] = lambda: orthanc.delete(f"/instances/{answers[2]['ID']}")
    with pytest.raises(TornRead):
        counted.archive.read_study(study)
    counted.after[len(counted.outcomes) + 2] = lambda: stored(orthanc, files) and None
    with pytest.raises(TornRead):
        counted.archive.read_study(study)
    assert len(counted.archive.read_study(study).instances) == 6


def test_a_deleted_study_is_gone_and_looked_up_as_none(orthanc: Archive, counted: Counted, study_uid: str) -> None:
    """RULES D1: 404 is a hint, the empty lookup is the positive answer."""
    study = stored(orthanc, make_study(study_uid=study_uid))
    assert counted.archive.lookup(study_uid) == (study,)
    orthanc.delete(f"/studies/{study}")
    for ask in (counted.archive.study, counted.archive.read_study, counted.archive.read_registered):
        with pytest.raises(StudyGone):
            ask(study)
    assert counted.archive.lookup(study_uid) == ()
    assert counted.archive.studies_of([study]) == ()


def test_one_uid_under_two_patients_is_two_studies(orthanc: Archive, counted: Counted, study_uid: str) -> None:
    """RULES C8; docs/orthanc.md: lookup returns both."""
    ids = {stored(orthanc, make_study(study_uid=study_uid, patient_id=patient)) for patient in ("A-1", "A-2")}
    assert set(counted.archive.lookup(study_uid)) == ids
    assert {each.study_uid for each in counted.archive.studies_of(ids)} == {study_uid}


def test_the_feed_resolves_to_the_study(orthanc: Archive, counted: Counted, study_uid: str) -> None:
    """RULES A2: NewInstance, NewSeries and NewStudy, and one bulk call; unknown ids are left out without an error."""
    since = counted.archive.high_water_mark()
    answers = orthanc.upload_all(make_study(study_uid=study_uid, series=2, instances=2))
    ids = {answer[key] for answer in answers for key in ("ID", "ParentSeries", "ParentStudy")}
    found = changes_of(counted.archive, since, ids=ids)
    new = sorted(change.change_type for change in found if change.change_type.startswith("New"))
    assert new == ["NewInstance"] * 4 + ["NewSeries"] * 2 + ["NewStudy"]
    assert counted.archive.high_water_mark() >= max(change.seq for change in found)
    before = len(counted.outcomes)
    (listing,) = counted.archive.studies_of([*wanted_ids(found), "0" * 8 + "-00000000" * 4])
    assert len(counted.outcomes) == before + 1
    assert (listing.study_uid, listing.orthanc_id) == (study_uid, answers[0]["ParentStudy"])
    assert (listing.study_date, len(listing.series_ids)) == ("20240102", 2)


def test_reading_makes_nothing_happen_in_the_feed(orthanc: Archive, counted: Counted, study_uid: str) -> None:
    """RULES A2: our own reads must not mark the study again; on 1.12 the DICOMweb plugin's cache does follow
    StableSeries, as UpdatedAttachment of the series, which is not wanted."""
    archive = counted.archive
    since = archive.high_water_mark()
    answer = orthanc.upload_all(make_study(study_uid=study_uid, instances=2))[0]
    study, series = answer["ParentStudy"], answer["ParentSeries"]
    last = "UpdatedAttachment" if orthanc.version.startswith("1.12") else "StableSeries"
    seen = lambda: {each.change_type for each in changes_of(archive, since, ids={study, series})}  # noqa: E731
    wait_until(lambda: {last, "StableStudy"} <= seen(), timeout=60, what=last)
    settled = archive.high_water_mark()
    archive.read_study(study)
    archive.read_registered(study)
    ids = {study, series, *(each.orthanc_id for each in archive.read_study(study).instances)}
    assert changes_of(archive, settled, ids=ids) == []
    cached = [each for each in changes_of(archive, since, ids=ids) if each.change_type == "UpdatedAttachment"]
    assert wanted_ids(cached) == frozenset()


def test_the_inventory_lists_each_study_once(orthanc: Archive, counted: Counted, study_uid: str) -> None:
    """RULES A1, A8."""
    study = stored(orthanc, make_study(study_uid=study_uid))
    found = [each for each in counted.archive.inventory() if each.orthanc_id == study]
    assert [(each.study_uid, each.study_date) for each in found] == [(study_uid, "20240102")]
    assert found[0].last_update


ODD_WORDS = (
    {"StudyDescription": b" both sides  ", "AccessionNumber": b"A1  "},
    {"StudyDescription": b"x" * 400, "PatientName": ("\u6f22" * 60 + "=" + "\u304b" * 60).encode()},
    {"SpecificCharacterSet": "ISO_IR 100", "PatientName": "M\u00fcller^J\u00f6rg".encode("latin-1")},
    {"SpecificCharacterSet": "ISO_IR 13", "PatientName": b"D\\EF"},
    {"OtherPatientIDs": ["A", "B"], "RequestingPhysician": ["X^Y", "Z"], "TimezoneOffsetFromUTC": "+0100"},
    {"PatientName": "", "PatientSex": "", "StudyDate": "", "StudyTime": ""},
    {"patient_id": "SAME", "PatientName": "One^A"},
    {"patient_id": "SAME", "PatientName": "Two^B"},
)


def digests(archive: OrthancArchive) -> dict[OrthancId, str | None]:
    """Of every study; however one asks for it, it is the same one."""
    listed = {one.orthanc_id: one.tags_digest for one in archive.inventory()}
    assert {one: archive.study(one).tags_digest for one in listed} == listed
    assert {one.orthanc_id: one.tags_digest for one in archive.studies_of(listed)} == listed
    return listed


def test_the_same_words_are_the_same_digest_in_both_versions(new_orthanc: Start, reach: Reach) -> None:
    """RULES A8: an Orthanc that is upgraded, or indexed anew by another version, marks no study; header, page and bulk
    answer agree on odd values and on pydicom's files."""
    files = [make_instance(study_uid=uid("words", number), **said) for number, said in enumerate(ODD_WORDS)]
    files += [path.read_bytes() for path in pydicom_files()]
    old, new = new_orthanc(version=VERSIONS[0]), new_orthanc(version=VERSIONS[1])
    assert len(old.upload_all(files)) == len(new.upload_all(files))
    told = digests(reach(connection(old)))
    assert len(told) > 30
    assert digests(reach(connection(new))) == told

    if not (isinstance(old.process, Orthanc) and isinstance(new.process, Orthanc)):
        return  # an index can be handed over only natively
    old.stop()
    new.stop()
    storage = new.process.directory / "storage"
    shutil.rmtree(storage)
    shutil.copytree(old.process.directory / "storage", storage)
    new.start()
    assert digests(reach(connection(new))) == told


def test_registered_costs_three_calls(orthanc: Archive, counted: Counted, study_uid: str) -> None:
    """RULES A6: header, `/series`, tags of one instance; not that of a KO."""
    key_objects = make_study(study_uid=study_uid, modality="KO")
    study = stored(orthanc, [*key_objects, *make_study(study_uid=study_uid, instances=3, AccessionNumber="ACC-7")])
    raw = counted.archive.read_registered(study)
    assert counted.outcomes == ["ok"] * 3
    assert sorted(str(each.tags["0008,0060"]) for each in raw.series) == ["CT", "KO"]
    assert raw.instances[0].tags["0008,0050"] == "ACC-7"
    assert raw.header.study_uid == study_uid
    assert raw.header.main_tags["0010,0020"] == "SYN-1"


def test_wrong_credentials_name_the_settings(orthanc: Archive, reach: Reach) -> None:
    """What is wrong, and what to do."""
    with pytest.raises(Unsuitable, match="SYNCD_ARCHIVES__MAIN__PASSWORD"):
        reach(connection(orthanc, password="not it")).info()


def test_a_web_page_is_not_the_rest_api(orthanc: Archive, reach: Reach) -> None:
    """HTML instead of JSON, or another path of the same server."""
    astray = ArchiveConnection(
        name=ArchiveName("main"), url=orthanc.url + "/app", username=orthanc.username, password=orthanc.password
    )
    with pytest.raises(Unsuitable, match="SYNCD_ARCHIVES__MAIN__URL"):
        reach(astray).info()


def test_the_server_says_what_it_is(orthanc_version: str, new_orthanc: Start, reach: Reach) -> None:
    """README.md: the derived DICOMweb root follows the plugin's configuration, and is empty without the plugin."""
    elsewhere = reach(connection(new_orthanc(orthanc_version, options={"DicomWeb": {"Root": "/pacs/web/"}})))
    without = reach(connection(new_orthanc(orthanc_version, dicomweb=False)))
    assert elsewhere.info().dicomweb_root == "/pacs/web"
    assert without.info().dicomweb_root == ""
    assert elsewhere.info().storage_capabilities.get("HasExtendedFind", False) is orthanc_version.startswith("1.12")


def test_a_site_that_cuts_finds_loses_no_instance(
    orthanc_version: str, new_orthanc: Start, reach: Reach, study_uid: str
) -> None:
    """RULES A7: LimitFindInstances cuts silently; the pass pages on."""
    orthanc = new_orthanc(orthanc_version, options={"LimitFindInstances": 10, "LimitFindResults": 10})
    study = stored(orthanc, make_study(study_uid=study_uid, series=2, instances=14))
    assert len(reach(connection(orthanc)).read_study(study).instances) == 28


def test_every_real_file_is_read(orthanc_version: str, new_orthanc: Start, reach: Reach) -> None:
    """docs/cases.md: real DICOM of many modalities, some with dirty values: each study is read whole, as Orthanc counts
    it."""
    orthanc = new_orthanc(orthanc_version)
    orthanc.upload_all([path.read_bytes() for path in pydicom_files()])
    archive = reach(connection(orthanc))
    read = [archive.read_study(listing.orthanc_id) for listing in archive.inventory()]
    counts = orthanc.get("/statistics")
    assert len(read) == counts["CountStudies"] > 30
    assert sum(len(raw.series) for raw in read) == counts["CountSeries"]
    assert sum(len(raw.instances) for raw in read) == counts["CountInstances"]
    assert all(raw.header.study_uid and raw.instances[0].sop_class_uid for raw in read)


def test_the_archives_clock_is_told_in_utc(counted: Counted) -> None:
    """README.md, check: clock skew; `/tools/now` cuts to whole seconds."""
    before = int(time.time())
    said = counted.archive.clock()
    assert before <= said <= time.time()
