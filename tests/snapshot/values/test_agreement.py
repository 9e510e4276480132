"""RULES B9: what all images of a series agree on is the series'; one image speaks for no other."""

from __future__ import annotations

import json

import pytest

from syncd.model.snapshot import Moment, SeriesFacts, StudySnapshot
from syncd.model.study.raw import Tags, Undecoded
from syncd.model.study.reading import Reading
from syncd.snapshot.build import build
from tests.snapshot.studies import coded, image, series, study

FIRST: Tags = {
    "0020,000e": "1.2.3.1",
    "0008,0060": "DX",
    "0018,0015": "HAND",
    "0018,1030": "Hand PA",
    "0008,103e": "PA view",
    "0020,0011": "4",
    "0008,1050": "Doctor^Dan",
    "0008,1070": "Operator^Olga",
    "0008,0070": "Maker",
    "0018,1000": "SN1",
    "0008,0021": "20260301",
    "0008,0031": "101500",
}


def said(*others: Tags, shared: Tags | None = None, first: Tags = FIRST) -> StudySnapshot:
    """A series whose representative says `first` and whose other images say `others`; with `shared`, one is not asked."""
    images = (first, *others) if others else ()
    held = [image(f"1.2.3.1.{at}", number=str(at)) for at in range(1, 1 + max(len(images), 2))]
    return build(
        study(series(representative=first, main=first, images=images, shared=shared, modality="DX"), instances=held)
    )


def of(snapshot: StudySnapshot) -> SeriesFacts:
    return snapshot.series[0]


def noted(snapshot: StudySnapshot) -> dict[str, tuple[str, bool]]:
    return {note.tag: (note.done, note.safety) for note in snapshot.notes}


def test_what_all_images_say_is_the_series() -> None:
    found = said(FIRST)
    assert (of(found).body_part, of(found).description, of(found).number) == ("HAND", "PA view", 4)
    assert len(of(found).performing_physicians) == len(of(found).operators) == 1
    assert not {tag for tag in noted(found) if tag in FIRST}


@pytest.mark.parametrize(
    ("tag", "left", "safety"),
    [
        ("0018,0015", lambda facts: facts.body_part, True),
        ("0008,1050", lambda facts: facts.performing_physicians, False),
        ("0008,1070", lambda facts: facts.operators, False),
        ("0020,0011", lambda facts: facts.number, False),
        ("0008,103e", lambda facts: facts.description == "PA view", False),
        ("0018,1000", lambda facts: facts.equipment.serial, False),
        ("0008,0021", lambda facts: facts.started, False),
        ("0008,0031", lambda facts: facts.started, False),
    ],
)
@pytest.mark.parametrize("how", ["asked", "shared"])
def test_what_images_differ_in_is_left_out_and_noted(tag: str, left: object, safety: bool, how: str) -> None:
    """Whether each was asked, or only what they share is known."""
    assert callable(left)
    rest = {name: value for name, value in FIRST.items() if name != tag}
    found = said({**FIRST, tag: "20250101" if tag == "0008,0021" else "9"}) if how == "asked" else said(shared=rest)
    assert not left(of(found))
    assert noted(found)[tag][0].startswith("left out: the images differ")
    assert noted(found)[tag][1] is safety


def test_protocol_names_that_differ_describe_no_series() -> None:
    """MAPPING A.2: (0008,103E), else (0018,1030), of all its images."""
    first = {tag: value for tag, value in FIRST.items() if tag != "0008,103e"}
    assert of(said(first, first=first)).description == "Hand PA"
    assert of(said({**first, "0018,1030": "Foot"}, first=first)).description == ""


def test_padding_and_order_are_no_difference() -> None:
    assert of(said({**FIRST, "0018,0015": "HAND "})).body_part == "HAND"


def test_a_body_part_that_not_every_image_has_is_not_the_series() -> None:
    found = said({**FIRST, "0018,0015": ""})
    assert of(found).body_part == ""
    assert noted(found)["0018,0015"] == ("left out: not every image has one", True)


def test_a_performer_whom_one_image_does_not_name_is_the_series() -> None:
    """All that carry it agree."""
    rest = {tag: value for tag, value in FIRST.items() if tag != "0008,1050"}
    assert len(of(said(rest)).performing_physicians) == 1


