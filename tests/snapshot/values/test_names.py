"""MAPPING C.2: PN and the persons beside it."""

from __future__ import annotations

import pytest

from syncd.model.snapshot import Code, NameGroup, Person, PersonName
from syncd.snapshot.people.persons import person, persons
from syncd.snapshot.values.names import person_name, person_names
from tests.snapshot.studies import Heard, coded, tagset

NAMES, WHO = "0008,1050", "0008,1052"


def alphabetic(**parts: str) -> PersonName:
    return PersonName(alphabetic=NameGroup(**parts))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Doe^Jane", alphabetic(family="Doe", given="Jane")),
        (
            "Doe^Jane Ann^Q^Dr^MD",
            alphabetic(family="Doe", given="Jane Ann", middle="Q", prefix="Dr", suffix="MD"),
        ),
        ("Doe^Jane^^^", alphabetic(family="Doe", given="Jane")),
        ("^Jane", alphabetic(given="Jane")),
        ("Van Dyke^", alphabetic(family="Van Dyke")),
        ("Doe", alphabetic(family="Doe")),
        ("Jane Doe", alphabetic(text="Jane Doe")),
        ("Doe, Jane", alphabetic(text="Doe, Jane")),
        ("a^b^c^d^e^f^g", alphabetic(family="a", given="b", middle="c", prefix="d", suffix="e f g")),
        ("=山田^太郎", PersonName(ideographic=NameGroup(family="山田", given="太郎"))),
        ("山田　太郎", alphabetic(text="山田　太郎")),
        (
            "Yamada^Tarou=山田^太郎=やまだ^たろう",
            PersonName(
                alphabetic=NameGroup(family="Yamada", given="Tarou"),
                ideographic=NameGroup(family="山田", given="太郎"),
                phonetic=NameGroup(family="やまだ", given="たろう"),
            ),
        ),
        ("Doe^Jane\\Roe^Richard", alphabetic(family="Doe", given="Jane")),
        ("^^^^", None),
        ("==", None),
        (" = ^ ", None),
        ("", None),
    ],
)
def test_a_name_is_split_by_its_carets_and_never_by_guess(text: str, expected: PersonName | None) -> None:
    """MAPPING C.2, cases I.2 9 and 10."""
    assert person_name(text) == expected


@pytest.mark.parametrize("text", ["a^b^c^d^e^f", "Doe^Jane\\Roe", "a=b=c=d"])
def test_what_is_cut_from_a_name_is_noted(text: str) -> None:
    """MAPPING C.2."""
    heard = Heard()
    person_name(text, note=heard)
    assert heard.rules == ["C.2"]


def test_several_names_stay_in_order_without_empty_ones() -> None:
    """MAPPING A.1, interpreter: one per name."""
    assert person_names("Doe^Jane\\^^\\Roe") == (alphabetic(family="Doe", given="Jane"), alphabetic(family="Roe"))


def test_persons_carry_the_codes_of_their_position() -> None:
    """MAPPING B: (0040,1101) of the identification item at the same position."""
    level = tagset({NAMES: "Doe\\Roe", WHO: [{"0040,1101": [coded("7", scheme="99H")]}, {}]})
    assert persons(level, names=NAMES, identification=WHO) == (
        Person(name=alphabetic(family="Doe"), identifiers=(Code(value="7", scheme="99H"),)),
        Person(name=alphabetic(family="Roe")),
    )


def test_codes_that_belong_to_nobody_in_particular_are_left_out() -> None:
    """MAPPING B: one item for two names identifies neither."""
    level = tagset({NAMES: "Doe\\Roe", WHO: [{"0040,1101": [coded("7", scheme="99H")]}]})
    assert [each.identifiers for each in persons(level, names=NAMES, identification=WHO)] == [(), ()]
    assert [note.tag for note in level.notes.in_order()] == [WHO]


def test_only_the_first_referrer_is_taken_and_the_rest_noted() -> None:
    """MAPPING A.1, referrer."""
    level = tagset({"0008,0090": "Doe\\Roe"})
    assert person(level, name="0008,0090", identification="0008,0096") == Person(name=alphabetic(family="Doe"))
    assert [note.rule for note in level.notes.in_order()] == ["A.1"]
    assert person(tagset({}), name="0008,0090", identification="0008,0096") is None
