"""RULES A7, MAPPING A: what a study's raw answers say as a snapshot."""

from __future__ import annotations

import pytest

from syncd.model.snapshot import Code, IssuedId, Moment, StudySnapshot
from syncd.model.study.raw import Tags
from syncd.snapshot.build import build
from syncd.snapshot.instances.instances import UNENCODABLE
from tests.snapshot.studies import CT, KO, MG, PDF, PR, SR, coded, image, series, study

FULL: Tags = {"0008,0016": CT, "0008,0005": "ISO_IR 100"}


def noted(snapshot: StudySnapshot) -> set[tuple[str, str, str]]:
    return {(note.tag, note.rule, note.done) for note in snapshot.notes}


def test_the_study_level_is_the_archives_and_the_rest_the_representatives() -> None:
    """MAPPING A.1: main tags first; the offset, codes and issuers are only in full tags."""
    raw = study(
        series(
            representative={
                **FULL,
                "0008,0020": "20200101",
                "0008,0030": "000000",
                "0008,0201": "+0100",
                "0008,1030": "another",
                "0008,1032": [coded("P1", scheme="99X")],
                "0008,1060": "Reader^One\\Reader^Two",
                "0008,1040": "Radiology",
                "0032,1060": "Chest",
                "0040,0275": [{"0040,100a": [coded("R1", scheme="99X")], "0040,1002": "cough"}],
            }
        ),
        instances=[image("1.2.3.1.1")],
        main={"0008,0020": "20260301", "0008,0030": "0915", "0008,1030": " CT Thorax ", "0020,0010": "77"},
    )
    snapshot = build(raw)
    assert snapshot.started == Moment(date="2026-03-01", time="09:15:00", offset="+01:00")
    assert (snapshot.study_date, snapshot.study_time) == ("20260301", "0915")
    assert (snapshot.description, snapshot.study_id) == ("CT Thorax", "77")
    assert snapshot.procedure_codes == (Code(value="P1", scheme="99X"),)
    assert snapshot.reason_codes == (Code(value="R1", scheme="99X"),)
    assert (snapshot.procedure_texts, snapshot.reason_texts) == (("Chest",), ("cough",))
    assert snapshot.location_text == "Radiology"
    assert len(snapshot.interpreters) == 2
    assert ("0008,1030", "I-62", "differs within the study: the archive's value kept") in noted(snapshot)


def test_date_and_time_are_a_pair_of_one_source() -> None:
    """MAPPING C.1-1, case I.1 1: a time is never put to another instance's date, nor a series' date promoted."""
    full = {**FULL, "0008,0020": "20260301", "0008,0021": "20260301", "0008,0030": "101500", "0008,0201": "+0000"}
    own_date = study(series(representative=full), instances=[image("1.2.3.1.1")], main={"0008,0020": "20260302"})
    assert build(own_date).started == Moment(date="2026-03-02")
    no_date = study(series(main={"0008,0021": "20260301"}), instances=[image("1.2.3.1.1")], main={"0008,0030": "101500"})
    assert build(no_date).started is None
    elsewhere = study(series(representative=full), instances=[image("1.2.3.1.1")], main={"0008,0020": "  "})
    assert build(elsewhere).started == Moment(date="2026-03-01", time="10:15:00", offset="+00:00")


def test_an_image_speaks_for_the_study_before_a_document_does() -> None:
    """MAPPING A.1: a KO, SR or PR series gives study-level values only where there is nothing else."""
    document = series(
        "1.2.3.9", key="s9", modality="KO", main={"0020,0011": "1"}, representative={**FULL, "0008,0090": "Ko"}
    )
    pictures = series(main={"0020,0011": "2"}, representative={**FULL, "0008,0090": "Doe"})
    spoken = build(study(document, pictures)).referrer
    alone = build(study(document)).referrer
    assert spoken is not None and spoken.name.alphabetic is not None and spoken.name.alphabetic.family == "Doe"
    assert alone is not None and alone.name.alphabetic is not None and alone.name.alphabetic.family == "Ko"


def test_a_light_read_gives_the_study_level() -> None:
    """RULES A6: `registered` needs no instances, one series and one representative."""
    raw = study(
        series(representative={**FULL, "0010,0020": "P1", "0008,0050": "A1"}),
        main={"0010,0020": "P1", "0008,0020": "20260301"},
        is_stable=False,
    )
    snapshot = build(raw)
    assert snapshot.patient.ids == (IssuedId(value="P1"),)
    assert snapshot.accessions == (IssuedId(value="A1"),)
    assert snapshot.started == Moment(date="2026-03-01")
    assert (snapshot.number_of_instances, snapshot.is_stable) == (0, False)


