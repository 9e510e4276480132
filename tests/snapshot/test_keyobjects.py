"""MAPPING D: titles of key objects, and which of them reject."""

from __future__ import annotations

import pytest

from syncd.model.snapshot import Code, KeyObject
from syncd.model.study import Tags
from syncd.snapshot.build import build
from syncd.snapshot.keyobjects import rejecting
from tests.snapshot.studies import KO, SR, coded, image, series, study


def holding(title: list[dict[str, str]] | None, *, sop_class: str = KO) -> tuple[KeyObject, ...]:
    """What rejects in a study of one CT image and one document with this title."""
    document: Tags = {"0008,0016": sop_class, "0008,0018": "1.2.9", "0040,a043": title}
    raw = study(
        series(),
        series("1.2.3.2", key="s2", modality="KO"),
        instances=[image("1.2.8"), image("1.2.9", sop_class=sop_class, series="s2")],
        documents={"i-1.2.9": document},
    )
    return rejecting(build(raw))


@pytest.mark.parametrize("title", ["113001", "113037", "113038", "113039"])
def test_four_titles_reject(title: str) -> None:
    """MAPPING D.2; issue 3: such a study is parked `rejection-unsupported`."""
    assert holding([coded(title)]) == (KeyObject(instance_uid="1.2.9", title=Code(value=title, scheme="DCM")),)


@pytest.mark.parametrize(
    "title",
    [
        [coded("113000")],
        [coded("113030")],
        [coded("MADOTEMP001", scheme="99IHE")],
        [coded("113001", scheme="99X")],
        [coded("113000"), coded("113001")],
        [],
        None,
    ],
)
def test_other_and_unreadable_titles_reject_nothing(title: list[dict[str, str]] | None) -> None:
    """MAPPING D.2-5, case I.6 43: only the first item of (0040,A043) is the title."""
    assert holding(title) == ()


def test_a_title_of_another_document_rejects_nothing() -> None:
    """MAPPING D.1: a rejection note is a Key Object Selection."""
    assert holding([coded("113001")], sop_class=SR) == ()


def test_a_key_object_that_was_not_read_is_noted() -> None:
    """RULES A7: without its full tags nobody knows what it says."""
    raw = study(series(modality="KO"), instances=[image("1.2.9", sop_class=KO)])
    assert ("0040,a043", "A7") in {(note.tag, note.rule) for note in build(raw).notes}
