"""docs/orthanc.md's table of the change feed, one test per row; where the versions differ, each is held to its own column.

`server` is the archive under test (`ArchiveUnderTest`), for these tests alone. Each leaves it empty, but its numbers go
on, so everything is said of what came after a mark.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contracts.archive import HUGE, ArchiveClient, ArchiveUnderTest, Entry

NEW_STUDY = ["NewInstance", "NewSeries", "NewStudy", "NewPatient"]
STABLE = ["StableSeries", "StableStudy", "StablePatient"]
KEEP_UIDS = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]


@pytest.fixture
def archive(server: ArchiveUnderTest) -> Iterator[ArchiveClient]:
    client = ArchiveClient(server)
    yield client
    client.close()


class FeedContract:
    """`GET /changes`, and what writes to it."""

    def test_since_is_exclusive(self, archive: ArchiveClient) -> None:
        """RULES A3: a page begins behind `since`, and its numbers rise."""
        mark = archive.high_water()
        archive.upload(archive.new_uid())
        numbers = [one["Seq"] for one in archive.changes(mark)]
        assert numbers == list(range(mark + 1, mark + 5))
        assert [one["Seq"] for one in archive.changes(mark + 1)] == numbers[1:]

    def test_a_page_says_where_to_go_on_and_whether_it_is_the_last(self, archive: ArchiveClient) -> None:
        """RULES A3: `Last` is the page's last number; a page that is full and complete is `Done`."""
        mark = archive.high_water()
        archive.upload(archive.new_uid())
        first = archive.page(mark, limit=3)
        assert (len(first["Changes"]), first["Last"], first["Done"]) == (3, mark + 3, False)
        rest = archive.page(first["Last"], limit=1)
        assert (len(rest["Changes"]), rest["Last"], rest["Done"]) == (1, mark + 4, True)

    def test_a_page_has_100_entries_unless_more_are_asked_for(self, archive: ArchiveClient) -> None:
        """RULES A3: without `limit`."""
        study = archive.new_uid()
        mark = archive.high_water()
        for number in range(1, 100):
            archive.upload(study, number=number)
        page = archive.get(f"/changes?since={mark}")
        assert (len(page["Changes"]), page["Done"]) == (100, False)

    def test_an_entry_names_type_resource_and_time(self, archive: ArchiveClient) -> None:
        """RULES A3: what the overlap remembers (Seq, ChangeType, ID, Date)."""
        mark = archive.high_water()
        stored = archive.upload(archive.new_uid())
        entry = archive.changes(mark)[0]
        assert entry["ChangeType"] == "NewInstance"
        assert (entry["ResourceType"], entry["ID"], entry["Path"]) == ("Instance", stored["ID"], stored["Path"])
        assert len(entry["Date"]) == len("20240101T101112")

    def test_numbers_are_never_reused(self, archive: ArchiveClient) -> None:
        """RULES A3: after a deletion the counter goes on."""
        stored = archive.upload(archive.new_uid())
        mark = archive.high_water()
        archive.delete(f"/studies/{stored['ParentStudy']}")
        assert archive.high_water() == mark
        archive.upload(archive.new_uid())
        assert archive.changes(mark)[0]["Seq"] == mark + 1

    def test_a_new_study_logs_each_level_and_later_that_each_is_stable(self, archive: ArchiveClient) -> None:
        """RULES A2: 1.12 adds UpdatedAttachment on each series, by its DICOMweb plugin."""
        mark, study = archive.high_water(), archive.new_uid()
        stored = archive.upload(study)
        archive.upload(study, number=2)
        assert archive.types_of(mark) == [*NEW_STUDY, "NewInstance"]
        assert archive.get(f"/studies/{stored['ParentStudy']}")["IsStable"] is False
        archive.wait_stable(stored["ParentStudy"], since=mark)
        cached = ["UpdatedAttachment"] if archive.modern else []
        assert archive.types_of(mark) == [*NEW_STUDY, "NewInstance", *STABLE, *cached]
        assert archive.get(f"/studies/{stored['ParentStudy']}")["IsStable"] is True
        attached = [one["ID"] for one in archive.changes(mark) if one["ChangeType"] == "UpdatedAttachment"]
        assert attached == [stored["ParentSeries"]] * len(cached)

    def test_a_late_instance_of_a_known_series_logs_only_itself_until_stable_again(self, archive: ArchiveClient) -> None:
        """RULES A2: NewInstance is the only durable word of it."""
        mark, study = archive.high_water(), archive.new_uid()
        stored = archive.upload(study)
        archive.wait_stable(stored["ParentStudy"], since=mark)
        mark = archive.high_water()
        archive.upload(study, number=2)
        assert archive.types_of(mark) == ["NewInstance"]
        assert archive.get(f"/studies/{stored['ParentStudy']}")["IsStable"] is False
        archive.wait_stable(stored["ParentStudy"], since=mark)
        assert archive.types_of(mark)[:4] == ["NewInstance", *STABLE]

    @pytest.mark.parametrize("level", ["studies", "series", "instances"])
    def test_a_deletion_logs_nothing_and_takes_its_earlier_entries_along(self, archive: ArchiveClient, level: str) -> None:
        """RULES A3: entries vanish from the feed; what was above stays."""
        mark, study = archive.high_water(), archive.new_uid()
        kept = archive.upload(study)
        gone = archive.upload(study, series=2)
        ids = {"studies": gone["ParentStudy"], "series": gone["ParentSeries"], "instances": gone["ID"]}
        before = archive.changes(mark)
        archive.delete(f"/{level}/{ids[level]}")
        # An emptied series goes with its last instance, an emptied study and patient likewise.
        left = [] if level == "studies" else [one for one in before if one["ID"] not in (gone["ID"], gone["ParentSeries"])]
        assert archive.changes(mark) == left
        assert archive.high_water() == before[-1]["Seq"]
        assert archive.ask("GET", kept["Path"]).status_code == (404 if level == "studies" else 200)
        assert archive.ask("GET", f"/series/{gone['ParentSeries']}").status_code == 404

    def test_an_empty_page_gives_the_highest_number_ever(self, archive: ArchiveClient) -> None:
        """RULES A3: `since=<huge>` is the high-water mark, also after deletions and an emptied log."""
        stored = archive.upload(archive.new_uid())
        mark = archive.high_water()
        assert archive.page(HUGE, limit=1) == {"Changes": [], "Done": True, "Last": mark}
        archive.delete(f"/studies/{stored['ParentStudy']}")
        assert archive.high_water() == mark
        archive.delete("/changes")
        assert archive.high_water() == mark

    def test_an_empty_page_below_the_cursor_means_another_or_a_wiped_index(self, archive: ArchiveClient) -> None:
        """RULES A4: that is a suspicion; the number alone cannot tell the two apart."""
        archive.upload(archive.new_uid())
        cursor = archive.high_water()
        other = ArchiveClient(archive.server.sibling())
        assert other.page(cursor) == {"Changes": [], "Done": True, "Last": 0}
        other.upload(other.new_uid())
        other.server.wipe()
        assert other.page(cursor) == {"Changes": [], "Done": True, "Last": 0}
        other.close()

    def test_last_is_what_is_still_there_and_goes_back(self, archive: ArchiveClient) -> None:
        """docs/orthanc.md: `/changes?last` is never the cursor's measure."""
        archive.upload(archive.new_uid())
        before = archive.get("/changes?last")["Last"]
        stored = archive.upload(archive.new_uid())
        mark = archive.high_water()
        assert archive.get("/changes?last")["Last"] == mark > before
        archive.delete(f"/studies/{stored['ParentStudy']}")
        assert archive.get("/changes?last")["Last"] < mark
        assert archive.high_water() == mark

    def test_killed_before_stable_no_event_ever_says_so(self, archive: ArchiveClient) -> None:
        """RULES A5: after the restart `IsStable` is true and StableStudy does not come."""
        stored = archive.upload(archive.new_uid())
        path = f"/studies/{stored['ParentStudy']}"
        assert archive.get(path)["IsStable"] is False
        mark = archive.high_water()
        archive.server.kill_and_restart()
        assert archive.get(path)["IsStable"] is True
        # Another study becomes stable after it: what was to come would have come by then.
        later = archive.upload(archive.new_uid())
        archive.wait_stable(later["ParentStudy"], since=mark)
        assert archive.types_of(mark, stored["ParentStudy"]) == []
        assert archive.get(stored["Path"])["ID"] == stored["ID"]

    @pytest.mark.parametrize("level", ["series", "instances"])
    def test_a_deletion_moves_last_update_only_in_1_12(self, archive: ArchiveClient, level: str) -> None:
        """RULES A8: on 1.10 only the counts show that something is gone."""
        study = archive.new_uid()
        stored = archive.upload(study)
        gone = archive.upload(study, series=2)
        path = f"/studies/{stored['ParentStudy']}"
        before = archive.get(path)["LastUpdate"]
        archive.wait_for_the_next_second(after=before)
        archive.delete(f"/series/{gone['ParentSeries']}" if level == "series" else gone["Path"])
        after = archive.get(path)
        assert (after["LastUpdate"] > before) is archive.modern
        assert after["Series"] == [stored["ParentSeries"]]

    def test_last_update_moves_with_a_new_instance(self, archive: ArchiveClient) -> None:
        """RULES A7: it has a resolution of one second."""
        study = archive.new_uid()
        path = f"/studies/{archive.upload(study)['ParentStudy']}"
        before = archive.get(path)["LastUpdate"]
        archive.wait_for_the_next_second(after=before)
        archive.upload(study, number=2)
        assert archive.get(path)["LastUpdate"] > before

    @pytest.mark.parametrize("level", ["studies", "series", "instances"])
    def test_put_metadata_logs_updated_metadata(self, archive: ArchiveClient, level: str) -> None:
        """RULES A2: and moves no LastUpdate."""
        stored = archive.upload(archive.new_uid())
        ids = {"studies": stored["ParentStudy"], "series": stored["ParentSeries"], "instances": stored["ID"]}
        mark = archive.high_water()
        assert archive.ask("PUT", f"/{level}/{ids[level]}/metadata/1024", data="x").status_code == 200
        assert archive.types_of(mark, ids[level])[:1] == ["UpdatedMetadata"]
        assert archive.get(f"/{level}/{ids[level]}/metadata?expand")["1024"] == "x"

    def test_reconstruct_and_a_repeated_upload_log_nothing(self, archive: ArchiveClient) -> None:
        """RULES A2: nor does the repeated instance make the study unstable again."""
        mark, study = archive.high_water(), archive.new_uid()
        stored = archive.upload(study)
        archive.wait_stable(stored["ParentStudy"], since=mark)
        mark = archive.high_water()
        assert archive.ask("POST", f"/studies/{stored['ParentStudy']}/reconstruct", data="{}").status_code == 200
        assert archive.upload(study)["Status"] == "AlreadyStored"
        assert archive.high_water() == mark
        assert archive.get(f"/studies/{stored['ParentStudy']}")["IsStable"] is True

    def test_new_words_of_old_instances_reach_the_index_by_reconstruct_alone(self, archive: ArchiveClient) -> None:
        """RULES A8: with OverwriteInstances the instances are logged, and the study keeps its words; reconstruct gives it
        the new ones, and neither logs anything nor moves LastUpdate."""
        other = ArchiveClient(archive.server.sibling(overwrites=True))
        try:
            study, mark = other.new_uid(), other.high_water()
            old = {"StudyDescription": "Old", "PatientName": "Old^Name", "SeriesDescription": "Old"}
            new = {"StudyDescription": "New", "PatientName": "New^Name", "SeriesDescription": "New"}
            stored = other.upload(study, number=1, **old)
            other.upload(study, number=2, **old)
            path, series = f"/studies/{stored['ParentStudy']}", f"/series/{stored['ParentSeries']}"
            other.wait_stable(stored["ParentStudy"], since=mark)
            before, mark = other.get(path), other.high_water()
            other.wait_for_the_next_second(after=before["LastUpdate"])
            assert [other.upload(study, number=number, **new)["Status"] for number in (1, 2)] == ["Success", "Success"]
            assert other.types_of(mark) == ["NewInstance", "NewInstance"]
            other.wait_stable(stored["ParentStudy"], since=mark)
            resent, mark = other.get(path), other.high_water()
            assert resent["LastUpdate"] > before["LastUpdate"]
            assert _words(resent) == _words(before) == ("Old", "Old^Name")
            other.wait_for_the_next_second(after=resent["LastUpdate"])
            assert other.ask("POST", f"{path}/reconstruct", data="{}").status_code == 200
            assert _words(other.get(path)) == ("New", "New^Name")
            assert other.get(series)["MainDicomTags"]["SeriesDescription"] == "New"
            assert (other.get(path)["LastUpdate"], other.high_water()) == (resent["LastUpdate"], mark)
        finally:
            other.close()

    def test_the_only_instance_sent_again_makes_a_new_study(self, archive: ArchiveClient) -> None:
        """RULES A8: OverwriteInstances deletes it first, and the empty study with it; the new one has the new words."""
        other = ArchiveClient(archive.server.sibling(overwrites=True))
        try:
            study = other.new_uid()
            stored = other.upload(study, StudyDescription="Old", PatientName="Old^Name")
            mark = other.high_water()
            assert other.upload(study, StudyDescription="New", PatientName="New^Name")["Status"] == "Success"
            assert other.types_of(mark)[:4] == NEW_STUDY
            assert _words(other.get(f"/studies/{stored['ParentStudy']}")) == ("New", "New^Name")
        finally:
            other.close()

    def test_delete_changes_empties_the_log_and_the_counter_goes_on(self, archive: ArchiveClient) -> None:
        """docs/cases.md: an emptied log is not a reset."""
        archive.upload(archive.new_uid())
        mark = archive.high_water()
        archive.delete("/changes")
        assert archive.page(0) == {"Changes": [], "Done": True, "Last": mark}
        archive.upload(archive.new_uid())
        assert archive.changes(0)[0]["Seq"] == mark + 1

    def test_a_filter_by_type_works_only_in_1_12(self, archive: ArchiveClient) -> None:
        """docs/orthanc.md: 1.10 ignores it; `Capabilities.HasExtendedChanges` tells."""
        mark = archive.high_water()
        archive.upload(archive.new_uid())
        asked = {
            "&type=NewStudy": ["NewStudy"],
            "&type=NewStudy;NewInstance": ["NewInstance", "NewStudy"],
            f"&to={mark + 2}": NEW_STUDY[:2],
        }
        for more, expected in asked.items():
            types = [one["ChangeType"] for one in archive.page(mark, more=more)["Changes"]]
            assert types == (expected if archive.modern else NEW_STUDY), more
        capabilities = archive.get("/system").get("Capabilities", {})
        assert capabilities.get("HasExtendedChanges", False) is archive.modern

    def test_a_changed_patient_id_is_refused_or_becomes_another_orthanc_id(self, archive: ArchiveClient) -> None:
        """RULES D1: 1.12 keeps the StudyInstanceUID; the old id disappears without an event."""
        study = archive.new_uid()
        stored = archive.upload(study)
        old, mark = stored["ParentStudy"], archive.high_water()
        asked = {"Replace": {"PatientID": "OTHER"}, "Keep": KEEP_UIDS, "Force": True, "KeepSource": False}
        answer = archive.ask("POST", f"/studies/{old}/modify", json=asked)
        if not archive.modern:
            assert answer.status_code == 400
            assert archive.get(f"/studies/{old}")["PatientMainDicomTags"]["PatientID"] != "OTHER"
            return
        new = answer.json()["ID"]
        assert new != old
        assert archive.ask("GET", f"/studies/{old}").status_code == 404
        assert archive.types_of(mark)[:4] == NEW_STUDY
        assert archive.types_of(mark, old) == []
        assert [one["ID"] for one in archive.post("/tools/lookup", study)] == [new]
        shown = archive.get(f"/studies/{new}")
        assert shown["ModifiedFrom"] == old
        assert shown["PatientMainDicomTags"]["PatientID"] == "OTHER"

    def test_one_study_uid_under_two_patients_is_two_orthanc_studies(self, archive: ArchiveClient) -> None:
        """RULES C8: lookup returns both."""
        study = archive.new_uid()
        one = archive.upload(study, patient_id="A")["ParentStudy"]
        other = archive.upload(study, patient_id="B")["ParentStudy"]
        found = archive.post("/tools/lookup", study)
        assert {(entry["ID"], entry["Type"]) for entry in found} == {(one, "Study"), (other, "Study")}
        assert one != other

    def test_the_database_server_identifier_survives_a_wiped_index(self, archive: ArchiveClient) -> None:
        """RULES A4: so it is not the identity of the index; another port has another one; 1.10 has none."""
        own = archive.get("/system").get("DatabaseServerIdentifier")
        assert (own is not None) is archive.modern
        other = ArchiveClient(archive.server.sibling())
        before = other.get("/system").get("DatabaseServerIdentifier")
        assert (before == own) is not archive.modern
        other.server.wipe()
        assert other.get("/studies") == []
        assert other.get("/system").get("DatabaseServerIdentifier") == before
        other.close()

    def test_the_number_of_instances_comes_with_the_study_only_in_1_12(self, archive: ArchiveClient) -> None:
        """RULES A7: `requested-tags` spares the fourth call."""
        study = archive.new_uid()
        archive.upload(study)
        path = f"/studies/{archive.upload(study, series=2)['ParentStudy']}"
        shown = archive.get(f"{path}?requested-tags=NumberOfStudyRelatedInstances")
        assert shown.get("RequestedTags") == ({"NumberOfStudyRelatedInstances": "2"} if archive.modern else None)
        assert archive.get(f"{path}/statistics")["CountInstances"] == 2

    def test_a_label_logs_nothing_and_moves_no_last_update(self, archive: ArchiveClient) -> None:
        """RULES A8: labels come with `/studies?expand`; 1.10 has none."""
        stored = archive.upload(archive.new_uid())
        path, mark = f"/studies/{stored['ParentStudy']}", archive.high_water()
        before = archive.get(path)
        archive.wait_for_the_next_second(after=before["LastUpdate"])
        answer = archive.ask("PUT", f"{path}/labels/checked")
        assert answer.status_code == (200 if archive.modern else 404)
        assert "UpdatedMetadata" not in archive.types_of(mark, stored["ParentStudy"])
        shown = {one["ID"]: one for one in archive.get("/studies?expand")}[stored["ParentStudy"]]
        assert shown["LastUpdate"] == before["LastUpdate"]
        assert shown.get("Labels") == (["checked"] if archive.modern else None)


def _words(study: Entry) -> tuple[str, str]:
    return study["MainDicomTags"]["StudyDescription"], study["PatientMainDicomTags"]["PatientName"]
