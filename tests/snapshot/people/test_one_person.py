"""RULES B9, B10: what a study says of its patient is one person's, or it is not said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from syncd.model.ids import ArchiveName
from syncd.model.snapshot import StudySnapshot
from syncd.model.study.raw import Undecoded
from syncd.snapshot.build import build
from syncd.snapshot.people.one_person import agree_on_patient, contradicting_series
from syncd.snapshot.union import union
from tests.snapshot.studies import ARCHIVE, image, series, study

ANNA = {"0010,0010": "Hello^Anna", "0010,0020": "COMMON1", "0010,0030": "19700101", "0010,0040": "F"}
BERT = {"0010,0010": "World^Bert", "0010,0020": "COMMON1", "0010,0030": "19331111", "0010,0040": "M"}
FIRST, SECOND = "1.2.3.1", "1.2.3.2"


def of(*people: dict[str, Any], main: dict[str, Any] | None = None, archive: ArchiveName = ARCHIVE) -> StudySnapshot:
    """A study with a series of each of these; the archive shows the first one's values, or `main`."""
    shown = people[0] if main is None else main
    return build(
        study(
            *(
                series(f"1.2.3.{number}", key=f"s{number}", main={"0020,0011": str(number)}, representative=one)
                for number, one in enumerate(people, 1)
            ),
            instances=[image(f"1.2.3.{number}.1", series=f"s{number}") for number in range(1, len(people) + 1)],
            main={tag: value for tag, value in shown.items() if isinstance(value, str) and tag != "0010,0021"},
            archive=archive,
        )
    )


def safety(snapshot: StudySnapshot) -> list[str]:
    return [note.tag for note in snapshot.notes if note.safety and note.rule == "RULES B10"]


def test_series_of_two_people_contradict_each_other() -> None:
    """RULES B10: birth date and sex together; both series are named."""
    assert contradicting_series(of(ANNA, BERT)) == (FIRST, SECOND)
    assert contradicting_series(of({}, BERT, main=ANNA)) == (SECOND,), "nobody but the archive shows the other"


def test_what_the_archive_shows_and_what_the_files_say_are_two_people() -> None:
    """RULES B10: images sent again with another person's values, before the archive took them up."""
    assert contradicting_series(of(BERT, main=ANNA)) == (FIRST,)


@pytest.mark.parametrize(
    "other",
    [ANNA, {}, ANNA | {"0010,0030": "1970"}, ANNA | {"0010,0040": ""}, BERT | {"0010,0030": "", "0010,0040": "X"}],
    ids=["same", "silent", "partial date", "no sex", "unknown"],
)
def test_what_says_less_contradicts_nothing(other: dict[str, Any]) -> None:
    """RULES B4: both must say something."""
    found = of(ANNA, other)
    assert contradicting_series(found) == ()
    assert {note.tag for note in agree_on_patient(found).notes if note.safety} <= {"0010,0010"}
    assert agree_on_patient(found).patient.birth_date == "1970-01-01"


@pytest.mark.parametrize(
    ("tag", "value", "element"), [("0010,0030", "19331111", "birth_date"), ("0010,0040", "M", "gender")]
)
def test_one_value_that_differs_is_left_out_and_noted(tag: str, value: str, element: str) -> None:
    """RULES B9: published only where all that carry it agree; the note is of the class safety."""
    found = of(ANNA, ANNA | {tag: value})
    assert contradicting_series(found) == ()
    assert getattr(agree_on_patient(found).patient, element) == ""
    assert safety(agree_on_patient(found)) == [tag]
    assert agree_on_patient(agree_on_patient(found)) == agree_on_patient(found)