def test_codes_of_performers_that_differ_are_left_out_and_the_name_stays() -> None:
    def coded_as(value: str) -> Tags:
        return {**FIRST, "0008,1052": [{"0040,1101": [coded(value, scheme="99H")]}]}

    assert len(of(said(coded_as("1"), first=coded_as("1"))).performing_physicians[0].identifiers) == 1
    assert of(said(coded_as("2"), first=coded_as("1"))).performing_physicians[0].identifiers == ()


def test_a_modality_that_differs_is_noted_and_one_kept() -> None:
    """FHIR demands `series.modality` (1..1)."""
    found = said({**FIRST, "0008,0060": "RTSTRUCT"})
    assert of(found).modality == "DX"
    assert "differs within the series" in noted(found)["0008,0060"][0]


def test_of_images_that_nobody_asked_none_speaks_for_site_or_person() -> None:
    """A slide of more frames than an archive can write out (RULES B11); what names the series stays."""
    raw = study(series(representative=FIRST, main=FIRST, images=(FIRST,), modality="DX"), instances=[
        image("1.2.3.1.1"), image("1.2.3.1.2", number="2"),
    ])  # fmt: skip
    found = build(raw)
    assert (of(found).body_part, of(found).performing_physicians, of(found).operators) == ("", (), ())
    assert (of(found).description, of(found).number, of(found).modality) == ("PA view", 4, "DX")
    assert noted(found)["0018,0015"] == ("left out: not every image could be asked", True)


HAND, FOOT = (
    {"0008,2218": [coded(value, scheme="SRT", meaning=word)]} for value, word in (("T-D8700", "H"), ("T-D9700", "F"))
)


@pytest.mark.parametrize(
    ("others", "region"),
    [
        ((HAND,), "T-D8700"),
        (({"0008,2218": [coded("T-D8700", scheme="SRT", meaning="other words")]},), "T-D8700"),
        ((FOOT,), None),
        (({},), None),
        ((HAND, FOOT), None),
        (({"5200,9229": [{"0020,9071": [FOOT]}]},), None),
        (({"5200,9229": [{"0020,9071": [HAND]}]},), "T-D8700"),
        (({**HAND, "5200,9229": [{"0020,9071": [FOOT]}]},), None),
    ],
)
def test_a_region_is_the_series_where_every_image_names_it(others: tuple[Tags, ...], region: str | None) -> None:
    """PS3.3 C.8.11.2: a DX image names its own region; hand and foot in one series are neither."""
    found = said(*({**FIRST, **each} for each in others), first={**FIRST, **HAND})
    known = of(found).anatomic_region
    assert (known.value if known else None) == region
    assert bool(of(found).regions_denied) is (region is None)
    assert ("0008,2218" in noted(found)) is (region is None)
    assert noted(found).get("0008,2218", ("", True))[1]


@pytest.mark.parametrize(
    ("frames", "more", "known"),
    [
        ((True, True), {}, True),
        ((True, False), {}, False),
        ((True, False), HAND, True),
        ((True, False), {"5200,9229": [{"0020,9071": [HAND]}]}, True),
    ],
)
def test_a_region_of_some_frames_is_not_the_images(frames: tuple[bool, ...], more: Tags, known: bool) -> None:
    """PS3.3 C.7.6.16.2.8: each frame names its own, unless the image does."""
    first = {**FIRST, **more, "5200,9230": [{"0020,9071": [HAND]} if one else {} for one in frames]}
    found = said(first, first=first)
    assert (of(found).anatomic_region is not None) is known
    assert ("0008,2218" in noted(found)) is not known


@pytest.mark.parametrize(("words", "region"), [(("Hand", "Hand"), "Hand"), (("Hand", "Foot"), None)])
def test_regions_in_mere_words_are_told_by_these(words: tuple[str, str], region: str | None) -> None:
    """Without a code a region is its meaning; one hand's word is not the foot's."""
    first, other = ({**FIRST, "0008,2218": [{"0008,0104": word}]} for word in words)
    known = of(said(other, first=first)).anatomic_region
    assert (known.meaning if known else None) == region


def test_a_region_that_only_another_image_names_is_not_the_series() -> None:
    found = said({**FIRST, **FOOT})
    assert of(found).anatomic_region is None
    assert noted(found)["0008,2218"] == ("region omitted: the images differ, or not all have one", True)


