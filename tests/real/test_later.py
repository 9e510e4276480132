"""What comes later to a published study: instances, series, documents; also while syncd was down."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.proxy import Drop
from tests.real.installation import Installation, further, study
from tests.servers import Archive, FhirServer


@pytest.fixture(scope="module")
def site(either: Archive, tmp_path_factory: pytest.TempPathFactory, hapi: FhirServer) -> Iterator[Installation]:
    """A running daemon before an Orthanc of its own. Each test has studies of its own."""
    directory = tmp_path_factory.mktemp("later")
    with Installation(directory, archive=either, fhir=hapi) as installation:
        installation.syncd.start()
        yield installation


@pytest.fixture
def running(site: Installation) -> Installation:
    """The same, with the daemon running whatever the test before did."""
    if not site.syncd.is_running:
        site.syncd.start()
    return site


@pytest.mark.quick("1.10.1")
def test_a_late_instance_of_a_known_series_is_counted(running: Installation) -> None:
    """RULES A2 and docs/cases.md "late instances to a known study, known series": only a NewInstance event tells of it."""
    words = f"late {running.archive.version}"
    study_uid = _published(running, words)
    before = len(running.puts(study_uid))
    since = running.archive.last_change()
    running.send(further(words, number=3))
    running.wait_for(study_uid, instances=3)
    running.wait_settled()
    assert len(running.puts(study_uid)) == before + 1
    assert running.statuses(study_uid)[-1] == "available"
    assert "registered" not in running.statuses(study_uid)[before:]
    new = [one["ChangeType"] for one in running.archive.get(f"/changes?since={since}&limit=100")["Changes"]]
    assert "NewInstance" in new
    assert not {"NewSeries", "NewStudy"} & set(new)


@pytest.mark.quick("1.10.1")
def test_a_late_instance_sent_while_syncd_was_down_is_counted(running: Installation) -> None:
    """RULES A2, A3: the cursor survives a restart, also a kill."""
    words = f"late while down {running.archive.version}"
    study_uid = _published(running, words)
    before = len(running.puts(study_uid))
    running.syncd.stop()
    running.send(further(words, number=3))
    running.syncd.start()
    running.wait_for(study_uid, instances=3)
    running.syncd.kill()
    running.send(further(words, number=4))
    running.syncd.start()
    running.wait_for(study_uid, instances=4)
    running.wait_settled()
    assert len(running.puts(study_uid)) == before + 2
    assert set(running.statuses(study_uid)[before:]) == {"available"}


@pytest.mark.quick("1.10.1")
def test_a_late_instance_is_counted_when_the_archive_was_restarted(running: Installation) -> None:
    """docs/cases.md "across a restart of either side": killed right after it took the instance."""
    words = f"late, then killed {running.archive.version}"
    study_uid = _published(running, words)
    before = len(running.puts(study_uid))
    running.send(further(words, number=3))
    running.archive.kill()
    running.archive.start()
    running.wait_for(study_uid, instances=3)
    running.wait_settled()
    assert len(running.puts(study_uid)) == before + 1


@pytest.mark.quick("1.10.1")
def test_a_late_series_updates_modality_and_counts(running: Installation) -> None:
    """RULES A6, MAPPING F.3: key objects and reports are series of the study like any other."""
    words = {modality: f"late {modality} {running.archive.version}" for modality in ("KO", "SR", "MR")}
    uids = dict(zip(words, _all_published(running, *words.values()), strict=True))
    before = {modality: len(running.puts(uids[modality])) for modality in words}
    for modality, said in words.items():
        title = _titled("113000") if modality == "KO" else {}
        running.send(further(said, modality=modality, series=7, **title))
    running.wait_for(*uids.values(), instances=3)
    running.wait_settled()
    for modality, study_uid in uids.items():
        found = running.resource(study_uid)
        assert found is not None
        assert found["status"] == "available"
        assert found["numberOfSeries"] == 2
        assert {one["code"] for one in found["modality"]} == {"CT", modality}
        assert {one["modality"]["code"]: one["numberOfInstances"] for one in found["series"]} == {"CT": 2, modality: 1}
        assert len(running.puts(study_uid)) == before[modality] + 1


@pytest.mark.quick("1.10.1")
def test_changes_that_vanished_before_they_were_read_cause_one_inventory(running: Installation) -> None:
    """RULES A3: Orthanc deletes a study's entries with it; the feed ends below its own highest number."""
    before = len(running.syncd.events("inventory_taken"))
    rule = running.before_archive.fail(Drop(), path="^/changes")
    _, files = study(f"vanished {running.archive.version}")
    running.send(*files)
    for orthanc_id in running.archive.study_ids(study(f"vanished {running.archive.version}")[0]):
        running.archive.delete(f"/studies/{orthanc_id}")
    running.before_archive.remove_rule(rule)
    running.syncd.wait(lambda: len(running.syncd.events("inventory_taken")) > before, what="an inventory", timeout=60)
    running.wait_settled()
    # Asked for at every poll (0.2 s) meanwhile; one that ends beside a poll may be asked for once more.
    assert len(running.syncd.events("inventory_taken")) <= before + 2


@pytest.mark.quick("1.10.1")
def test_both_sides_are_equal_after_all_that(running: Installation) -> None:
    """The oracle, over every study of the tests above."""
    _published(running, f"last {running.archive.version}")
    running.assert_equal()


def _published(site: Installation, words: str) -> str:
    return _all_published(site, words)[0]


def _all_published(site: Installation, *words: str) -> list[str]:
    """Studies of two instances, available."""
    made = [study(each, instances=2) for each in words]
    for _, files in made:
        site.send(*files)
    uids = [study_uid for study_uid, _ in made]
    site.wait_for(*uids, instances=2)
    site.wait_settled()
    return uids


def _titled(code: str) -> dict[str, Any]:
    """The title of a key object selection document (PS3.3 C.17.6.2.1, CID 7010)."""
    title = {"CodeValue": code, "CodingSchemeDesignator": "DCM", "CodeMeaning": "A title"}
    return {"ConceptNameCodeSequence": [title], "ValueType": "CONTAINER"}