def test_a_study_of_nothing_is_a_snapshot_of_nothing() -> None:
    """docs/cases.md: never an exception on what an archive answers."""
    snapshot = build(study(uid=" 1.2.3\x00"))
    assert snapshot.study_uid == "1.2.3"
    assert (snapshot.patient.ids, snapshot.series, snapshot.started) == ((), (), None)


def test_series_and_instances_are_ordered_by_number_and_uid() -> None:
    """MAPPING A.2, A.3: numbers first, nulls last, then UID."""
    snapshot = build(
        study(
            series("1.2.9", key="a", main={"0020,0011": ""}),
            series("1.2.8", key="b", main={"0020,0011": "10"}),
            series("1.2.7", key="c", main={"0020,0011": "2"}),
            series("1.2.6", key="d", main={"0020,0011": "x"}),
            instances=[
                image("1.2.7.3", number="", series="c"),
                image("1.2.7.2", number="10", series="c"),
                image("1.2.7.1", number="2", series="c"),
                image("1.2.7.0", number="1.0", series="c"),
            ],
        )
    )
    assert [each.uid for each in snapshot.series] == ["1.2.7", "1.2.8", "1.2.6", "1.2.9"]
    assert [each.uid for each in snapshot.series[0].instances] == ["1.2.7.1", "1.2.7.2", "1.2.7.0", "1.2.7.3"]
    assert ("0020,0013", "C.4", "number_rejected: omitted (1)") in noted(snapshot)
    assert ("0020,0013", "A.3", "instance number missing (1)") in noted(snapshot)


def test_the_archive_wins_where_viewers_look_and_the_representative_elsewhere() -> None:
    """RULES A7, MAPPING A.2."""
    main = {"0020,0011": "4", "0008,103e": "Thorax 1.0", "0018,0015": "HEAD", "0008,0021": "20260301", "0008,0031": "0916"}
    full = {**FULL, "0020,0011": "5", "0008,0060": "MR", "0008,103e": "x", "0018,0015": "CHEST", "0008,0021": "20260302"}
    found = build(study(series(main=main, representative=full), instances=[image("1.2.3.1.1")])).series[0]
    assert (found.number, found.modality, found.description, found.body_part) == (4, "CT", "Thorax 1.0", "CHEST")
    assert found.started == Moment(date="2026-03-01", time="09:16:00")


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"0008,103e": "Thorax\\Lung"}, "Thorax; Lung"),
        ({"0008,103e": "   ", "0018,1030": "Routine"}, "Routine"),
        ({"0008,103e": "A\x1b\x07B"}, "AB"),
        ({"0008,103e": "  "}, ""),
    ],
)
def test_a_series_description_is_clean_else_the_protocol(tags: Tags, expected: str) -> None:
    """MAPPING A.2, case I.4 33."""
    assert build(study(series(main=tags), instances=[image("1.2.3.1.1")])).series[0].description == expected


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (
            {"0008,0021": "20260301", "0008,0031": "101500", "0008,0022": "20260228"},
            Moment(date="2026-03-01", time="10:15:00"),
        ),
        ({"0008,0021": "x", "0008,0022": "20260301", "0008,0032": "1015"}, Moment(date="2026-03-01", time="10:15:00")),
        ({"0008,0031": "101500"}, None),
    ],
)
def test_a_series_starts_by_its_own_date_else_by_its_acquisition(tags: Tags, expected: Moment | None) -> None:
    """MAPPING A.2, started."""
    raw = study(series(representative={**FULL, **tags}), instances=[image("1.2.3.1.1")])
    assert build(raw).series[0].started == expected


def frame_region(code: str) -> dict[str, object]:
    return {"0020,9071": [{"0008,2218": [coded(code, scheme="SCT")]}]}


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"0008,2218": [coded("T-D3000", scheme="SRT")]}, "T-D3000"),
        ({"0008,2218": [coded("T-D3000", scheme="SRT"), coded("x")]}, None),
        ({"5200,9229": [frame_region("51185008")]}, "51185008"),
        ({"5200,9230": [frame_region("51185008"), frame_region("51185008")]}, "51185008"),
        ({"5200,9230": [frame_region("51185008"), frame_region("69536005")]}, None),
        ({}, None),
    ],
)
def test_the_region_is_the_instances_else_that_of_all_its_frames(tags: Tags, expected: str | None) -> None:
    """MAPPING C.6, case I.7 48."""
    region = build(study(series(representative={**FULL, **tags}), instances=[image("1.2.3.1.1")])).series[0].anatomic_region
    assert (region.value if region else None) == expected


