"""docs/orthanc.md, "Reading cheaply": the calls that a snapshot, the inventory and D1 are made of.

Only what is answered, never how fast. DICOMweb and `instances-tags` are left to the real servers.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.contracts.archive import ArchiveClient, ArchiveUnderTest, Entry
from tests.dicom import make_instance

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
FIND_LIMIT = 4
"""The archive under test has LimitFindInstances and LimitFindResults set to this."""


class ReadingContract:
    """Studies, series, instances, bulk reads, lookups; `archive` is the fixture of `orthanc_contract`."""

    def _study(self, archive: ArchiveClient) -> tuple[str, str, list[dict[str, Any]]]:
        """Two series of two and one instances: UID, Orthanc id, the answers to the uploads."""
        uid = archive.new_uid()
        stored = [
            archive.upload(uid, sop_class=SECONDARY_CAPTURE),
            archive.upload(uid, number=2, sop_class=SECONDARY_CAPTURE),
            archive.upload(uid, series=2, sop_class=SECONDARY_CAPTURE, modality="OT"),
        ]
        return uid, stored[0]["ParentStudy"], stored

    def test_a_study_shows_uid_patient_series_and_stability(self, archive: ArchiveClient) -> None:
        """RULES A6, A7: what every reconcile begins with."""
        uid, study, stored = self._study(archive)
        shown = archive.get(f"/studies/{study}")
        assert shown["MainDicomTags"]["StudyInstanceUID"] == uid
        assert "PatientID" in shown["PatientMainDicomTags"]
        assert shown["ParentPatient"] == stored[0]["ParentPatient"]
        assert sorted(shown["Series"]) == sorted({one["ParentSeries"] for one in stored})
        assert shown["Type"] == "Study"
        assert {"IsStable", "LastUpdate"} <= set(shown)

    def test_bulk_content_gives_every_instance_with_its_sop_class(self, archive: ArchiveClient) -> None:
        """RULES A7: one call for a study, sorted by id."""
        _, study, stored = self._study(archive)
        asked = {"Resources": [study], "Level": "Instance", "Metadata": True}
        found = archive.post("/tools/bulk-content", asked)
        assert [one["ID"] for one in found] == sorted(one["ID"] for one in stored)
        for one in found:
            assert one["Metadata"]["SopClassUid"] == SECONDARY_CAPTURE
            assert {"SOPInstanceUID", "InstanceNumber"} <= set(one["MainDicomTags"])
            assert one["ParentSeries"] in {other["ParentSeries"] for other in stored}
            assert one["IndexInSeries"] in (1, 2)

    def test_bulk_content_tells_the_studies_of_instances_and_leaves_unknown_ids_out(self, archive: ArchiveClient) -> None:
        """RULES A2: one call maps a page's instances and series to studies."""
        _, study, stored = self._study(archive)
        ids = [one["ID"] for one in stored] + [stored[2]["ParentSeries"], study, "unknown"]
        found = archive.post("/tools/bulk-content", {"Resources": ids, "Level": "Study"})
        assert [(one["ID"], one["Type"]) for one in found] == [(study, "Study")]
        assert archive.post("/tools/bulk-content", {"Resources": ["unknown"], "Level": "Study"}) == []

    def test_find_gives_metadata_only_in_1_12(self, archive: ArchiveClient) -> None:
        """RULES A7: 1.10 ignores ResponseContent and answers ids."""
        uid, _, stored = self._study(archive)
        content = ["MainDicomTags", "Metadata", "Parent"]
        asked = {"Level": "Instance", "Query": {"StudyInstanceUID": uid}, "ResponseContent": content}
        found = archive.post("/tools/find", asked)
        if not archive.modern:
            assert sorted(found) == sorted(one["ID"] for one in stored)
            return
        assert {one["ID"]: one["ParentSeries"] for one in found} == {one["ID"]: one["ParentSeries"] for one in stored}
        assert {one["Metadata"]["SopClassUid"] for one in found} == {SECONDARY_CAPTURE}

    @pytest.mark.parametrize("level", ["Instance", "Series"])
    def test_find_is_silently_cut_by_the_sites_limits(self, archive: ArchiveClient, level: str) -> None:
        """RULES A7: HTTP 200, `Limit` ignored; 1.10 gives one more than the limit."""
        uid = self._large_study(archive)
        found = archive.post("/tools/find", {"Level": level, "Query": {"StudyInstanceUID": uid}, "Limit": 100})
        assert len(found) == FIND_LIMIT if archive.modern else FIND_LIMIT + 1

    def test_paging_through_find_is_complete_only_in_1_12(self, archive: ArchiveClient) -> None:
        """RULES A7: 1.10 cuts before it pages, so `Since` never gets behind the limit."""
        uid = self._large_study(archive)
        asked = {"Level": "Instance", "Query": {"StudyInstanceUID": uid}, "Limit": FIND_LIMIT}
        found: list[str] = []
        while page := archive.post("/tools/find", {**asked, "Since": len(found)}):
            found += page
        assert len(set(found)) == len(found) == (2 * FIND_LIMIT + 1 if archive.modern else FIND_LIMIT + 1)

    def test_bulk_content_is_not_cut(self, archive: ArchiveClient) -> None:
        """RULES A7: LimitFind* do not touch it."""
        uid = self._large_study(archive)
        [study] = archive.post("/tools/lookup", uid)
        found = archive.post("/tools/bulk-content", {"Resources": [study["ID"]], "Level": "Instance"})
        assert len(found) == 2 * FIND_LIMIT + 1

    def test_the_instances_of_a_study_come_without_sop_class(self, archive: ArchiveClient) -> None:
        """docs/orthanc.md: `/studies/{id}/instances` is cheap and lacks it."""
        _, study, stored = self._study(archive)
        found = archive.get(f"/studies/{study}/instances")
        assert {one["ID"] for one in found} == {one["ID"] for one in stored}
        assert all("Metadata" not in one and "SOPClassUID" not in one["MainDicomTags"] for one in found)

    def test_the_series_of_a_study_come_in_full(self, archive: ArchiveClient) -> None:
        """RULES A6: one call, whatever the version."""
        _, study, stored = self._study(archive)
        found = {one["ID"]: one for one in archive.get(f"/studies/{study}/series")}
        assert set(found) == {one["ParentSeries"] for one in stored}
        second = found[stored[2]["ParentSeries"]]
        assert (second["MainDicomTags"]["Modality"], second["ParentStudy"]) == ("OT", study)
        assert second["Instances"] == [stored[2]["ID"]]
        assert archive.get(f"/series/{stored[2]['ParentSeries']}") == second

    def test_the_sop_class_of_one_instance_is_plain_text(self, archive: ArchiveClient) -> None:
        """docs/orthanc.md: what a script asks once per instance."""
        stored = archive.upload(archive.new_uid(), sop_class=SECONDARY_CAPTURE)
        assert archive.ask("GET", f"{stored['Path']}/metadata/SopClassUid").text == SECONDARY_CAPTURE
        assert archive.ask("GET", f"{stored['Path']}/metadata/Nothing").status_code == 404

    def test_the_full_tags_of_an_instance(self, archive: ArchiveClient) -> None:
        """RULES A7: texts as in the file, several values by a backslash, sequences as lists, too long ones null."""
        item = {"CodeValue": "T-1", "CodingSchemeDesignator": "99X", "CodeMeaning": "Lung"}
        stored = archive.upload(
            archive.new_uid(),
            SpecificCharacterSet="ISO_IR 100",
            InstitutionName="Krankenhaus Süd",
            ImageType=["ORIGINAL", "PRIMARY"],
            AnatomicRegionSequence=[item],
            ReferencedPerformedProcedureStepSequence=[],
            DerivationDescription="x" * 300,
            PatientBirthDate="",
        )
        short = archive.get(f"{stored['Path']}/tags?short")
        assert short["0008,0080"] == "Krankenhaus Süd"
        assert short["0008,0008"] == "ORIGINAL\\PRIMARY"
        assert short["0008,2218"] == [{"0008,0100": "T-1", "0008,0102": "99X", "0008,0104": "Lung"}]
        assert short["0008,1111"] == []
        assert short["0008,2111"] is None
        assert short["0010,0030"] == ""
        simple = archive.get(f"{stored['Path']}/simplified-tags")
        assert simple["ImageType"] == "ORIGINAL\\PRIMARY"
        assert simple["AnatomicRegionSequence"] == [item]
        whole = archive.get(f"{stored['Path']}/tags")
        assert whole["0008,0008"] == {"Name": "ImageType", "Type": "String", "Value": "ORIGINAL\\PRIMARY"}

    def test_what_all_images_of_a_series_share(self, archive: ArchiveClient) -> None:
        """RULES B9: plain values only; a sequence, and a text above 256 bytes, are shared by none, whatever is asked."""
        uid, long = archive.new_uid(), "x" * 300
        item = {"CodeValue": "T-1", "CodingSchemeDesignator": "99X", "CodeMeaning": "Lung"}
        same = {"AnatomicRegionSequence": [item], "DerivationDescription": long, "BodyPartExamined": "CHEST"}
        archive.upload(uid, Laterality="L", OperatorsName="A^B", ProtocolName="", PatientComments="", **same)
        stored = archive.upload(uid, number=2, Laterality="R", ProtocolName="P", PatientComments="", **same)
        shared = archive.get(f"/series/{stored['ParentSeries']}/shared-tags?short&ignore-length=0008-2111")
        assert (shared["0018,0015"], shared["0010,4000"]) == ("CHEST", "")
        assert not shared.keys() & {"0020,0060", "0008,1070", "0008,2218", "0008,2111", "0008,0018", "0018,1030"}

    def test_what_each_image_of_a_series_says(self, archive: ArchiveClient) -> None:
        """RULES B9: one call; long texts where they are asked for."""
        uid, long = archive.new_uid(), "x" * 300
        item = {"CodeValue": "T-1", "CodingSchemeDesignator": "99X", "CodeMeaning": "Lung"}
        stored = [
            archive.upload(uid, Laterality="L", DerivationDescription=long),
            archive.upload(uid, number=2, AnatomicRegionSequence=[item], DerivationDescription=long, BodyPartExamined=""),
        ]
        series = f"/series/{stored[0]['ParentSeries']}/instances-tags?short"
        said = archive.get(f"{series}&ignore-length=0008-2111,0020-0060")
        assert said.keys() == {each["ID"] for each in stored}
        first, second = (said[each["ID"]] for each in stored)
        assert (first["0020,0060"], first["0008,2111"]) == ("L", long)
        assert (second.get("0020,0060"), second["0018,0015"]) == (None, "")
        assert second["0008,2218"] == [{"0008,0100": "T-1", "0008,0102": "99X", "0008,0104": "Lung"}]
        assert archive.get(series)[stored[0]["ID"]]["0008,2111"] is None

    def test_a_page_of_what_images_say(self, archive: ArchiveClient) -> None:
        """RULES B9: 1.12 finds tags that it does not keep. 1.10 answers ids."""
        uid = archive.new_uid()
        item = {"CodeValue": "T-1", "CodingSchemeDesignator": "99X", "CodeMeaning": "Lung"}
        stored = archive.upload(uid, Laterality="L", AnatomicRegionSequence=[item])
        asked = {
            "Level": "Instance",
            "Query": {},
            "ParentSeries": stored["ParentSeries"],
            "ResponseContent": ["RequestedTags"],
            "RequestedTags": ["0020,0060", "0008,2218", "0018,0015"],
            "Since": 0,
            "Limit": 1,
        }
        if archive.modern:
            found = {"Laterality": "L", "AnatomicRegionSequence": [item]}
            assert [(one["ID"], one["RequestedTags"]) for one in archive.post("/tools/find", asked)] == [
                (stored["ID"], found)
            ]

    @pytest.mark.parametrize(
        ("written", "charset", "cut"),
        [
            (b"a" * 256, "ISO_IR 192", False),
            (b"a" * 257, "ISO_IR 192", True),
            ("ü".encode("latin-1") * 128, "ISO_IR 100", False),
            ("ü".encode("latin-1") * 130, "ISO_IR 100", True),
            ("ü".encode() * 129, "ISO_IR 192", True),
        ],
    )
    def test_texts_above_256_bytes_are_null_and_no_main_tags(
        self, archive: ArchiveClient, written: bytes, charset: str, cut: bool
    ) -> None:
        """RULES B11: bytes in UTF-8, whatever the file's set; an empty text is no null."""
        stored = archive.upload(
            archive.new_uid(),
            SpecificCharacterSet=charset,
            StudyDescription=written,
            PatientComments="",
            SeriesDescription=b"",
        )
        tags = archive.get(f"{stored['Path']}/tags?short")
        assert (tags["0008,1030"] is None, tags["0010,4000"], tags["0008,103e"]) == (cut, "", "")
        main = archive.get(f"/studies/{stored['ParentStudy']}?short")["MainDicomTags"]
        assert ("StudyDescription" in main or "0008,1030" in main) is not cut

    def test_ignore_length_gives_whole_texts_on_every_level(self, archive: ArchiveClient) -> None:
        """RULES B11: of the attributes named only, and inside items as well."""
        item = {"RequestedProcedureDescription": "r" * 300, "ScheduledProcedureStepDescription": "s" * 300}
        stored = archive.upload(
            archive.new_uid(), StudyDescription="d" * 300, PatientComments="c" * 300, RequestAttributesSequence=[item]
        )
        tags = archive.get(f"{stored['Path']}/tags?short&ignore-length=0008-1030,0032-1060")
        assert (tags["0008,1030"], tags["0010,4000"]) == ("d" * 300, None)
        assert tags["0040,0275"] == [{"0032,1060": "r" * 300, "0040,0007": None}]
        escaped = archive.ask("GET", f"{stored['Path']}/tags?short&ignore-length=0008-1030%2C0032-1060")
        assert escaped.status_code == 500

    def test_content_gives_the_bytes_of_a_value(self, archive: ArchiveClient) -> None:
        """RULES B11: with their padding, inside items too; a sequence lists its items; 404 for what is not there."""
        item = {"RequestedProcedureDescription": "Thorax"}
        stored = archive.upload(
            archive.new_uid(), PatientName="Müller".encode(), PatientComments=b"", RequestAttributesSequence=[item]
        )

        def content(place: str) -> tuple[int, bytes]:
            answer = archive.ask("GET", f"{stored['Path']}/content/{place}")
            return answer.status_code, answer.content

        assert content("0010-0010") == (200, "Müller ".encode())
        assert content("0010-4000") == (200, b"")
        assert content("0040-0275/0/0032-1060") == (200, b"Thorax")
        assert archive.get(f"{stored['Path']}/content/0040-0275") == ["0"]
        assert content("0010-1002")[0] == content("0040-0275/1/0032-1060")[0] == 404

    @pytest.mark.parametrize(
        ("charset", "written", "answered"),
        [
            (b"ISO_IR 192", "Müller^J".encode(), "Müller^J"),
            (b"iso_ir 192", "Müller^J".encode(), "Müller^J"),
            (b"ISO_IR 192", "Müller^J".encode("latin-1"), "Mller^J"),
            (b"ISO IR 192", "Müller^J".encode(), "Mller^J"),
            (b"ISO_IR 6", "Müller^J".encode("latin-1"), "Mller^J"),
            (b"", "Müller^J".encode(), "MÃ¼ller^J"),
            (b"ISO_IR 100", "Müller^J".encode(), "MÃ¼ller^J"),
            (b"ISO_IR 100", b"A\x1b$B;3\x1b(B", "A\x1b$B;3\x1b(B"),
            (b"ISO_IR 144", "Люк".encode("iso8859_5"), "Люк"),
            (b"ISO_IR 13", b"ABC^D\\EF^G", "ABC^D¥EF^G"),
            (b"\\ISO 2022 IR 87", b"A\\\x1b$B;3ED\x1b(B^C", "A\\山田^C"),
            (b"ISO 2022 IR 13\\ISO 2022 IR 87", b"A=\x1b$B;3ED\x1b(J", "A=;3ED"),
            (b"ISO 2022 IR 6", b"\x1b$)C\xfb\xf3", "$)C"),
            (b"ISO 2022 IR 6\\ISO 2022 IR 149", b"\x1b$)C\xfb\xf3", "$)C"),
            (b"\\ISO 2022 IR 149", b"Hong=\x1b$)C\xfb\xf3", "Hong=洪"),
            (b"\\ISO 2022 IR 100\\ISO 2022 IR 144", b"J\x1b-A\xe9=\x1b-L\xbb", "Jé=»"),
            (b"GB18030", "王^小东".encode("gb18030"), "王^小东"),
            (b"", b"A\0B", "A"),
        ],
    )
    def test_texts_are_decoded_by_the_first_set_that_is_known(
        self, archive: ArchiveClient, charset: bytes, written: bytes, answered: str
    ) -> None:
        """RULES B11: without a word about what is dropped or left."""
        stored = archive.upload(archive.new_uid(), SpecificCharacterSet=charset, PatientName=written)
        assert archive.get(f"{stored['Path']}/tags?short")["0010,0010"] == answered

    def test_items_are_decoded_by_the_character_set_of_the_instance(self, archive: ArchiveClient) -> None:
        """RULES B11: against PS3.3 C.12.1.1.2; so a text may even seem empty."""
        russian = {"SpecificCharacterSet": b"ISO_IR 144", "RequestedProcedureDescription": "Люк".encode("iso8859_5")}
        stored = archive.upload(archive.new_uid(), SpecificCharacterSet="ISO_IR 192", RequestAttributesSequence=[russian])
        [item] = archive.get(f"{stored['Path']}/tags?short")["0040,0275"]
        assert item == {"0008,0005": "ISO_IR 144", "0032,1060": ""}

    def test_the_values_of_an_instance_come_one_by_one(self, archive: ArchiveClient) -> None:
        """RULES B11: what of an instance can be had without all of it: names of tags and items, and padded values."""
        item = {"AccessionNumber": "A2", "RequestedProcedureDescription": "None of ours"}
        stored = archive.upload(
            archive.new_uid(),
            IssuerOfPatientID="CLINIC",
            RequestAttributesSequence=[item, item],
            ReferencedPerformedProcedureStepSequence=[],
        )
        content = f"{stored['Path']}/content/"
        there = archive.get(content)
        assert {"0010-0021", "0040-0275", "0008-1111"} <= set(there)
        assert "0010-0024" not in there
        assert archive.ask("GET", f"{content}0010-0021").content == b"CLINIC"
        assert archive.ask("GET", f"{content}0010-0024").status_code == 404
        assert archive.get(f"{content}0040-0275") == ["0", "1"]
        assert archive.get(f"{content}0008-1111") == []
        assert archive.get(f"{content}0040-0275/1/") == ["0008-0050", "0032-1060"]
        assert archive.ask("GET", f"{content}0040-0275/1/0008-0050").content == b"A2"
        assert archive.ask("GET", f"{content}0040-0275/2/").status_code == 404

    def test_the_file_comes_back_as_it_was_sent(self, archive: ArchiveClient) -> None:
        """RULES A7: reading the header by pydicom is the kinder way on a large 1.12."""
        stored = archive.upload(archive.new_uid(), InstitutionName="Here")
        file = archive.ask("GET", f"{stored['Path']}/file").content
        assert file[128:132] == b"DICM"
        assert b"Here" in file

    def test_some_tags_are_kept_in_the_index(self, archive: ArchiveClient) -> None:
        """docs/orthanc.md: main DICOM tags; laterality is none of them."""
        stored = archive.upload(
            archive.new_uid(), BodyPartExamined="CHEST", Laterality="L", StudyDescription="D", ReferringPhysicianName="R^S"
        )
        series = archive.get(f"/series/{stored['ParentSeries']}")["MainDicomTags"]
        assert series["BodyPartExamined"] == "CHEST"
        assert "Laterality" not in series
        study = archive.get(f"/studies/{stored['ParentStudy']}")["MainDicomTags"]
        assert (study["StudyDescription"], study["ReferringPhysicianName"]) == ("D", "R^S")

    def test_the_inventory_is_one_call(self, archive: ArchiveClient) -> None:
        """RULES A8: `GET /studies` unpaged lists every id; pages need both `since` and `limit`."""
        _, study, _ = self._study(archive)
        every = archive.get("/studies")
        assert study in every
        assert len(every) == archive.get("/statistics")["CountStudies"]
        paged = [one for since in range(len(every)) for one in archive.get(f"/studies?since={since}&limit=1")]
        assert sorted(paged) == sorted(every)
        assert archive.get(f"/studies?since={len(every)}&limit=1") == []
        assert archive.ask("GET", "/studies?limit=1").status_code == 400

    def test_header_listing_and_bulk_content_give_the_same_main_tags(self, archive: ArchiveClient) -> None:
        """RULES A8: what one of them told is compared with what another tells, so none may cut or pad what others do not;
        padding, lengths, several values, character sets and two names of one patient."""
        told: list[dict[str, Any]] = [
            {"StudyDescription": b" both sides  ", "AccessionNumber": b"A1  "},
            {
                "StudyDescription": b"x" * 400,
                "PatientName": "Yamada^Tarou=\u5c71\u7530^\u592a\u90ce=\u3084\u307e\u3060^\u305f\u308d\u3046",
            },
            {"SpecificCharacterSet": "ISO_IR 100", "PatientName": "M\u00fcller^J\u00f6rg".encode("latin-1")},
            {"OtherPatientIDs": ["A", "B"], "RequestingPhysician": ["X^Y", "Z"], "InstitutionName": "I", "StudyID": "7"},
            {"PatientName": "", "PatientSex": "", "StudyDate": "", "StudyTime": ""},
            {"PatientName": "One^A", "patient_id": "SAME"},
            {"PatientName": "Two^B", "patient_id": "SAME"},
        ]
        studies = [archive.upload(archive.new_uid(), **tags)["ParentStudy"] for tags in told]
        headers = {one: _main_tags(archive.get(f"/studies/{one}")) for one in studies}
        pages = archive.get("/studies?expand&since=0&limit=1000")
        bulk = {"Resources": studies, "Level": "Study", "Metadata": False}
        for answered in (pages, archive.post("/tools/bulk-content", bulk)):
            assert {one["ID"]: _main_tags(one) for one in answered if one["ID"] in studies} == headers
        assert "StudyDescription" not in headers[studies[1]], "a value above 256 bytes is no main tag"

    def test_statistics_count_everything(self, archive: ArchiveClient) -> None:
        """RULES A8: the totals are one call; per study they are one call each."""
        before = archive.get("/statistics")
        _, study, _ = self._study(archive)
        after = archive.get("/statistics")
        counts = ("CountPatients", "CountStudies", "CountSeries", "CountInstances")
        assert [after[name] - before[name] for name in counts] == [1, 1, 2, 3]
        own = archive.get(f"/studies/{study}/statistics")
        assert (own["CountSeries"], own["CountInstances"]) == (2, 3)
        assert "LastUpdate" not in own

    def test_an_unknown_study_is_a_404_with_an_empty_body(self, archive: ArchiveClient) -> None:
        """RULES D1: it looks like any proxy's, so it proves nothing."""
        answer = archive.ask("GET", "/studies/00000000-00000000-00000000-00000000-00000000")
        assert (answer.status_code, answer.content) == (404, b"")

    def test_looking_up_what_is_not_there_is_a_positive_answer(self, archive: ArchiveClient) -> None:
        """RULES D1: 200 and an empty list."""
        assert archive.post("/tools/lookup", archive.new_uid()) == []

    def test_lookup_finds_each_level_by_its_uid(self, archive: ArchiveClient) -> None:
        """RULES D1: the type is told, so a series with that UID is no study."""
        uid, study, stored = self._study(archive)
        assert archive.post("/tools/lookup", uid) == [{"ID": study, "Path": f"/studies/{study}", "Type": "Study"}]
        [series] = archive.post("/tools/lookup", f"{uid}.1")
        assert (series["ID"], series["Type"]) == (stored[0]["ParentSeries"], "Series")

    def test_the_dicomweb_plugin_is_listed(self, archive: ArchiveClient) -> None:
        """README.md, `check`: `/plugins` and its own page."""
        assert "dicom-web" in archive.get("/plugins")
        assert archive.get("/plugins/dicom-web")["ID"] == "dicom-web"
        assert archive.ask("GET", "/plugins/nothing").status_code == 404

    def test_the_system_tells_the_version(self, archive: ArchiveClient, server: ArchiveUnderTest) -> None:
        """README.md, `check`."""
        assert archive.get("/system")["Version"] == server.version

    def test_what_is_no_dicom_is_refused(self, archive: ArchiveClient) -> None:
        """docs/orthanc.md: nothing is stored, nothing is logged."""
        mark = archive.high_water()
        for body in (b"", b"no DICOM at all", b"\0" * 128 + b"DICM"):
            assert archive.ask("POST", "/instances", data=body).status_code == 400
        assert archive.changes(mark) == []

    def test_a_study_keeps_its_own_copy_of_the_patients_tags(self, archive: ArchiveClient) -> None:
        """RULES C8: two studies without PatientID share a patient, and not its name."""
        names = [{"patient_id": "", "PatientName": name} for name in ("First^One", "Second^One")]
        studies = [archive.upload(archive.new_uid(), **tags) for tags in names]
        assert studies[0]["ParentPatient"] == studies[1]["ParentPatient"]
        shown = [archive.get(f"/studies/{one['ParentStudy']}")["PatientMainDicomTags"] for one in studies]
        assert [one["PatientName"] for one in shown] == ["First^One", "Second^One"]

    def test_a_japanese_backslash_is_answered_as_a_yen_sign(self, archive: ArchiveClient) -> None:
        """MAPPING C: with ISO IR 13 several values are joined by `¥`."""
        stored = archive.upload(
            archive.new_uid(), SpecificCharacterSet="ISO_IR 13", ImageType=["ORIGINAL", "PRIMARY"], PixelSpacing=["1", "2"]
        )
        tags = archive.get(f"{stored['Path']}/tags?short")
        assert (tags["0008,0008"], tags["0028,0030"]) == ("ORIGINAL¥PRIMARY", "1¥2")

    def test_a_dicom_file_without_a_uid_is_a_404(self, archive: ArchiveClient) -> None:
        """docs/orthanc.md: such as a DICOMDIR; an empty UID is a 400."""
        uid = archive.new_uid()
        for series_uid, status in ((None, 404), ("", 400)):
            file = make_instance(study_uid=uid, SeriesInstanceUID=series_uid)
            assert archive.ask("POST", "/instances", data=file).status_code == status

    def test_the_orthanc_id_is_a_digest_of_patient_and_uids(self, archive: ArchiveClient) -> None:
        """RULES C8: another PatientID is another id, the same ones the same id, in every archive."""
        uid = archive.new_uid()
        stored = archive.upload(uid, patient_id="P")
        other = ArchiveClient(archive.server.sibling())
        assert other.upload(uid, patient_id="P")["ID"] == stored["ID"]
        assert other.upload(uid, patient_id="Q")["ParentStudy"] != stored["ParentStudy"]
        other.close()

    def test_without_the_password_nothing_is_answered(self, archive: ArchiveClient) -> None:
        """README.md, `check`: 401."""
        answer = archive.without_password()
        assert (answer.status_code, answer.content) == (401, b"")
        assert answer.headers["WWW-Authenticate"].startswith("Basic")

    def _large_study(self, archive: ArchiveClient) -> str:
        uid = archive.new_uid()
        for series in range(1, 2 * FIND_LIMIT + 2):
            archive.upload(uid, series=series)
        return uid


def _main_tags(study: Entry) -> dict[str, Any]:
    return {**study["PatientMainDicomTags"], **study["MainDicomTags"]}
