"""What a site may have read in another way (POLICY__REPAIR_UTF8, TITLE_FROM_IMAGE_TYPE), and who made and keeps a series."""

from __future__ import annotations

import pytest

from syncd.model.snapshot import Code, Equipment, Institution, StudySnapshot
from syncd.model.study.raw import Tags
from syncd.model.study.reading import Reading
from syncd.snapshot.build import build
from tests.snapshot.studies import CT, SR, coded, image, series, study


def noted(snapshot: StudySnapshot) -> set[tuple[str, str, str]]:
    return {(note.tag, note.rule, note.done) for note in snapshot.notes}


@pytest.mark.parametrize("repair", [False, True])
@pytest.mark.parametrize("declared", [{}, {"0008,0005": "ISO_IR 100"}])
def test_case_14_utf8_that_is_not_declared_is_read_as_such_or_left_out(declared: Tags, repair: bool) -> None:
    """MAPPING I case 14 (I-14), C.3, RULES B11: noted either way, and never passed on as Latin-1 (`MÃ¼ller`)."""
    mojibake = "Müller^Jürgen".encode().decode("latin-1")
    raw = study(series(representative={"0008,0016": CT, "0008,1030": mojibake, **declared}), main={"0010,0010": mojibake})
    snapshot = build(raw, reading=Reading(repair_utf8=repair))
    families = [name.alphabetic.family for name in snapshot.patient.names if name.alphabetic]
    assert (families, snapshot.description) == ((["Müller"], "Müller^Jürgen") if repair else ([], ""))
    done = "charset_suspect: read again as UTF-8" if repair else "charset_suspect: left out"
    assert {("0010,0010", "C.3", done), ("0008,1030", "C.3", done)} <= noted(snapshot)


def test_images_are_titled_by_their_type_only_where_the_site_wants_it() -> None:
    """MAPPING A.3, K: (0008,0008) as it stands, of those images of which the archive gives it; others are noted."""
    kind = "ORIGINAL\\PRIMARY\\AXIAL"
    given_by_the_archive = image("1.2.8", t0008_0008="DERIVED\\SECONDARY")
    raw = study(
        series(representative={"0008,0018": "1.2.9", "0008,0008": kind}),
        instances=[image("1.2.9", number="1"), given_by_the_archive, image("1.2.7", number="3")],
    )
    wanted = build(raw, reading=Reading(title_from_image_type=True))
    assert {one.uid: one.title for one in wanted.series[0].instances} == {
        "1.2.9": kind,
        "1.2.8": "DERIVED\\SECONDARY",
        "1.2.7": "",
    }
    assert ("0008,0008", "A.3 title", "no title: the archive gives no image type (1)") in noted(wanted)
    assert {one.title for one in build(raw).series[0].instances} == {""}
    document = study(series(), instances=[image("1.2.9", sop_class=SR, t0008_0008=kind)])
    assert build(document, reading=Reading(title_from_image_type=True)).series[0].instances[0].title == ""


def test_the_device_the_house_and_the_keeper_of_a_series() -> None:
    """MAPPING A.2, B, H: (0018,1002), (0008,0070), (0008,1090), (0008,1010); (0008,0080), (0008,0082); (0040,A07C)."""
    tags = {
        "0008,0070": " Maker ",
        "0008,1090": "Scan 3",
        "0008,1010": "CT1",
        "0018,1000": "S-7",
        "0018,1002": "2.25.9",
        "0008,0080": "Hospital",
        "0008,0082": [coded("H1", scheme="99X")],
        "0040,a07c": [{"0008,0080": "Archive Ltd"}],
    }
    (one,) = build(study(series(representative=tags), instances=[image("1.2.9")])).series
    assert one.equipment == Equipment(manufacturer="Maker", model="Scan 3", station="CT1", serial="S-7", uid="2.25.9")
    assert one.institution == Institution(name="Hospital", code=Code(value="H1", scheme="99X"))
    assert one.custodian == Institution(name="Archive Ltd")
    (bare,) = build(study(series(), instances=[image("1.2.9")])).series
    assert (bare.equipment, bare.institution, bare.custodian) == (None, None, None)


def test_what_is_odd_about_a_device_makes_no_study_odd() -> None:
    """docs/settings.md, POLICY__VALUES: it is not published by default, so it is no reason to park."""
    odd = {"0008,0016": CT, "0008,0080": "Krankenhaus Süd".encode().decode("latin-1")}
    assert build(study(series(representative=odd))).notes == ()


@pytest.mark.parametrize("repair", [False, True])
def test_equipment_and_steps_are_mended_as_everything_else(repair: bool) -> None:
    """MAPPING C.3, J.2, J.4: noted beside the machine and the step, and the study stays plain."""
    mojibake = "Süd".encode().decode("latin-1")
    odd: Tags = {"0008,0016": CT, "0008,1010": mojibake, "0040,0254": mojibake}
    snapshot = build(study(series(representative=odd)), reading=Reading(repair_utf8=repair))
    (one,) = snapshot.series
    assert one.equipment is not None and one.performed_step is not None
    expected = "Süd" if repair else ""
    assert (one.equipment.station, one.performed_step.description) == (expected, expected)
    assert {note.rule for note in (*one.equipment.notes, *one.performed_step.notes)} == {"C.3"}
    assert snapshot.notes == ()