def test_the_laterality_counts_every_instance_of_the_series() -> None:
    """RULES B6: one image read of two is not all."""
    side = {**FULL, "0020,0062": "L"}
    both = [image("1.2.3.1.1", sop_class=MG), image("1.2.3.1.2", sop_class=MG)]
    assert build(study(series(representative=side, images=[side]), instances=both)).series[0].laterality == ""
    assert build(study(series(representative=side, images=[side, side]), instances=both)).series[0].laterality == "L"


@pytest.mark.parametrize(
    ("sop_class", "document", "expected"),
    [
        (KO, {"0040,a043": [coded("113000", meaning="Of Interest")]}, "Of Interest"),
        (SR, {"0040,a043": [coded("113701", meaning="X-Ray Radiation Dose Report")]}, "X-Ray Radiation Dose Report"),
        (PR, {"0070,0080": "FINDING_1"}, "FINDING_1"),
        (PDF, {"0042,0010": "Report \\ 1"}, "Report \\ 1"),
        (SR, {}, ""),
        (CT, {"0008,0008": "ORIGINAL\\PRIMARY", "0070,0080": "x", "0042,0010": "y"}, ""),
    ],
)
def test_documents_are_titled(sop_class: str, document: Tags, expected: str) -> None:
    """MAPPING A.3, cases I.3 22, 23, 24: images have no title."""
    raw = study(series(), instances=[image("1.2.9", sop_class=sop_class)], documents={"i-1.2.9": document})
    assert build(raw).series[0].instances[0].title == expected


def test_the_modality_of_a_series_without_one_comes_from_its_sop_class() -> None:
    """MAPPING I.3 case 17."""
    snapshot = build(study(series(modality=""), instances=[image("1.2.3.1.1", sop_class=CT)]))
    assert snapshot.series[0].modality == "CT"
    assert ("0008,0060", "C.7", "modality_inferred") in noted(snapshot)


@pytest.mark.parametrize("sop_class", ["1.2.826.0.1.3680043.9.999.1", "1.2.003.4", " 1.2.840.10008.5.1.4.1.1.2\x00"])
def test_a_sop_class_is_kept_verbatim(sop_class: str) -> None:
    """MAPPING I.4 cases 26, 28, 31."""
    found = build(study(series(), instances=[image("1.2.3.1.1", sop_class=sop_class)])).series[0].instances[0]
    assert found.sop_class == sop_class.strip(" \x00")


def test_an_instance_without_a_sop_class_stays_in_the_count() -> None:
    """MAPPING I.4 case 27."""
    snapshot = build(study(series(), instances=[image("1.2.3.1.1", sop_class="")]))
    assert snapshot.series[0].instances[0].sop_class == ""
    assert ("0008,0016", "A.3", "SOP class missing (1)") in noted(snapshot)


def test_uids_with_leading_zeros_pass_and_padded_ones_are_trimmed() -> None:
    """MAPPING I.4 cases 28 and 31."""
    snapshot = build(study(series("1.2.003.4\x00"), instances=[image(" 1.2.003.5 ")]))
    assert (snapshot.series[0].uid, snapshot.series[0].instances[0].uid) == ("1.2.003.4", "1.2.003.5")


@pytest.mark.parametrize("uid", ["", "1." + "2" * 63, "1.2_3", "1.2 3", "1.2/3", "é"])
def test_what_no_fhir_id_can_hold_is_left_out_and_noted(uid: str) -> None:
    """MAPPING A.2: unencodable instances and series are left out and not counted."""
    snapshot = build(
        study(
            series(),
            series(uid, key="s2"),
            instances=[image("1.2.3.1.1"), image(uid), image("1.2.3.2.1", series="s2"), image("1.2.3.2.2", series="s2")],
        )
    )
    assert [each.uid for each in snapshot.series] == ["1.2.3.1"]
    assert snapshot.number_of_instances == 1
    assert {note for note in noted(snapshot) if note[1] == UNENCODABLE} == {
        ("0008,0018", UNENCODABLE, "instances left out (1)"),
        ("0020,000e", UNENCODABLE, "series left out (1)"),
        ("0020,000e", UNENCODABLE, "instances left out with their series (2)"),
    }


