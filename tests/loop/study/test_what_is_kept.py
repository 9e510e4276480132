"""The ledger keeps nothing of a person in clear (RULES S1): a stolen backup names nobody."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest

from syncd.loop.steps import Step
from tests.loop.world import STUDY, World

SAID = {
    "PatientName": "ZEBULON^QUAGMIRE",
    "PatientID": "PID12345",
    "PatientBirthDate": "19370311",
    "AccessionNumber": "ACC98765",
    "ReferringPhysicianName": "VOGELWEIDE^WALTHER",
    "StudyDescription": "DESCRIPTUM",
    "StudyID": "STID99",
    "PlacerOrderNumberImagingServiceRequest": "PLAC66",
    "RequestedProcedureID": "RP777",
    "OperatorsName": "TOROPERA",
}
WORDS = [word for value in SAID.values() for word in value.split("^")] + ["1937-03-11"]


class Killed(BaseException):
    """As kill -9 would: nothing is committed after it."""


def _kept(world: World) -> str:
    """Every row of the ledger's file, as text."""
    with closing(sqlite3.connect(world.ledger_url.removeprefix("sqlite:///"))) as ledger:
        return "\n".join(ledger.iterdump())


def _named(kept: str) -> list[str]:
    return [word for word in WORDS if word.lower() in kept.lower()]


@pytest.mark.parametrize("policy", [{}, {"accession_in_identifier": True}], ids=["as it comes", "accession as identifier"])
def test_of_a_published_study_no_word_is_kept(new_world: Callable[..., World], policy: dict[str, bool]) -> None:
    """What we wrote is remembered as digests: to know it again is all that is needed of it (RULES C3)."""
    world = new_world(**policy)
    world.published(STUDY, **SAID)
    assert SAID["AccessionNumber"] in str(world.study()), "it was published"
    assert _named(_kept(world)) == []


def test_nor_of_one_that_was_about_to_be_sent(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The intent that kill -9 leaves."""

    def die(step: Step) -> None:
        if step is Step.INTENT_SAVED:
            raise Killed

    monkeypatch.setattr("syncd.loop.study.say.report_step", die)
    with pytest.raises(Killed):
        world.published(STUDY, **SAID)
    kept = _kept(world)
    assert 'INSERT INTO "intents"' in kept
    assert _named(kept) == []
