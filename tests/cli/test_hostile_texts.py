"""What commands quote of a study and of a server is shown and commands no terminal (RULES S1)."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Place, Syncd
from tests.fakes.http import Request, Response
from tests.loop.world import puts

STUDY = "1.2.276.9"
HOSTILE = "\x1b[2J\x9b2J\x85\u2028\u202efalse\u2069\x7f\nIn sync."
"""Clears the screen, twice; two ends of a line; turns the direction; an end of a line of everybody."""


@pytest.fixture
def refused(place: Place, syncd: Syncd) -> Place:
    """A study whose every text is hostile, refused by a server whose answer is no better."""
    place.store(STUDY, PatientID="P1", StudyDescription=HOSTILE, SpecificCharacterSet="ISO_IR 192", StudyDate="20240102")
    issue = {"severity": "error", "code": HOSTILE, "diagnostics": HOSTILE, "expression": [HOSTILE]}
    outcome = json.dumps({"resourceType": "OperationOutcome", "issue": [issue]}).encode()
    answer = Response(status=422, headers={"Content-Type": "application/fhir+json"}, body=outcome)

    def refuse(request: Request) -> Response | None:
        return answer if puts()(request) else None

    place.fhir.rules.append(refuse)
    assert syncd("resync").exit_code == 1
    return place


@pytest.mark.parametrize(
    "words",
    [("parked", "show", STUDY), ("parked", "list"), ("explain", STUDY), ("resync",), ("render", STUDY), ("audit",)],
    ids=" ".join,
)
def test_no_text_commands_the_terminal(refused: Place, syncd: Syncd, words: tuple[str, ...]) -> None:
    """Every character is one that is shown; a terminal sees lines of ours."""
    said = syncd(*words)
    told = [line for line in said.output.split("\n") if line]
    assert told
    assert [ascii(line) for line in told if not line.isprintable()] == []


def test_a_document_holds_what_was_there(refused: Place, syncd: Syncd) -> None:
    """What is spelt out is the same JSON."""
    shown = syncd("parked", "show", STUDY).stdout
    outcome = json.loads(shown[shown.index("{") :])
    assert outcome["issue"][0]["diagnostics"] == HOSTILE


def test_a_server_of_a_hostile_name_is_refused_in_plain_words(place: Place, syncd: Syncd) -> None:
    """An error's message goes to the terminal as well."""
    place.orthanc.rules.append(lambda request: Response(body=HOSTILE.encode()))
    said = syncd("check")
    assert said.exit_code == 3
    assert [ascii(line) for line in said.output.split("\n") if not line.isprintable()] == []
