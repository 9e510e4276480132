"""`syncd explain`: why a study is as it is, with everything that is known of it (README.md)."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from syncd.cli.documents import EXPLAIN
from syncd.ledger.ledger import Ledger
from syncd.ledger.studies import outbox
from syncd.model.ids import ArchiveName
from syncd.model.outbox import OutboxEntry
from syncd.model.study.rejection import QUALITY, Rejection
from syncd.model.words import Cause
from syncd.model.work import Mark, MarkKind
from tests.cli.conftest import Place, Syncd
from tests.cli.shapes import paths_of
from tests.loop.world import puts, refused

STUDY, OTHER = "1.2.276.1", "1.2.276.2"
MAIN = ArchiveName("main")
PHI = {
    "PatientName": "Quagmire^Zebulon",
    "PatientID": "PID-4711",
    "AccessionNumber": "ACC-0815",
    "PatientBirthDate": "19370311",
}


@pytest.fixture
def published(place: Place, syncd: Syncd) -> Place:
    place.store(STUDY, StudyDate="20240102", **PHI)
    assert syncd("resync").exit_code == 0
    return place


def told(syncd: Syncd, study: str = STUDY, *, code: int) -> dict[str, Any]:
    result = syncd("explain", study, "--json")
    assert result.exit_code == code, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def test_a_study_in_sync(published: Place, syncd: Syncd) -> None:
    """README.md, `explain`: exit 0; what the archive says, what was published, what FHIR holds, the decision, history."""
    written = len(published.writes)
    document = told(syncd, code=0)
    (copy,) = document["copies"]
    assert (copy["archive"], copy["stable"], copy["series"], copy["instances"]) == ("main", True, 1, 1)
    record = document["published"]
    assert (record["resource"], record["version"], record["status"]) == (STUDY, "1", "available")
    assert (record["subject"], record["settings"], record["archive"]) == ("own", "current", "main")
    assert (document["fhir"]["state"], document["fhir"]["version"], document["fhir"]["differing"]) == ("found", "1", [])
    assert "series" in document["fhir"]["equal"]
    assert document["decision"] == {"decision": "Skip", "reason": "the server already says so"}
    (line,) = document["history"]
    assert line["decision"] == "Create" and len(line["correlation_id"]) == 36
    assert (document["pending"], document["parked"], document["retraction"]) == (None, None, None)
    assert len(published.writes) == written
    shown = syncd("explain", STUDY)
    assert shown.exit_code == 0
    assert "Skip: the server already says so" in shown.stdout
    assert line["correlation_id"] in shown.stdout


def test_no_word_identifies_the_patient(published: Place, syncd: Syncd) -> None:
    """RULES S1."""
    for words in ((), ("--json",)):
        said = syncd("explain", STUDY, *words).output
        assert not [value for value in (*PHI.values(), "Quagmire", "1937-03-11") if value in said]


def test_an_orthanc_id_names_the_study(published: Place, syncd: Syncd) -> None:
    """README.md: STUDY is a StudyInstanceUID or an Orthanc id; one that nobody knows is exit 1."""
    (orthanc_id,) = (one.id for one in published.orthanc.index.all("Study"))
    assert told(syncd, orthanc_id, code=0)["study"] == STUDY
    unknown = syncd("explain", "-".join(["0123abcd"] * 5))
    assert unknown.exit_code == 1
    assert "No archive holds" in unknown.stderr


def test_a_study_that_nobody_knows(place: Place, syncd: Syncd) -> None:
    """README.md, `explain`: works on a new site, leaves nothing behind, and says so."""
    document = told(syncd, "1.2.3.4", code=1)
    assert (document["known"], document["published"], document["copies"]) == (False, None, [])
    assert "no archive holds it" in syncd("explain", "1.2.3.4").stdout
    assert not place.file.exists()


def test_what_somebody_else_changed_is_named(published: Place, syncd: Syncd) -> None:
    """README.md, `explain`: equal or differing elements by name; the very decision of a repair."""
    (resource,) = published.fhir.resources("ImagingStudy")
    changed = {**resource, "description": "their words", "note": [{"text": "seen"}]}
    published.fhir.handle("PUT", f"/fhir/ImagingStudy/{STUDY}", body=json.dumps(changed).encode())
    document = told(syncd, code=1)
    assert (document["fhir"]["differing"], document["fhir"]["foreign"]) == (["description"], ["note"])
    assert document["decision"] == {"decision": "Update", "reason": "differs on the server"}
    assert (document["fhir"]["version"], document["published"]["version"]) == ("2", "1")
    assert "their words" not in json.dumps(document)


def test_what_is_refused(published: Place, syncd: Syncd) -> None:
    """RULES E2, S1: the reason and the detail; the server's text is in `parked show` only."""
    published.store(OTHER, PatientID="P2", PatientBirthDate="19xx")
    published.fhir.rules.append(lambda request: refused(422, "Synthetic text") if puts()(request) else None)
    syncd("resync")
    document = told(syncd, OTHER, code=1)
    assert document["parked"]["reason"] == "refused"
    assert document["decision"]["decision"] == "Park"
    assert document["fhir"]["state"] == "absent"
    assert document["notes"], "what was odd is told although it was never published"
    shown = syncd("explain", OTHER)
    assert f"syncd parked show {OTHER}" in shown.stdout
    assert "Synthetic text" not in shown.output + json.dumps(document)


