"""Studies that the FHIR server does not take, or that others hold there: set aside with a reason, and left in peace."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.proxy import Answer
from tests.real.installation import TAG_SYSTEM, Installation, further, study
from tests.servers import Archive, FhirServer

SAID_BY_SERVER = "Quagmire must not be stored here"
NOTE = [{"text": "Somebody read this"}]


def test_a_refused_study_is_parked_and_not_sent_again_until_somebody_asks(
    archive: Archive, hapi: FhirServer, install: Callable[..., Installation]
) -> None:
    """RULES E2, C6: parked `refused` with its neighbours going on; a plain resync sends nothing, `--study` sends once."""
    site = install(archive, hapi)
    refused, neighbour = _stable(site, "refused", "taken")
    outcome = {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": "business-rule", "diagnostics": SAID_BY_SERVER}],
    }
    rule = site.before_fhir.fail(
        Answer(status=422, body=json.dumps(outcome).encode(), headers={"Content-Type": "application/fhir+json"}),
        method="PUT",
        path=f"/ImagingStudy/{refused}",
    )
    ended = site.syncd.command("resync", expect=1)
    assert refused in ended.out
    assert "refused" in ended.out
    assert neighbour not in ended.out
    assert site.syncd.parked() == {refused: "refused"}
    assert site.says(neighbour)
    assert len(site.puts(refused)) == 1

    again = site.syncd.command("resync", "--json", expect=1)
    assert again.json["parked"].keys() == {refused}
    assert len(site.puts(refused)) == 1, "what was refused is not sent again"

    site.syncd.command("resync", "--study", refused, expect=1)
    assert len(site.puts(refused)) == 2
    site.syncd.command("resync", expect=1)
    assert len(site.puts(refused)) == 2

    site.before_fhir.remove_rule(rule)
    site.syncd.command("resync", "--study", refused, expect=0)
    assert site.says(refused)
    assert site.syncd.parked() == {}
    assert len(site.puts(neighbour)) == 1
    assert SAID_BY_SERVER not in site.syncd.everything_said()


@pytest.mark.long
def test_a_refused_study_is_sent_again_when_it_changes(
    archive: Archive, hapi: FhirServer, install: Callable[..., Installation]
) -> None:
    """RULES E2 "Parked is not deaf": another digest is another try."""
    site = install(archive, hapi)
    (refused,) = _stable(site, "refused, then changed")
    site.before_fhir.fail(Answer(status=400), method="PUT", path=f"/ImagingStudy/{refused}", times=1)
    site.syncd.command("resync", expect=1)
    assert site.syncd.parked() == {refused: "refused"}
    site.send(further("refused, then changed", number=2))
    site.wait_stable(refused)
    site.syncd.command("resync", expect=0)
    assert site.says(refused, instances=2)


@pytest.mark.long
def test_one_forbidden_and_one_too_large_study_hold_up_no_other(
    archive: Archive, hapi: FhirServer, install: Callable[..., Installation]
) -> None:
    """RULES C6: 403 for one study → `forbidden`; 413 → the summary; 413 to that, too → `too-large`; a 404 that is no FHIR
    server's pauses the target and parks nothing."""
    site = install(archive, hapi)
    forbidden, large, huge, lost = _stable(site, "forbidden", "large", "huge", "lost")
    for study_uid, status, times in ((forbidden, 403, None), (large, 413, 1), (huge, 413, None)):
        wanted = {"times": times} if times else {}
        site.before_fhir.fail(Answer(status=status), method="PUT", path=f"/ImagingStudy/{study_uid}", **wanted)
    nowhere = site.before_fhir.fail(Answer(status=404), method="PUT", path=f"/ImagingStudy/{lost}")
    site.syncd.command("resync", expect=3)
    assert lost not in site.syncd.parked()
    site.before_fhir.remove_rule(nowhere)
    site.syncd.command("resync", expect=1)
    assert site.syncd.parked() == {forbidden: "forbidden", huge: "too-large"}
    assert site.says(lost)
    held = site.resource(large)
    assert held is not None and held["numberOfInstances"] == 1
    assert "instance" not in held["series"][0]


def test_a_foreign_imagingstudy_at_our_id_stays_untouched(
    archive: Archive, hapi: FhirServer, install: Callable[..., Installation]
) -> None:
    """RULES C2: parked `foreign-imagingstudy`."""
    site = install(archive, hapi)
    study_uid, neighbour = _stable(site, "foreign by id", "beside foreign by id")
    _put(site, _foreign(study_uid, resource_id=study_uid))
    before = site.resource(study_uid)
    ended = site.syncd.command("resync", expect=1)
    assert "foreign-imagingstudy" in ended.out
    assert site.syncd.parked() == {study_uid: "foreign-imagingstudy"}
    assert site.resource(study_uid) == before
    assert site.puts(study_uid) == ()
    assert site.says(neighbour)


