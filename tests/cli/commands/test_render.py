"""`syncd render`: the JSON, and notes without values (README.md, RULES S1)."""

from __future__ import annotations

import json

import pytest

from syncd.loop.commands import render
from syncd.loop.hooks import Hook
from syncd.mapping.check.check import problems
from syncd.model.ids import ArchiveName
from tests.cli.conftest import Place, Syncd

STUDY = "1.2.276.1"
OTHER = "1.2.276.2"
MAIN = ArchiveName("main")


def test_render_prints_a_valid_resource_and_asks_no_fhir_server(place: Place, syncd: Syncd) -> None:
    """README.md, render: the JSON; nothing sent."""
    place.store(STUDY)
    place.fhir.away = True
    result = syncd("render", STUDY)
    resource = json.loads(result.stdout)
    assert result.exit_code == 0
    assert (resource["id"], resource["status"]) == (STUDY, "available")
    assert not problems(resource)
    assert place.fhir.requests == []
    assert not place.file.exists()


def test_render_takes_an_orthanc_id(place: Place, syncd: Syncd) -> None:
    """README.md: STUDY is a StudyInstanceUID or an Orthanc id."""
    place.store(STUDY)
    [study] = place.orthanc.index.all("Study")
    assert json.loads(syncd("render", study.id).stdout)["id"] == STUDY


def test_notes_tell_what_was_odd_and_never_the_value(place: Place, syncd: Syncd) -> None:
    """RULES S1: tag, rule and what was done; on stderr, so that the JSON stays JSON."""
    place.store(STUDY, StudyDate="not-a-date", PatientSex="Rubbish", PatientBirthDate="19xx", InstanceNumber="many")
    result = syncd("render", STUDY, "--notes")
    assert json.loads(result.stdout)["id"] == STUDY
    assert "0008,0020" in result.stderr
    for value in ("Synthetic", "Sam", "Rubbish", "19xx", "not-a-date", "many"):
        assert value not in result.stderr


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        (("1.2.3.4",), 1, "holds no study"),
        (("0" * 8 + ("-" + "0" * 8) * 4,), 1, "not in the archive"),
        ((STUDY, "--fhir-version", "r7"), 2, "renders dstu2, r4, r4b, r5, r6"),
        (("not-a-uid",), 1, "uid-not-oid"),
    ],
)
def test_what_cannot_be_rendered_says_why(place: Place, syncd: Syncd, words: tuple[str, ...], code: int, hint: str) -> None:
    """README.md: exit codes."""
    place.store("not-a-uid")
    result = syncd("render", *words)
    assert result.exit_code == code
    assert hint in result.stderr
    assert result.stdout == ""


def test_two_patients_in_one_study_are_not_rendered(place: Place, syncd: Syncd) -> None:
    """RULES C8."""
    place.store(STUDY, PatientID="P1")
    place.store(STUDY, PatientID="P2")
    result = syncd("render", STUDY)
    assert result.exit_code == 1
    assert "patient-conflict" in result.stderr


def test_strict_values_stop_and_the_notes_say_why(place: Place, syncd: Syncd, monkeypatch: pytest.MonkeyPatch) -> None:
    """`POLICY__VALUES=strict` parks instead; notes visible in `render --notes` all the same."""
    place.store(STUDY, StudyDate="not-a-date")
    monkeypatch.setenv("SYNCD_POLICY__VALUES", "strict")
    result = syncd("render", STUDY, "--notes")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "values-strict: " in result.stderr
    assert [line.split()[:2] for line in result.stderr.splitlines()].count(["0008,0020", "C.1-13"]) == 1
    assert "not-a-date" not in result.stderr


def test_hooks_are_applied(place: Place, syncd: Syncd, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/hook.md: `render` shows what would be sent, or that it would not be."""
    answers = iter([{"description": "by the site"}, None])

    def call(_: object, resource: dict[str, object]) -> dict[str, object] | None:
        answer = next(answers)
        return None if answer is None else {**resource, **answer}

    hook = Hook(name="site", distribution="site-hook 1", value="site:hook", call=call)
    monkeypatch.setattr(render, "load_hooks", lambda: (hook,))
    place.store(STUDY)
    assert json.loads(syncd("render", STUDY).stdout)["description"] == "by the site"
    vetoed = syncd("render", STUDY)
    assert (vetoed.exit_code, vetoed.stdout) == (1, "")
    assert "hook: vetoed by site" in vetoed.stderr


def test_a_profile_is_rendered_and_says_what_is_missing(place: Place, syncd: Syncd, monkeypatch: pytest.MonkeyPatch) -> None:
    """MAPPING H; docs/settings.md, POLICY__PROFILE: `meta.profile`, notes of rule `H mado`, exit 2 in a version without
    it."""
    place.store(STUDY)
    monkeypatch.setenv("SYNCD_POLICY__PROFILE", "mado")
    result = syncd("render", STUDY, "--notes")
    assert json.loads(result.stdout)["meta"]["profile"][0].endswith("/MadoImagingStudy")
    assert "H mado    missing: accession number" in result.stderr
    refused = syncd("render", STUDY, "--fhir-version", "r5")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "SYNCD_POLICY__PROFILE is mado" in refused.stderr


def test_the_options_reach_the_resource(place: Place, syncd: Syncd, monkeypatch: pytest.MonkeyPatch) -> None:
    """README.md: settings are carried to the mapping; as environment variables."""
    place.store(STUDY, Modality="DSA", AccessionNumber="A1")
    for name, value in (("SITE_MODALITY_SYSTEM", "urn:oid:2.999.1"), ("ACCESSION_IN_IDENTIFIER", "False")):
        monkeypatch.setenv(f"SYNCD_POLICY__{name}", value)
    said = json.loads(syncd("render", STUDY).stdout)
    assert said["modality"] == [{"system": "urn:oid:2.999.1", "code": "DSA"}]
    assert len(said["identifier"]) == 1