def test_a_study_with_odd_values_where_none_are_wanted(
    published: Place, syncd: Syncd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """README.md, `explain`: the notes are told even where they are what the study is parked for."""
    monkeypatch.setenv("SYNCD_POLICY__VALUES", "strict")
    published.store(OTHER, PatientID="P2", PatientBirthDate="19xx")
    document = told(syncd, OTHER, code=1)
    assert document["decision"]["decision"] == "Park"
    assert {"tag": "0010,0030", "rule": document["notes"][0]["rule"]}.items() <= document["notes"][0].items()
    assert told(syncd, code=1)["published"]["settings"] == "outdated", "by other settings than today's"


def test_every_field_is_documented(published: Place, syncd: Syncd) -> None:
    """README.md: a stable, documented shape (docs/audit.md): everything that can be told is told of this study."""
    published.store(STUDY, StudyDate="2024", StudyTime="xx", **PHI)
    published.fhir.rules.append(lambda request: refused(422) if puts()(request) else None)
    syncd("resync")
    with Ledger.open(published.ledger_url) as ledger:
        ledger.marks.add([Mark(study_uid=STUDY, kind=MarkKind.RESYNC, archive=MAIN)], settle_after=0.0)
        ledger.retractions.plan([STUDY], archive=MAIN, cause=Cause.GONE)
        note = Rejection(
            note_uid="1.9", source_uid=OTHER, target_uid=STUDY, title=QUALITY, patient="other", instances=("1.8",)
        )
        ledger.rejections.keep(OTHER, [note])
        entry = OutboxEntry(kind="Provenance", sink="fhir", study_uid=STUDY, key="prov-1", made_at=5.0, due=9.0)
        ledger._transactions.own(lambda tx: outbox.keep(tx, [entry, replace(entry, key="prov-2")]))
        first, second = ledger.outbox.of_study(STUDY)
        ledger.outbox.give_up(first, "subject: not written, refused")
        ledger.outbox.put_off(replace(second, attempts=2, reason="503"))
    document = told(syncd, code=1)
    nullable = {"published", "pending", "parked", "decision", "retraction"}
    assert paths_of(document, {"not_asked": "<server>"}) | nullable | {"not_asked.<server>"} == set(EXPLAIN)
    assert document["rejections"][0]["instances"] == 1
    assert document["retraction"]["cause"] == "gone"
    assert [(one["state"], one["attempts"]) for one in document["owed"]] == [("waiting", 2), ("given-up", 0)]
    shown = syncd("explain", STUDY).stdout
    assert "Provenance to fhir, waiting since" in shown and "after 2 failed attempts: 503" in shown
    assert "subject: not written, refused" in shown
    status = syncd("status").stdout
    assert "Provenance to fhir: 1 waiting, 1 given up" in status
    assert "113001: 1 instances" in shown and "waits for `syncd audit --accept-retractions`" in shown


@pytest.mark.parametrize(("server", "name"), [("orthanc", "main"), ("fhir", "fhir")])
def test_a_server_that_is_away_is_named_and_the_rest_is_told(published: Place, syncd: Syncd, server: str, name: str) -> None:
    """README.md, `explain`: exit 3, and says what could not be asked."""
    getattr(published, server).away = True
    document = told(syncd, code=3)
    assert list(document["not_asked"]) == [name]
    assert document["published"]["version"] == "1" and document["history"]
    assert document["decision"] is None and document["undecided"]
    assert bool(document["copies"]) == (server == "fhir")
    assert document["fhir"]["state"] == ("unknown" if server == "fhir" else "found")
    shown = syncd("explain", STUDY)
    assert "not asked" in shown.stdout and "cannot be told" in shown.stdout


def test_beside_a_daemon(published: Place, syncd: Syncd) -> None:
    """README.md, `explain`: a guest of the ledger; pending work is left, exit 1, and stays as it was."""
    with Ledger.open(published.ledger_url) as owner:
        owner.marks.add([Mark(study_uid=STUDY, kind=MarkKind.VERIFY, archive=MAIN, read_fhir=True)], settle_after=0.0)
        row = owner.marks.find(STUDY)
        pending = told(syncd, code=1)["pending"]
        assert (pending["reason"], pending["reads_fhir"], pending["attempts"]) == ("verify", True, 0)
        assert owner.marks.find(STUDY) == row
    assert len(told(syncd, code=1)["history"]) == 1
