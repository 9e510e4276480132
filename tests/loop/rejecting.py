"""Rejection notes in the site of `tests.loop.world`: stored, deleted, and what the FHIR server was told because of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from syncd.ledger.ledger import Ledger
from syncd.model.outcome import Outcome
from syncd.model.words import Decision
from tests.fakes.orthanc_tags import orthanc_id
from tests.loop.world import STUDY, World

KO = "1.2.840.10008.5.1.4.1.1.88.59"
QUALITY, SAFETY, WORKLIST, EXPIRED = "113001", "113037", "113038", "113039"
NOTES = 9
"""The number of the series that holds key objects."""


def uid(number: int, study: str = STUDY, *, series: int = 1) -> str:
    """The SOPInstanceUID that `World.store` gives."""
    return f"{study}.{series}.{number}"


def images(world: World, *numbers: int, study: str = STUDY, **tags: Any) -> None:
    for number in numbers:
        world.store(study, instance=number, **tags)


def note(
    world: World,
    title: str,
    names: Mapping[str, Iterable[str]],
    *,
    study: str = STUDY,
    number: int = 1,
    scheme: str = "DCM",
    **tags: Any,
) -> None:
    """Store a key object of `study` that names instances, by their study."""
    evidence = [
        {
            "StudyInstanceUID": target,
            "ReferencedSeriesSequence": [
                {
                    "SeriesInstanceUID": f"{target}.1",
                    "ReferencedSOPSequence": [{"ReferencedSOPInstanceUID": one} for one in of],
                }
            ],
        }
        for target, of in names.items()
    ]
    code = {"CodeValue": title, "CodingSchemeDesignator": scheme, "CodeMeaning": "A title"}
    world.store(
        study,
        series=NOTES,
        instance=number,
        modality="KO",
        SOPClassUID=KO,
        ConceptNameCodeSequence=[code],
        CurrentRequestedProcedureEvidenceSequence=evidence,
        **tags,
    )


def delete(world: World, number: int, study: str = STUDY, *, series: int = 1, patient: str = "P") -> None:
    """Delete one instance in the archive, which tells nobody."""
    of = orthanc_id(patient, study, f"{study}.{series}", uid(number, study, series=series))
    assert world.orthanc.handle("DELETE", f"/instances/{of}").status == 200


def restart(world: World) -> None:
    """syncd ends and starts again on the same ledger."""
    world.ledger.close()
    world.ledger = Ledger.open(world.ledger_url, clock=world.clock)
    world._context = None


def rounds(world: World) -> list[Outcome]:
    """What the daemon does now: the feed, then every due study once, as long as there are any."""
    world.poll()
    return due(world)


def due(world: World) -> list[Outcome]:
    """Every due study, in the order of the claims, until none is due."""
    outcomes = []
    while claims := world.ledger.claims.take(50, now=world.clock()):
        world.ledger.claims.release(*(claim.row.study_uid for claim in claims))
        outcomes += [
            world.turn(claim.row.study_uid) for claim in claims if world.ledger.marks.find_pending([claim.row.study_uid])
        ]
        assert len(outcomes) < 100, "a study is due for ever"
    return outcomes


def settled(world: World) -> list[Outcome]:
    """Quiet, so that everything is stable; then what the daemon does."""
    world.settle()
    return rounds(world)


def reread(world: World, study: str = STUDY) -> Outcome:
    """A sweep noticed something; whatever else became due has its turn, too."""
    world.mark(study)
    outcome = world.turn(study)
    due(world)
    return outcome


def sent(world: World, study: str = STUDY) -> list[dict[str, Any]]:
    """Every ImagingStudy of this study that was sent, in order."""
    return [json.loads(one.body) for one in world.writes() if one.path.endswith(f"/ImagingStudy/{study}")]


def listed(resource: Mapping[str, Any]) -> set[str]:
    """The instances that a resource shows."""
    return {instance["uid"] for series in resource.get("series", ()) for instance in series.get("instance", ())}


def says(world: World, study: str = STUDY) -> tuple[str, int]:
    """Status and number of instances as the server holds them; ("", 0) where it holds none."""
    found = [one for one in world.fhir.resources("ImagingStudy") if one["id"] == study]
    return (found[0]["status"], found[0].get("numberOfInstances", 0)) if found else ("", 0)


def wrote(outcomes: Iterable[Outcome]) -> bool:
    return any(one.decision in (Decision.CREATE, Decision.UPDATE, Decision.RETRACT) for one in outcomes)