@pytest.mark.parametrize(
    ("name", "noted"),
    [
        ("World^Bert", True),
        ("Hello^Anna^Maria", False),
        ("Other^Anna", False),
        ("HELLO^A", False),
        ("山田^太郎", False),
        ("", False),
    ],
)
def test_a_name_with_nothing_in_common_is_noted(name: str, noted: bool) -> None:
    """RULES B10: a name alone proves nothing, for names change; nobody is misled without a word."""
    found = agree_on_patient(of(ANNA, ANNA | {"0010,0010": name}))
    assert safety(found) == (["0010,0010"] if noted else [])
    assert found.patient.names == of(ANNA).patient.names


def test_umlauts_are_one_name_however_they_are_written() -> None:
    assert not safety(agree_on_patient(of(ANNA | {"0010,0010": "Müller^Jörg"}, ANNA | {"0010,0010": "MUELLER^JOERG"})))


def test_issuers_that_differ_leave_the_number_to_nobody() -> None:
    """PS3.3 C.7.1.1: an ID identifies only with its issuer; such a study shares no Patient (RULES B10)."""
    found = agree_on_patient(of(ANNA | {"0010,0021": "HOSPITAL A"}, ANNA | {"0010,0021": "HOSPITAL B"}))
    assert found.patient.ids == ()
    assert safety(found) == ["0010,0021"]


def test_one_issuer_that_the_other_series_does_not_name_is_no_contradiction() -> None:
    found = of(ANNA | {"0010,0021": "HOSPITAL A"}, ANNA)
    assert agree_on_patient(found) == found


def test_two_names_of_one_authority_are_no_contradiction() -> None:
    """RULES C8: equal after the site's mapping of issuers."""
    found = of(ANNA | {"0010,0021": "A"}, ANNA | {"0010,0021": "B"})
    assert agree_on_patient(found, system_of=lambda _issued, _archive: "http://hospital.test/pid") == found


def test_numbers_that_differ_are_nobodys() -> None:
    """RULES B10: the archive groups by number, so this is a file that was exchanged under it."""
    found = agree_on_patient(of(ANNA, ANNA | {"0010,0020": "OTHER"}))
    assert (found.patient.ids, safety(found)) == ((), ["0010,0020"])


def test_copies_of_two_people_contradict_each_other() -> None:
    """RULES B10, C8: between archives; the copy that is not shown is judged, too."""
    east, west = ArchiveName("east"), ArchiveName("west")
    both = union([of(ANNA, archive=east), of(BERT, archive=west)], order=[east, west])
    assert len(both.series) == 1
    assert contradicting_series(both) == (FIRST,)
    one = union([of(ANNA, archive=east), of(ANNA | {"0010,0030": "19710101"}, archive=west)], order=[east, west])
    assert (agree_on_patient(one).patient.birth_date, safety(agree_on_patient(one))) == ("", ["0010,0030"])


def one_series(*people: dict[str, Any], shared: dict[str, Any] | None = None) -> StudySnapshot:
    """A study of one series with an image of each of these; `shared`: only that is known of all of them."""
    uids = [f"1.2.3.1.{number}" for number in range(1, len(people) + 1)]
    said = [one | {"0008,0018": uid} for one, uid in zip(people, uids, strict=True)]
    raw = replace(series(FIRST, representative=said[0]), images=() if shared is not None else tuple(said), shared=shared)
    shown = {tag: value for tag, value in people[0].items() if tag != "0010,0021"}
    return build(study(raw, instances=[image(uid) for uid in uids], main=shown))


def test_images_of_two_people_in_one_series_contradict_each_other() -> None:
    """RULES B9, B10: one image never speaks for others."""
    assert contradicting_series(one_series(ANNA, ANNA, BERT)) == (FIRST,)


def test_images_of_one_series_that_differ_in_one_value_leave_it_out() -> None:
    """RULES B9."""
    found = agree_on_patient(one_series(ANNA, ANNA | {"0010,0040": "M"}))
    assert (found.patient.gender, safety(found)) == ("", ["0010,0040"])


