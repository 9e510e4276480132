"""Studies that vanish from the archive in the site of `tests.loop.world`, and what FHIR says of them afterwards."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from syncd.model.outcome import Outcome
from tests.fakes.http import Request, Response
from tests.ledger.made import copies_of
from tests.loop.world import STUDY, World


def deciding(world: World, how: str) -> World:
    """POLICY__ON_DELETE."""
    world._context = replace(world.context, on_delete=how)
    return world


def shown(world: World, *studies: str, **tags: Any) -> World:
    """Published and stable, and the archive was listed once."""
    for study in studies or (STUDY,):
        world.store(study, **tags)
    world.settle()
    world.poll()
    world.context  # noqa: B018 - the servers are known before the first turn
    for study in studies or (STUDY,):
        assert world.turn(study).done
    world.sweep()
    return world


def vanish(world: World, *studies: str) -> World:
    """Deleted in the archive, which tells nobody; the mark is what a sweep or an operator makes."""
    for study in studies or (STUDY,):
        for copy in copies_of(world.ledger, study):
            world.delete(copy.orthanc_id)
        world.mark(study)
    return world


def back(world: World, study: str = STUDY, **tags: Any) -> Outcome:
    """Stored again, stable, and looked at."""
    world.store(study, **tags)
    world.settle()
    world.poll()
    return world.turn(study)


def status(world: World, study: str = STUDY) -> str:
    """What the server says; empty where it holds nothing."""
    found = [one for one in world.fhir.resources("ImagingStudy") if one["id"] == study]
    return str(found[0]["status"]) if found else ""


def tombstone(world: World, study: str = STUDY) -> tuple[str, str]:
    """Status and kind of what the ledger remembers."""
    record = world.ledger.records.find(study)
    assert record is not None
    return record.status, record.retracted


def deletions(world: World) -> list[Request]:
    return [one for one in world.fhir.requests if one.method == "DELETE"]


def once(world: World, part: str, happens: Any, *, server: str = "orthanc", nth: int = 1) -> list[Request]:
    """Let `happens()` come before the nth request of that path is answered; returns those met."""
    met: list[Request] = []

    def rule(request: Request) -> Response | None:
        if part in request.path:
            met.append(request)
            if len(met) == nth:
                happens()
        return None

    getattr(world, server).rules.append(rule)
    return met