def test_a_duplicate_uid_is_kept_once_in_its_series() -> None:
    """docs/cases.md, values: duplicates leave a note."""
    snapshot = build(study(series(), instances=[image("1.2.9", number="2"), image("1.2.9 ", number="1")]))
    assert [each.number for each in snapshot.series[0].instances] == [1]
    assert ("0008,0018", "A.3", "duplicate SOPInstanceUID: kept once (1)") in noted(snapshot)


def test_one_uid_in_two_series_stays_in_both() -> None:
    """MAPPING G: both are counted by the archive, so both are listed."""
    raw = study(series(), series("1.2.3.2", key="s2"), instances=[image("1.2.9"), image("1.2.9", series="s2")])
    snapshot = build(raw)
    assert snapshot.number_of_instances == 2
    assert ("0008,0018", "A.3", "SOPInstanceUID in several series: kept in each (1)") in noted(snapshot)


def test_series_that_differ_only_in_padding_are_one() -> None:
    """MAPPING I.4 case 31: trimmed UIDs may meet."""
    raw = study(series(), series("1.2.3.1 ", key="s2"), instances=[image("1.2.9"), image("1.2.8", series="s2")])
    snapshot = build(raw)
    assert [len(each.instances) for each in snapshot.series] == [2]


def test_an_instance_of_an_unlisted_series_is_said() -> None:
    """docs/cases.md, values: never a silently lost instance."""
    snapshot = build(study(series(), instances=[image("1.2.9", series="other")]))
    assert ("0020,000e", "A7", "instances left out: their series was not listed (1)") in noted(snapshot)


@pytest.mark.parametrize("charset", [{}, {"0008,0005": "ISO_IR 100"}])
def test_utf8_that_was_read_as_latin_1_is_read_again_and_noted(charset: Tags) -> None:
    """MAPPING I.2 case 14, RULES B11."""
    name = "Müller^Jörg".encode().decode("latin-1")
    raw = study(series(representative={"0008,0016": CT, **charset}), main={"0010,0010": name})
    snapshot = build(raw)
    assert [each.alphabetic.family for each in snapshot.patient.names if each.alphabetic] == ["Müller"]
    assert ("0010,0010", "C.3", "charset_suspect: read again as UTF-8") in noted(snapshot)


def test_a_suspect_character_set_is_noticed_inside_items() -> None:
    """MAPPING C.3: an item's text is in the character set of its instance."""
    thorax = {"0008,1032": [coded("P1", meaning="Süd".encode().decode("latin-1"))]}
    for declared in ({"0008,0016": CT}, FULL):
        suspect = build(study(series(representative={**declared, **thorax})))
        assert [each.meaning for each in suspect.procedure_codes] == ["Süd"]
        assert ("0008,0104", "C.3", "charset_suspect: read again as UTF-8") in noted(suspect)


def test_requests_of_documents_are_read_in_a_fixed_order() -> None:
    """MAPPING B, several accessions: (0040,A370) of SR and KO, whatever the order in which they were read."""
    documents: dict[str, Tags] = {f"i-1.2.{n}": {"0040,a370": [{"0008,0050": f"A{n}"}]} for n in (8, 9)}
    backwards = dict(reversed(documents.items()))
    images = [image("1.2.8", sop_class=SR), image("1.2.9", sop_class=SR)]
    found = [build(study(series(), instances=images, documents=each)).accessions for each in (documents, backwards)]
    assert found == [(IssuedId(value="A8"), IssuedId(value="A9"))] * 2


def test_notes_never_hold_a_value() -> None:
    """RULES S1: what is odd about a patient's values is said, not the values."""
    main = {
        "0010,0010": "Doe^J\\Roe",
        "0010,0030": "19810299",
        "0010,0040": "Quux",
        "0008,0050": "A1\\A2",
        "0010,0020": "P77",
    }
    snapshot = build(study(series(), main=main))
    said = " ".join(note.done for note in snapshot.notes)
    assert len(snapshot.notes) >= 4
    assert [value for value in ("Doe", "Roe", "1981", "Quux", "A1", "P77") if value in said] == []


