"""`syncd audit --notes`, and where else it is told that something is in doubt (RULES B9)."""

from __future__ import annotations

import json
import re

import pytest

from syncd.cli.documents import NOTES
from syncd.model.clauses import CLAUSES, RULES, heading_of, with_titles
from syncd.model.words import NOTE_RULES
from tests.cli.conftest import Place, Syncd
from tests.cli.shapes import paths_of

PLAIN, NAMELESS, OTHER = "1.2.276.1", "1.2.276.2", "1.2.276.3"


@pytest.fixture
def doubtful(place: Place, syncd: Syncd) -> Place:
    """NAMELESS and OTHER have no PatientID; all are published."""
    place.store(PLAIN, PatientID="P1", StudyDate="20240102")
    place.store(NAMELESS, PatientID="", StudyDate="20240103", PatientSex="Rubbish")
    place.store(OTHER, PatientID="")
    assert syncd("resync").exit_code == 0
    return place


def test_the_list_names_study_tag_and_rule(doubtful: Place, syncd: Syncd) -> None:
    """README.md, `audit --notes`: which studies, which notes; asks no server and writes nothing."""
    asked = len(doubtful.fhir.requests) + len(doubtful.orthanc.requests)
    result = syncd("audit", "--notes")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["StudyInstanceUID", NAMELESS, OTHER]
    assert lines[1].split()[1] == "main" and "0010,0020  I-11  no PatientID" in lines[1]
    assert lines[3].startswith("2 published studies are in doubt")
    assert PLAIN not in result.stdout and "Synthetic" not in result.output
    assert len(doubtful.fhir.requests) + len(doubtful.orthanc.requests) == asked


def test_the_document_has_the_shape_that_is_documented(doubtful: Place, syncd: Syncd) -> None:
    """README.md: a stable, documented shape (docs/audit.md)."""
    document = json.loads(syncd("audit", "--notes", "--json").stdout)
    assert paths_of(document) == set(NOTES)
    assert (document["number"], [one["study"] for one in document["studies"]]) == (2, [NAMELESS, OTHER])
    assert document["studies"][0]["notes"] == [
        {"tag": "0010,0020", "rule": "I-11", "done": "no PatientID: the patient is unidentified"}
    ]
    assert json.loads(syncd("audit", "--notes", "--archive", "main", "--json").stdout) == document


def test_what_is_corrected_leaves_the_list(doubtful: Place, syncd: Syncd) -> None:
    """RULES B9: in the transaction that records it."""
    for study in (NAMELESS, OTHER):
        (gone,) = (one for one in doubtful.orthanc.index.all("Study") if one.main["StudyInstanceUID"] == study)
        doubtful.orthanc.handle("DELETE", f"/studies/{gone.id}")
        doubtful.store(study, PatientID="P2", SeriesInstanceUID=f"{study}.9")
    assert syncd("resync").exit_code == 0
    result = syncd("audit", "--notes")
    assert (result.exit_code, result.stdout) == (0, "No published study has safety notes.\n")
    assert json.loads(syncd("audit", "--notes", "--json").stdout) == {"outdated": 0, "studies": [], "number": 0}


def test_a_new_site_has_none(place: Place, syncd: Syncd) -> None:
    """README.md: a question creates no ledger."""
    assert syncd("audit", "--notes").stdout == "No published study has safety notes.\n"
    assert not place.file.exists()


def test_a_rule_is_told_by_its_title_and_where_there_is_more(doubtful: Place, syncd: Syncd) -> None:
    """docs/mapping.md, docs/rules.md: a number alone tells nothing to who reads it once a year."""
    more = f"I-11 {CLAUSES['I-11']} (docs/mapping.md)"
    assert syncd("audit", "--notes").stdout.splitlines()[1].endswith(f"  {more}")
    assert f"(safety) [{more}]" in syncd("explain", NAMELESS).stdout
    assert f"(safety) [{more}]" in syncd("render", NAMELESS, "--notes").stderr


@pytest.mark.parametrize("rule", NOTE_RULES)
def test_every_rule_that_a_note_names_has_a_title(rule: str) -> None:
    """None is shown by its number alone."""
    code = re.escape(rule.removeprefix("RULES "))
    assert re.fullmatch(rf"{code} [A-Z].+ \(docs/(rules|mapping)\.md\)", heading_of(rule))


def test_a_detail_in_words_says_what_it_said() -> None:
    """RULES S1: titles are added, nothing else; a text without rules stays as it is."""
    told = "0008,0020 C.1-1, - B (0010,1000), 0010,0010 RULES B10 and 3 more as Patient/x says otherwise"
    assert with_titles(told) == (
        f"0008,0020 C.1-1 ({CLAUSES['C.1-1']}), - B (0010,1000) ({CLAUSES['B (0010,1000)']}), "
        f"0010,0010 RULES B10 ({RULES['B10']}) and 3 more as Patient/x says otherwise"
    )
    for plain in ("", "the server refuses A.1 of it", "hook M: vetoed"):
        assert with_titles(plain) == plain


@pytest.mark.parametrize("word", ["--deep", "--repair", "--accept-retractions"])
def test_the_list_does_nothing_else(place: Place, syncd: Syncd, word: str) -> None:
    """README.md: 2 settings."""
    result = syncd("audit", "--notes", word)
    assert result.exit_code == 2 and "only lists" in result.stderr


def test_status_gives_the_number_and_the_command(doubtful: Place, syncd: Syncd) -> None:
    """RULES B9: what is noted is seen by the operator."""
    assert "in doubt     2 published studies have safety notes: `syncd audit --notes`" in syncd("status").stdout
    assert json.loads(syncd("status", "--json").stdout)["studies"]["safety"] == 2


def test_explain_and_render_tell_which_notes_these_are(doubtful: Place, syncd: Syncd) -> None:
    """RULES B9: a class of its own."""
    assert "the patient is unidentified (safety)" in syncd("explain", NAMELESS).stdout
    assert "the patient is unidentified (safety)" in syncd("render", NAMELESS, "--notes").stderr
    shown = json.loads(syncd("explain", NAMELESS, "--json").stdout)["notes"]
    assert {(one["rule"], one["safety"]) for one in shown} >= {("I-11", True), ("C.3", False)}


def test_a_safe_site_sets_them_aside_and_says_why(place: Place, syncd: Syncd, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/settings.md, `POLICY__VALUES=safe`: parks a study whose side, site, person or order is in doubt, and no other."""
    monkeypatch.setenv("SYNCD_POLICY__VALUES", "safe")
    place.store(PLAIN, PatientID="P1", StudyDate="31.12.2024")
    place.store(NAMELESS, PatientID="")
    assert syncd("resync").exit_code == 1
    rows = json.loads(syncd("parked", "--json").stdout)
    assert [(one["study"], one["reason"], one["detail"]) for one in rows] == [
        (NAMELESS, "values-strict", "safe: 0010,0020 I-11")
    ]
    in_words = f"safe: 0010,0020 I-11 ({CLAUSES['I-11']})"
    for command in (("parked", "list"), ("parked", "show", NAMELESS), ("explain", NAMELESS)):
        assert in_words in syncd(*command).stdout


def test_a_rule_of_another_version_is_told_by_its_code() -> None:
    """The ledger keeps notes of versions whose rules had other numbers: the list is shown all the same."""
    assert heading_of("X.1") == "X.1"
