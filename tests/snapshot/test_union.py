"""RULES C8: several copies of one study."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest

from syncd.model.ids import ArchiveName
from syncd.model.snapshot import Code, IssuedId, Issuer, PatientFacts, StudySnapshot
from syncd.snapshot.build import build
from syncd.snapshot.instances.key_objects import rejection_notes
from syncd.snapshot.union import union
from tests.snapshot.studies import KO, coded, image, naming, series, study

EAST, WEST = ArchiveName("east"), ArchiveName("west")


def copy(archive: ArchiveName, *, description: str = "", is_stable: bool = True, **of: list[str]) -> StudySnapshot:
    """A copy whose series `s1="1.2.3.1"` … hold the instances named: `copy(EAST, s1=["1.1", "1.2"])`."""
    return build(
        study(
            *(series(f"1.2.3.{key[1:]}", key=key) for key in of),
            instances=[image(uid, series=key) for key, uids in of.items() for uid in uids],
            main={"0008,1030": description},
            archive=archive,
            is_stable=is_stable,
        )
    )


def held(snapshot: StudySnapshot) -> dict[str, list[str]]:
    return {each.uid: [instance.uid for instance in each.instances] for each in snapshot.series}


def test_one_copy_is_itself() -> None:
    """RULES C8."""
    only = copy(EAST, s1=["1.1"])
    assert union([only], order=[EAST]) is only


def test_each_series_is_taken_whole_from_the_copy_with_most_of_it() -> None:
    """RULES C8; study-level values are those of the copy with most instances."""
    east = copy(EAST, description="East", s1=["1.1", "1.2"], s2=["2.1"])
    west = copy(WEST, description="West", s1=["1.3"], s2=["2.1", "2.2"], s3=["3.1", "3.2"])
    both = union([east, west], order=[EAST, WEST])
    assert held(both) == {"1.2.3.1": ["1.1", "1.2"], "1.2.3.2": ["2.1", "2.2"], "1.2.3.3": ["3.1", "3.2"]}
    assert (both.description, both.archive) == ("West", WEST)


def test_the_choice_and_what_it_leaves_out_are_noted() -> None:
    """RULES C8, "noted"."""
    both = union([copy(EAST, s1=["1.1", "1.2"]), copy(WEST, s1=["1.3"])], order=[EAST, WEST])
    assert [note.done for note in both.notes if note.rule == "C8"] == [
        "2 copies: study values of east",
        "series 1.2.3.1 of 2 copies: taken from east",
        "series 1.2.3.1: instances only in smaller copies left out (1)",
    ]


@pytest.mark.parametrize(("order", "expected"), [([EAST, WEST], "East"), ([WEST, EAST], "West"), ([WEST], "West")])
def test_equal_copies_are_told_apart_by_the_settings(order: list[ArchiveName], expected: str) -> None:
    """RULES C8, "then settings' order"."""
    copies = [copy(EAST, description="East", s1=["1.1"]), copy(WEST, description="West", s1=["1.2"])]
    both = union(copies, order=order)
    assert both.description == expected
    assert held(both)["1.2.3.1"] == (["1.1"] if expected == "East" else ["1.2"])


def test_the_union_does_not_depend_on_the_order_of_the_copies() -> None:
    """RULES C8: two copies of one archive have no order of their own."""
    copies = [
        copy(EAST, description="a", s1=["1.1"]),
        copy(EAST, description="b", s1=["1.2"]),
        copy(WEST, s2=["2.1"]),
    ]
    assert len({union(order, order=[EAST, WEST]) for order in permutations(copies)}) == 1


def test_the_union_is_stable_when_every_copy_is() -> None:
    """RULES A5, C8."""
    settled, moving = copy(EAST, s1=["1.1"]), copy(WEST, s1=["1.1"], is_stable=False)
    assert union([settled, moving], order=[EAST, WEST]).is_stable is False
    assert union([settled, copy(WEST, s1=["1.1"])], order=[EAST, WEST]).is_stable is True


def test_a_rejection_in_any_copy_counts() -> None:
    """MAPPING D.2-1: the smaller copy may be the only one with the note."""
    note = build(
        study(
            series("1.2.3.9", key="s9", modality="KO"),
            instances=[image("1.2.9", sop_class=KO, series="s9")],
            documents={
                "i-1.2.9": {
                    "0008,0016": KO,
                    "0008,0018": "1.2.9",
                    "0040,a043": [coded("113037")],
                    "0040,a375": naming(("1.2.3", "s1", "1.1")),
                }
            },
            archive=WEST,
        )
    )
    both = union([copy(EAST, s1=["1.1", "1.2"]), note], order=[EAST, WEST])
    assert [each.instance_uid for each in rejection_notes(both)] == ["1.2.9"]


def test_the_home_is_the_archive_with_most_series() -> None:
    """MAPPING E: also where another one has more instances; a series taken from elsewhere says so."""
    east = copy(EAST, s1=["1.1", "1.2", "1.3", "1.4", "1.5"])
    west = copy(WEST, s1=["1.1"], s2=["2.1"])
    both = union([east, west], order=[EAST, WEST])
    assert (both.archive, both.home, both.at_home) == (EAST, WEST, WEST)
    assert {series.uid: series.elsewhere for series in both.series} == {"1.2.3.1": EAST, "1.2.3.2": ""}


def test_a_series_that_the_home_has_as_well_is_taken_there() -> None:
    """RULES C8, MAPPING E: the study's Endpoints lead to it, whatever the order of the archives."""
    both = union([copy(EAST, s1=["1.1"]), copy(WEST, s1=["1.1"], s2=["2.1"])], order=[EAST, WEST])
    assert both.at_home == WEST
    assert [series.elsewhere for series in both.series] == ["", ""]


def test_what_any_copy_says_of_orders_and_identifiers_counts() -> None:
    """RULES B9, C8: and says which archive tells of it; those that exclude each other leave a safety note."""
    east = replace(
        copy(EAST, s1=["1.1", "1.2"]),
        patient=PatientFacts(ids=(IssuedId(value="P"),)),
        accessions=(IssuedId(value="A1"),),
        reason_texts=("cough",),
    )
    west = replace(
        copy(WEST, s1=["1.1"]),
        patient=PatientFacts(ids=(IssuedId(value="P"), IssuedId(value="P2"))),
        accessions=(IssuedId(value="A1", issuer=Issuer(local="RIS")), IssuedId(value="A2")),
        procedure_codes=(Code(value="P1", scheme="99X"),),
        reason_texts=("pain",),
    )
    both = union([east, west], order=[EAST, WEST])
    assert both.accessions == (
        IssuedId(value="A1", issuer=Issuer(local="RIS"), elsewhere=WEST),
        IssuedId(value="A2", elsewhere=WEST),
    )
    assert [(one.value, one.elsewhere) for one in both.patient.ids] == [("P", ""), ("P", WEST), ("P2", WEST)]
    assert [one.value for one in both.procedure_codes] == ["P1"]
    assert both.reason_texts == ("cough", "pain")
    assert not [note for note in both.notes if note.safety]
    other = union([east, replace(west, accessions=(IssuedId(value="A3"),))], order=[EAST, WEST])
    assert [note.tag for note in other.notes if note.safety] == ["0008,0050"]