def test_orders_of_every_series_are_the_studys() -> None:
    """RULES B9, PS3.3 10.6: requests complete each other and (0008,0050); nobody's hides another's."""
    one = {**FULL, "0008,0050": "A1", "0040,0275": [{"0008,0050": "A1", "0040,1002": "cough", "0040,2016": "P1"}]}
    two = {
        **FULL,
        "0008,0050": "A1",
        "0008,1032": [coded("P1", scheme="99X")],
        "0040,0275": [{"0008,0050": "A2", "0040,1002": "pain", "0040,2016": "P2", "0040,100a": [coded("R1")]}],
    }
    snapshot = build(
        study(
            series(representative=one),
            series("1.2.3.2", key="s2", representative=two),
            instances=[image("1.2.3.1.1"), image("1.2.3.2.1", series="s2")],
            main={"0008,0050": "A1"},
        )
    )
    assert [each.value for each in snapshot.accessions] == ["A1", "A2"]
    assert [each.value for each in snapshot.placer_orders] == ["P1", "P2"]
    assert (snapshot.procedure_codes, snapshot.reason_codes) == (
        (Code(value="P1", scheme="99X"),),
        (Code(value="R1", scheme="DCM"),),
    )
    assert snapshot.reason_texts == ("cough", "pain")
    assert snapshot.notes == ()


def test_an_order_that_one_image_names_is_the_studys() -> None:
    """RULES B9: where every image of a series was asked, each adds to the lists."""
    every: list[Tags] = [
        {**FULL, "0008,0050": "A1", "0040,0275": [{"0008,0050": one}], "0010,0020": "P", "0010,1002": [{"0010,0020": one}]}
        for one in ("A1", "A2", "A2")
    ]
    raw = study(
        series(representative=every[0], images=every),
        instances=[image(f"1.2.3.1.{number}") for number in range(3)],
        main={"0008,0050": "A1", "0010,0020": "P"},
    )
    snapshot = build(raw)
    assert [one.value for one in snapshot.accessions] == ["A1", "A2"]
    assert [one.value for one in snapshot.patient.ids] == ["P", "A1", "A2"]


def test_levels_that_contradict_each_other_are_all_named_with_a_safety_note() -> None:
    """RULES B9: accession number, procedure codes and words of two series."""
    first = {**FULL, "0008,0050": "A1", "0008,1032": [coded("P1", meaning="Chest")], "0032,1060": "Chest"}
    second = {**FULL, "0008,0050": "A2", "0008,1032": [coded("P2")], "0032,1060": "Head"}
    again = {**FULL, "0008,1032": [coded("P1", meaning="Thorax")]}
    snapshot = build(
        study(
            *(series(f"1.2.3.{n}", key=f"s{n}", representative=each) for n, each in enumerate((first, second, again), 1)),
            main={"0008,0050": "A1"},
        )
    )
    assert [each.value for each in snapshot.accessions] == ["A1", "A2"]
    assert [each.value for each in snapshot.procedure_codes] == ["P1", "P2"]
    assert snapshot.procedure_texts == ("Chest", "Head")
    assert {note.tag for note in snapshot.notes if note.safety and note.rule == "RULES B9"} == {
        "0008,0050",
        "0008,1032",
        "0032,1060",
    }


def test_an_rtstruct_in_a_ct_series_keeps_its_modality() -> None:
    """MAPPING C.7: its SOP Class fixes it; a secondary capture fixes none."""
    found = build(
        study(
            series(),
            instances=[
                image("1.2.3.1.1"),
                image("1.2.3.1.2", sop_class="1.2.840.10008.5.1.4.1.1.481.3"),
                image("1.2.3.1.3", sop_class="1.2.840.10008.5.1.4.1.1.7"),
            ],
        )
    ).series[0]
    assert (found.modality, found.modalities) == ("CT", ("CT", "RTSTRUCT"))


@pytest.mark.parametrize(
    ("title", "concept", "expected"),
    [
        ("", "Radiology report", "Radiology report"),
        ("Report of May", "Radiology report", "Report of May"),
        ("Report of May", "", "Report of May"),
        ("", "", ""),
    ],
)
def test_an_encapsulated_document_without_a_title_has_its_concepts_name(title: str, concept: str, expected: str) -> None:
    """MAPPING A.3, title; PS3.3 C.24.2: (0042,0010) and (0040,A043) are both type 2."""
    document = {"0042,0010": title, "0040,a043": [coded("18748-4", scheme="LN", meaning=concept)] if concept else []}
    raw = study(series(modality="DOC"), instances=[image("1.2.3.1.1", sop_class=PDF)], documents={"i-1.2.3.1.1": document})
    assert build(raw).series[0].instances[0].title == expected