def test_two_sides_in_one_series_are_no_side() -> None:
    """CR of two images, (0020,0060) R and L: neither, and noted as a matter of safety (MAPPING C.6)."""
    found = said({**FIRST, "0020,0060": "L"}, first={**FIRST, "0020,0060": "R"})
    assert of(found).laterality == ""
    assert noted(found)["0020,0060"] == ("laterality omitted: the images differ, or not all have one", True)


@pytest.mark.parametrize(
    ("tag", "read", "safety"),
    [
        ("0008,0090", lambda found: found.referrer, False),
        ("0038,0010", lambda found: found.admission, True),
        ("0008,1060", lambda found: found.interpreters, False),
        ("0008,1040", lambda found: found.location_text, False),
    ],
)
@pytest.mark.parametrize("where", ["series", "images", "shared", "archive"])
def test_what_a_study_has_one_of_is_left_out_where_its_series_differ(
    tag: str, read: object, safety: bool, where: str
) -> None:
    """One series, or one image, speaks for no other; nor does the archive, which keeps what came first."""
    assert callable(read)
    one, other = {**FIRST, tag: "One"}, {**FIRST, "0020,000e": "1.2.3.2", tag: "Other"}
    held = [image("1.2.3.1.1"), image("1.2.3.1.2", number="2"), image("1.2.3.2.1", series="s2")]
    shared = {name: value for name, value in one.items() if name != tag} if where == "shared" else None
    first = series(representative=one, main=one, images=(one, other) if where == "images" else (), shared=shared)
    second = series("1.2.3.2", key="s2", representative=other if where == "series" else {**other, tag: ""})
    found = build(study(first, second, instances=held, main={tag: "Other" if where == "archive" else "One"}))
    assert not read(found)
    assert noted(found)[tag] == ("left out: the series differ", safety)


@pytest.mark.parametrize("where", ["series", "images"])
@pytest.mark.parametrize(
    ("name", "sequence", "item"),
    [
        ("0008,0090", "0008,0096", {"0040,1101": [coded("{}", scheme="99H")]}),
        ("0008,1060", "0008,1062", {"0040,1101": [coded("{}", scheme="99H")]}),
        ("0038,0010", "0038,0014", {"0040,0031": "{}"}),
    ],
)
def test_codes_and_issuers_that_the_series_of_a_study_differ_in_are_left_out(
    name: str, sequence: str, item: Tags, where: str
) -> None:
    """One name with two codes is nobody's code; one number of two issuers is nobody's number (RULES B9, B10)."""
    one, other = (
        {**FIRST, name: "One", sequence: [json.loads(json.dumps(item).replace("{}", code))]} for code in ("1", "2")
    )
    held = [image("1.2.3.1.1"), image("1.2.3.1.2", number="2"), image("1.2.3.2.1", series="s2")]
    first = series(representative=one, main=one, images=(one, other) if where == "images" else ())
    second = series("1.2.3.2", key="s2", representative={**(one if where == "images" else other), "0020,000e": "1.2.3.2"})
    found = build(study(first, second, instances=held, main={name: "One"}))
    people = [*found.interpreters, *([found.referrer] if found.referrer else [])]
    assert not any(person.identifiers for person in people)
    assert found.admission is None
    assert noted(found)[sequence] == ("left out: the series differ", name == "0038,0010")
    assert len(people) == (name != "0038,0010")


ZONED: Tags = {**FIRST, "0040,0244": "20260301", "0040,0245": "101400", "0008,0201": "+0100"}


@pytest.mark.parametrize("how", ["asked", "shared"])
def test_times_of_images_in_different_zones_are_left_out_and_the_days_stay(how: str) -> None:
    """MAPPING C.1: a time without its offset is another moment."""
    rest = {name: value for name, value in ZONED.items() if name != "0008,0201"}
    found = said({**rest, "0008,0201": "+0200"}, first=ZONED) if how == "asked" else said(first=ZONED, shared=rest)
    assert of(found).started == Moment(date="2026-03-01")
    step = of(found).performed_step
    assert step is not None and step.started is not None and not step.started.time
    assert noted(found)["0008,0201"][0].startswith("times left out: the images differ")
    agreeing = of(said(ZONED, first=ZONED)).started
    assert agreeing is not None and agreeing.offset == "+01:00"


def undecoded(text: str, *, charset: str) -> Undecoded:
    return Undecoded(value=text.encode("utf-8" if charset else "latin-1"), character_set=charset)


