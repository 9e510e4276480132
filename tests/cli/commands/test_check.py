"""`syncd check`: one line each, with what to do (README.md)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from syncd.cli import wiring
from syncd.cli.commands import findings
from syncd.ledger.ledger import Ledger
from syncd.loop import hooks
from syncd.loop.connect import connect
from syncd.loop.hooks import Hook
from syncd.model.ids import ArchiveName
from syncd.settings import load
from tests.cli.conftest import Place, Syncd
from tests.fakes.http import Response, json_response

STUDY = "1.2.276.1"
OTHER = "1.2.276.2"
MAIN = ArchiveName("main")


@pytest.fixture
def owner(place: Place) -> Iterator[Ledger]:
    """The ledger as a living daemon holds it."""
    with Ledger.open(place.ledger_url) as ledger:
        yield ledger


@pytest.fixture(autouse=True)
def same_clock(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine's clock is that of the servers, which stands still."""
    monkeypatch.setattr(findings, "_now", lambda: place.orthanc.clock())


@pytest.mark.parametrize(("seconds", "side"), [(60.0, "behind"), (-60.0, "ahead of")])
def test_check_warns_of_a_clock_that_differs(
    place: Place, syncd: Syncd, monkeypatch: pytest.MonkeyPatch, seconds: float, side: str
) -> None:
    """README.md, check: clock skew; RULES A8: the archive's LastUpdate is compared with our clock."""
    monkeypatch.setattr(findings, "_now", lambda: place.orthanc.clock() + seconds)
    result = syncd("check")
    assert f"warn archive     its clock is 60 s {side} this machine's" in result.stdout
    assert result.exit_code == 0


def test_check_of_a_good_site(place: Place, syncd: Syncd) -> None:
    """README.md, check: one line each; warnings are no failure; nothing is written."""
    result = syncd("check")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["ok", "warn", "warn", "ok", "ok", "ok", "ok"]
    assert "PUBLIC_DICOMWEB_URL" in lines[1]
    assert "TIMEZONE" in lines[2]
    assert "Orthanc 1.12.7" in lines[3]
    assert "HAPI FHIR Server (r4, 4.0.1)" in lines[5]
    assert "will be created" in lines[6]
    assert place.writes == []
    assert not place.file.exists()


def _html(place: Place) -> None:
    place.fhir.rules.append(lambda request: Response(headers={"Content-Type": "text/html"}, body=b"<html>"))


def _orthanc_html(place: Place) -> None:
    place.orthanc.rules.append(lambda request: Response(headers={"Content-Type": "text/html"}, body=b"<html>"))


def _not_orthanc(place: Place) -> None:
    place.orthanc.rules.append(lambda request: json_response({"hello": "world"}))


def _without_endpoint(place: Place) -> None:
    place.fhir.types.discard("Endpoint")


def _version(place: Place) -> None:
    place.fhir.version = "stu3"


def _fhir_credentials(place: Place) -> None:
    place.fhir.authorization = "Bearer other"


def _archive_credentials(place: Place) -> None:
    place.orthanc.authorization = "Basic other"


def _away(place: Place) -> None:
    place.fhir.away = True


def _archive_away(place: Place) -> None:
    place.orthanc.away = True


def _no_dicomweb(place: Place) -> None:
    place.orthanc.dicomweb = False


def _damaged_ledger(place: Place) -> None:
    place.file.write_bytes(b"SQLite format 3\0 but nothing else")


@pytest.mark.parametrize(
    ("trouble", "about", "words", "code"),
    [
        (_away, "FHIR server", "cannot be reached", 3),
        (_html, "FHIR server", "SYNCD_FHIR__URL", 3),
        (_version, "FHIR server", "supports dstu2, r4", 3),
        (_fhir_credentials, "FHIR server", "SYNCD_FHIR__AUTH", 3),
        (_without_endpoint, "FHIR server", "does not serve Endpoint", 2),
        (_archive_away, "archive", "SYNCD_ARCHIVES__MAIN__URL", 3),
        (_orthanc_html, "archive", "web page", 3),
        (_not_orthanc, "archive", "SYNCD_ARCHIVES__MAIN__URL", 3),
        (_archive_credentials, "archive", "SYNCD_ARCHIVES__MAIN__PASSWORD", 3),
        (_no_dicomweb, "archive", "PUBLIC_DICOMWEB_URL", 2),
        (_damaged_ledger, "ledger", "not a database", 4),
    ],
)
def test_check_says_what_is_wrong_and_what_to_do(
    place: Place, syncd: Syncd, trouble: Any, about: str, words: str, code: int
) -> None:
    """`check` says so in one line each with what to do; the other lines are there as well."""
    trouble(place)
    result = syncd("check")
    bad = [line for line in result.stdout.splitlines() if line.startswith("BAD")]
    assert [line[5:17].strip() for line in bad] == [about]
    assert words in bad[0]
    assert result.exit_code == code
    assert "Traceback" not in result.output