@pytest.mark.long
def test_a_foreign_imagingstudy_with_our_identifier_stays_untouched(
    archive: Archive, hapi: FhirServer, install: Callable[..., Installation]
) -> None:
    """RULES C2: the identifier is looked up as well, so no second ImagingStudy of the same study appears."""
    site = install(archive, hapi)
    (study_uid,) = _stable(site, "foreign by identifier")
    _put(site, _foreign(study_uid, resource_id=f"{site.name}-somebodys"))
    site.syncd.command("resync", expect=1)
    assert site.syncd.parked() == {study_uid: "foreign-imagingstudy"}
    assert site.resource(study_uid) is None
    # Deleted by its owner: nothing stands in the way any more.
    assert site.fhir.request("DELETE", f"ImagingStudy/{site.name}-somebodys").status == 200
    site.syncd.command("resync", expect=0)
    assert site.says(study_uid)


@pytest.mark.long
def test_another_installations_study_stays_untouched(
    archive: Archive, hapi: FhirServer, install: Callable[..., Installation]
) -> None:
    """RULES C2: parked `owned-elsewhere`."""
    site = install(archive, hapi)
    (study_uid,) = _stable(site, "owned elsewhere")
    theirs = _foreign(study_uid, resource_id=study_uid)
    theirs["meta"] = {"tag": [{"system": TAG_SYSTEM, "code": "somebody-else"}]}
    _put(site, theirs)
    site.syncd.command("resync", expect=1)
    assert site.syncd.parked() == {study_uid: "owned-elsewhere"}
    assert site.puts(study_uid) == ()


def test_what_a_human_added_survives_an_update(
    archive: Archive, hapi: FhirServer, install: Callable[..., Installation]
) -> None:
    """RULES C3, C4: the version moved behind our back: 409, read again, and both sides' parts are there."""
    site = install(archive, hapi)
    (study_uid,) = _stable(site, "noted by a human")
    site.syncd.command("resync", expect=0)
    edited = site.resource(study_uid)
    assert edited is not None
    interpreter = [{"display": "Reader of the day"}]
    _put(site, {**edited, "note": NOTE, "interpreter": interpreter})

    site.before_fhir.forget()
    site.send(further("noted by a human", number=2))
    site.wait_stable(study_uid)
    site.syncd.command("resync", expect=0)
    assert [put.status for put in site.puts(study_uid)] == [409, 200]
    found = site.resource(study_uid)
    assert found is not None
    assert (found["note"], found["interpreter"], found["numberOfInstances"]) == (NOTE, interpreter, 2)

    # And once more, now that the ledger knows of the foreign part: one PUT, no conflict.
    site.before_fhir.forget()
    site.send(further("noted by a human", number=3))
    site.wait_stable(study_uid)
    site.syncd.command("resync", expect=0)
    assert [put.status for put in site.puts(study_uid)] == [200]
    found = site.resource(study_uid)
    assert found is not None
    assert (found["note"], found["interpreter"], found["numberOfInstances"]) == (NOTE, interpreter, 3)


def test_a_withdrawal_by_a_human_is_not_undone(
    archive: Archive, hapi: FhirServer, install: Callable[..., Installation]
) -> None:
    """RULES C4: a foreign `entered-in-error` parks `withdrawn-by-other`."""
    site = install(archive, hapi)
    (study_uid,) = _stable(site, "withdrawn")
    site.syncd.command("resync", expect=0)
    edited = site.resource(study_uid)
    assert edited is not None
    _put(site, {**edited, "status": "entered-in-error"})
    site.send(further("withdrawn", number=2))
    site.wait_stable(study_uid)
    site.syncd.command("resync", expect=1)
    assert site.syncd.parked() == {study_uid: "withdrawn-by-other"}
    assert site.says(study_uid, status="entered-in-error", instances=1)


def _stable(site: Installation, *words: str) -> list[str]:
    """Studies of one instance in the archive, complete."""
    made = [study(each) for each in words]
    for _, files in made:
        site.send(*files)
    uids = [study_uid for study_uid, _ in made]
    site.wait_stable(*uids)
    return uids


def _foreign(study_uid: str, *, resource_id: str) -> dict[str, Any]:
    return {
        "resourceType": "ImagingStudy",
        "id": resource_id,
        "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{study_uid}"}],
        "status": "available",
        "subject": {"display": "Somebody"},
        "note": NOTE,
    }


def _put(site: Installation, resource: dict[str, Any]) -> None:
    """As somebody else would."""
    assert site.fhir.put(f"ImagingStudy/{resource['id']}", resource).status in (200, 201)