def test_texts_read_by_the_sites_character_set_are_compared_in_it() -> None:
    """MAPPING C.3: two operators under no character set are two, also for a site that says which it means."""
    first, other = ({**FIRST, "0008,1070": undecoded(name, charset="")} for name in ("Müller", "Möller"))
    held = [image(f"1.2.3.1.{at}", number=str(at)) for at in (1, 2)]
    raw = study(series(representative=first, main=first, images=(first, other)), instances=held)
    found = build(raw, reading=Reading(undeclared_charset="ISO_IR 100"))
    assert (of(found).operators, noted(found)["0008,1070"][0]) == ((), "left out: the images differ")


def test_a_performer_whom_the_archive_could_not_tell_of_another_image_is_not_the_series() -> None:
    """RULES B11: null is there, and not known."""
    found = said({**FIRST, "0008,1070": None})
    assert of(found).operators == ()
    assert noted(found)["0008,1070"][0] == "left out: an image's text could not be read"


@pytest.mark.parametrize("how", ["asked", "shared"])
def test_names_of_a_long_series_of_which_the_archive_shows_a_part_are_not_compared(how: str) -> None:
    """RULES B9, B11: under a set that it does not know, `Müller` and `Möller` are both `Mller` to the archive."""
    spoilt = {**FIRST, "0008,1070": "Mller", "0008,1050": "Doe", "0008,103e": "Hfte"}
    first = {
        **spoilt,
        "0008,1070": undecoded("Müller", charset="ISO IR 192"),
        "0008,1050": undecoded("Doe", charset="ISO IR 192"),
        "0008,103e": undecoded("Hüfte", charset="ISO IR 192"),
    }
    held = [image(f"1.2.3.1.{at}", number=str(at)) for at in (1, 2)]
    known = {"images": (spoilt, spoilt)} if how == "asked" else {"shared": spoilt}
    found = build(study(series(representative=first, main=first, **known), instances=held))  # type: ignore[arg-type]
    assert (of(found).operators, len(of(found).performing_physicians)) == ((), 1)
    assert of(found).description == "Hüfte"
    assert noted(found)["0008,1070"][0] == "left out: not every image could be asked"


def test_what_the_series_of_a_study_agree_on_is_the_studys() -> None:
    one = {**FIRST, "0008,0090": "Referrer^Rita ", "0038,0010": "V1"}
    second = series("1.2.3.2", key="s2", representative={**one, "0020,000e": "1.2.3.2", "0008,0090": "Referrer^Rita"})
    held = [image("1.2.3.1.1"), image("1.2.3.2.1", series="s2")]
    found = build(study(series(representative=one, main=one), second, instances=held, main={"0008,0090": "Referrer^Rita"}))
    assert found.referrer is not None and found.admission is not None


UNDECLARED = Reading(undeclared_charset="ISO_IR 100")


def in_latin_1(text: str) -> Undecoded:
    """A text whose images declare no character set."""
    return Undecoded(value=text.encode("latin-1"), character_set="")


def test_undeclared_texts_are_compared_in_the_set_of_the_site() -> None:
    """RULES B9, B11: two operators are two, whoever has to say in which set they were written."""
    first = FIRST | {"0008,1070": in_latin_1("Müller^Jörg")}
    for other, number in (("Müller^Jörg", 1), ("Möller^Jörg", 0)):
        images = (first, first | {"0008,1070": in_latin_1(other)})
        held = [image(f"1.2.3.1.{at}", number=str(at)) for at in (1, 2)]
        raw = study(series(representative=first, main=FIRST, images=images, modality="DX"), instances=held)
        assert len(of(build(raw, reading=UNDECLARED)).operators) == number


def test_series_with_undeclared_referrers_agree_or_not_in_the_set_of_the_site() -> None:
    """RULES B9, B11: a study has one referrer, or none."""
    one, other = (FIRST | {"0008,0090": in_latin_1(name)} for name in ("Müller^Jörg", "Möller^Jörg"))
    raw = study(
        series("1.2.3.1", key="s1", representative=one),
        series("1.2.3.2", key="s2", representative=other),
        instances=[image(f"1.2.3.{at}.1", series=f"s{at}") for at in (1, 2)],
    )
    assert build(raw, reading=UNDECLARED).referrer is None