def test_check_of_several_troubles_exits_with_the_first(place: Place, syncd: Syncd) -> None:
    """README.md, check: every finding in one run."""
    _archive_away(place)
    _without_endpoint(place)
    result = syncd("check")
    assert result.exit_code == 3
    assert result.stdout.count("BAD") == 2


def test_check_tells_what_a_change_of_settings_means(place: Place, syncd: Syncd, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES B3: `check` tells how many studies will be rendered again."""
    place.store(STUDY)
    assert syncd("resync").exit_code == 0
    assert "rendered again" not in syncd("check").stdout
    monkeypatch.setenv("SYNCD_ARCHIVES__MAIN__ACCESSION_SYSTEM", "http://new.test")
    result = syncd("check")
    assert "1 published studies will be rendered again" in result.stdout
    assert "publishes here" in result.stdout


def test_check_and_a_dry_run_tell_what_rendering_again_would_change(
    place: Place, syncd: Syncd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RULES B9: how many studies, and in which elements; nothing is written, and the servers' text is not shown."""
    place.store(STUDY, AccessionNumber="A1")
    place.store(OTHER, PatientID="P2")
    assert syncd("resync").exit_code == 0
    written = len(place.writes)
    monkeypatch.setenv("SYNCD_ARCHIVES__MAIN__ACCESSION_SYSTEM", "http://new.test")
    sentence = "all looked at: 1 would change in FHIR: basedOn (1), identifier (1)"
    assert f"warn ledger      {sentence}" in syncd("check").stdout
    assert sentence in syncd("resync", "--dry-run").stdout.splitlines()
    as_json = syncd("resync", "--dry-run", "--json")
    assert len(json.loads(as_json.stdout)) == 2 and sentence in as_json.stderr
    assert len(place.writes) == written


def test_what_is_held_is_told_with_the_way_to_let_it_go(place: Place, syncd: Syncd, monkeypatch: pytest.MonkeyPatch) -> None:
    """POLICY__RERENDER=hold: `check` and `status` say how many, and how to release them."""
    place.store(STUDY, AccessionNumber="A1", StudyDate="20240102")
    assert syncd("resync").exit_code == 0
    written = len(place.writes)
    monkeypatch.setenv("SYNCD_ARCHIVES__MAIN__ACCESSION_SYSTEM", "http://new.test")
    monkeypatch.setenv("SYNCD_POLICY__RERENDER", "hold")
    with Ledger.open(place.ledger_url) as ledger:
        connect(wiring.site(load()), ledger)  # as the daemon does at its start
    assert "1 published studies are held" in syncd("check").stdout
    assert "outdated     1 studies, held as they were rendered" in syncd("status").stdout
    assert "SYNCD_POLICY__RERENDER=auto lets them go" in syncd("status").stdout
    assert len(place.writes) == written
    assert syncd("resync", "--since", "2000-01-01").exit_code == 0, "what an operator names is let go"
    assert place.writes[written:] == [f"/fhir/ImagingStudy/{STUDY}"]
    assert "outdated" not in syncd("status").stdout


def test_check_beside_a_daemon_names_it(place: Place, owner: Ledger, syncd: Syncd) -> None:
    """README.md: check only reads, also beside a daemon."""
    assert "held by a running syncd" in syncd("check").stdout


def test_hooks_are_listed_in_one_line(place: Place, syncd: Syncd, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/hook.md: what of the site's own takes part; one that cannot be loaded is exit 2, naming it."""
    listed = [Hook(name=name, distribution=f"{name}-hook 1", value="m:f", call=lambda *_: None) for name in ("a", "b")]
    monkeypatch.setattr(findings, "load_hooks", lambda: tuple(listed))
    result = syncd("check")
    [line] = [line for line in result.stdout.splitlines() if line.split()[1] == "hooks"]
    assert line.endswith("a (a-hook 1), b (b-hook 1)")
    assert result.exit_code == 0


def test_a_hook_that_cannot_be_loaded_is_named(place: Place, syncd: Syncd, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/hook.md: exit 2."""
    entry = EntryPoint(name="site", value="syncd_no_such_module:hook", group=hooks.GROUP)
    monkeypatch.setattr(hooks, "entry_points", lambda **_: (entry,))
    result = syncd("check")
    assert result.exit_code == 2
    assert "BAD  hooks       the hook 'site' (syncd_no_such_module:hook)" in result.stdout
    assert syncd("resync").exit_code == 2
    assert place.writes == []


def test_check_tells_how_many_studies_another_selection_reaches(
    place: Place, syncd: Syncd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the daemon starts with it; nothing is marked."""
    place.store(STUDY)
    syncd("resync")
    monkeypatch.setenv("SYNCD_ARCHIVES__MAIN__EXCLUDE", "modality=CT")
    result = syncd("check")
    assert "1 studies of archive main will be judged again: what is selected changed" in result.stdout
    assert result.exit_code == 0


def test_check_refuses_a_label_where_there_are_none(place: Place, syncd: Syncd, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/settings.md, key `label`: Orthanc 1.12."""
    place.orthanc.version, place.orthanc.modern = "1.10.1", False
    monkeypatch.setenv("SYNCD_ARCHIVES__MAIN__EXCLUDE", "label=private")
    result = syncd("check")
    assert "keeps none: use Orthanc 1.12 or later" in result.stdout
    assert result.exit_code == 2


def _two_studies(place: Place) -> None:
    for study in (STUDY, OTHER):
        place.store(study)


def test_check_turns_a_page_and_names_the_gateway(place: Place, syncd: Syncd) -> None:
    """docs/fhir-servers.md: what the daemon would only meet in its inventory; cause and cure, exit 3."""
    _two_studies(place)
    assert syncd("resync").exit_code == 0
    assert syncd("check").exit_code == 0
    assert [one for one in place.fhir.requests if "_getpages" in one.query]
    place.fhir.rules.append(lambda request: Response(status=404) if "_getpages" in request.query else None)
    result = syncd("check")
    assert result.exit_code == 3
    assert "a gateway before it must let through what lies at the base URL itself" in result.stdout


@pytest.mark.parametrize(
    ("form", "mark", "words"),
    [
        ("if-match-0", "ok", 'by If-Match: W/"0"'),
        ("if-none-match", "ok", "by If-None-Match: *"),
        ("version-in-body", "ok", "by meta.versionId"),
        ("server-ids", "ok", "gives ids of its own"),
        ("get-then-put", "warn", "no way to create only what is not there"),
        ("", "ok", "the first run tries out"),
    ],
)
def test_check_says_which_create_only_form_was_proved_and_what_it_means(
    place: Place, syncd: Syncd, form: str, mark: str, words: str
) -> None:
    """RULES C2: from the ledger; check itself writes nothing."""
    assert syncd("resync").exit_code == 0
    with Ledger.open(place.ledger_url) as ledger:
        target = ledger.facts.target()
        assert target is not None and target.create_form == "if-match-0"
        ledger.facts.save_target(replace(target, create_form=form))
    before = len(place.writes)
    lines = [line for line in syncd("check").stdout.splitlines() if words in line]
    assert [line[:16] for line in lines] == [f"{mark:5}FHIR server"]
    assert len(place.writes) == before


def test_check_says_that_versions_have_no_order(place: Place, syncd: Syncd) -> None:
    """RULES E3: of numbers it says nothing."""
    assert syncd("resync").exit_code == 0
    assert "versions have no order" not in syncd("check").stdout
    with Ledger.open(place.ledger_url) as ledger:
        target = ledger.facts.target()
    assert target is not None
    held = next(one for one in place.fhir.resources("Endpoint") if one["id"] == target.sentinel_id)
    other = json_response({**held, "meta": {**held["meta"], "versionId": "6a3ed52d-9999"}})
    place.fhir.rules.append(lambda request: other if request.path.endswith(target.sentinel_id) else None)
    assert "versions have no order" in syncd("check").stdout