def test_an_image_that_was_taken_back_speaks_for_nobody() -> None:
    """RULES B7, B10: rejecting the wrong person's images mends the study."""
    found = one_series(ANNA, ANNA, BERT)
    (only,) = found.series
    left = replace(found, series=(replace(only, instances=only.instances[:2]),))
    assert contradicting_series(left) == ()
    assert not safety(agree_on_patient(left))


def test_of_a_long_series_what_is_not_shared_is_left_out_or_parked() -> None:
    """RULES B9, B10: only what all have in common is known of it."""
    same = {tag: value for tag, value in ANNA.items() if tag != "0010,0030"}
    found = one_series(ANNA, ANNA, shared=same)
    assert contradicting_series(found) == ()
    assert (agree_on_patient(found).patient.birth_date, safety(agree_on_patient(found))) == ("", ["0010,0030"])
    assert contradicting_series(one_series(ANNA, ANNA, shared={"0010,0020": "COMMON1"})) == (FIRST,)
    assert not safety(agree_on_patient(one_series(ANNA, ANNA, shared=ANNA)))


def undecoded(text: str, *, charset: str = "\\ISO 2022 IR 87") -> Undecoded:
    return Undecoded(value=text.encode(), character_set=charset)


@pytest.mark.parametrize(
    ("tag", "ours", "theirs"),
    [
        ("0010,0021", "A", "B"),
        ("0010,0021", undecoded("A"), undecoded("B")),
        ("0010,0020", undecoded("P1"), undecoded("P2")),
        ("0010,0024", [{"0040,0031": "A"}], [{"0040,0031": "B"}]),
    ],
    ids=["plain", "issuers read raw", "numbers read raw", "issuers in a sequence"],
)
def test_images_of_one_series_that_name_other_ids_leave_the_number_to_nobody(tag: str, ours: Any, theirs: Any) -> None:
    """RULES B10, B11: where texts are read raw (several sets are named), they are compared as texts."""
    found = agree_on_patient(one_series(ANNA | {tag: ours}, ANNA | {tag: theirs}))
    assert found.patient.ids == ()
    assert len(safety(found)) == 1
    assert not safety(agree_on_patient(one_series(ANNA | {tag: ours}, ANNA | {tag: ours})))


@pytest.mark.parametrize("tag", ["0010,0020", "0010,0021"])
def test_an_id_of_a_long_series_of_which_the_archive_shows_a_part_is_nobodys(tag: str) -> None:
    """RULES B10, B11: `Ä1` and `Ö1` are both `1` to an archive that drops what it cannot decode."""
    spoilt = ANNA | {tag: "1", "0008,0016": "1.2.840.10008.5.1.4.1.1.2"}
    first = spoilt | {tag: undecoded("Ä1", charset="ISO IR 192")}
    assert agree_on_patient(one_series(first, spoilt, shared=spoilt)).patient.ids == ()
    assert agree_on_patient(one_series(first, first)).patient.ids


def test_nothing_of_the_person_is_in_a_note() -> None:
    """RULES S1."""
    said = " ".join(note.done for note in agree_on_patient(of(ANNA, ANNA | {"0010,0030": "19331111"})).notes)
    assert "1970" not in said and "1933" not in said


def test_issuers_that_came_as_bytes_are_told_apart_image_by_image() -> None:
    """RULES B10, B11: under a set with escape sequences every text comes as bytes, plain ones too."""

    def text(value: str) -> Undecoded:
        return Undecoded(value=value.encode(), character_set="\\ISO 2022 IR 87")

    shown = ANNA | {"0010,0010": text("Hello^Anna"), "0010,0020": text("COMMON1")}
    images = [shown | {"0010,0021": text(issuer), "0008,0018": f"1.2.3.1.{number}"} for number, issuer in enumerate("AB", 1)]
    found = build(
        study(
            series(representative=images[0], images=images),
            instances=[image(f"1.2.3.1.{number}", number=str(number)) for number in (1, 2)],
            main=ANNA,
        )
    )
    assert agree_on_patient(found).patient.ids == ()
    assert safety(agree_on_patient(found)) == ["0010,0021"]
