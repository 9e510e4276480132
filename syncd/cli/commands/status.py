"""`syncd status`: is the daemon alive, what does it wait for, and how many studies are where. Reads only the ledger."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from syncd.cli.exits import Exit, exit_on_error
from syncd.cli.lines import echo, echo_rows
from syncd.model.words import ArchiveState, BrakeState, TargetState

if TYPE_CHECKING:
    from syncd.ledger.owner.glance import Glance

SILENCE = 30.0
"""Seconds without a heartbeat after which the daemon counts as dead (it beats every 2 s)."""

SHOWN = 10
"""Failing studies that are named on a terminal."""

_WAITING = frozenset({ArchiveState.PAUSED, ArchiveState.REMOVED})
"""States of an archive in which its studies wait for the operator."""


def status(
    context: typer.Context,
    as_json: Annotated[
        bool, typer.Option("--json", help="The facts of /api/status and the parked studies, as JSON.")
    ] = False,
) -> None:
    """Show the daemon, both servers and the numbers of studies; usable as a health check.

    Exit 0: daemon alive and both servers reachable (parked studies are shown, and no failure). 1: an archive is paused or
    removed, the FHIR server is paused, or a brake is closed. 3: no daemon, or a server cannot be reached.
    """
    from syncd.ledger.glance import glance
    from syncd.settings import load

    with exit_on_error():
        settings = load(config_file=context.obj)
        document = glance(settings.ledger.url, _document)
        if as_json:
            echo(json.dumps(document, indent=2))
        else:
            _show(document)
        raise typer.Exit(_code(document))


def _document(ledger: Glance) -> dict[str, Any]:
    from syncd.model.overview import Heartbeat
    from syncd.web.status import failing_rows, status_document

    now = time.time()
    heartbeat = ledger.heartbeat() or Heartbeat(pid=0, at=0.0, started_at=0.0, version="")
    alive = abs(now - heartbeat.at) <= SILENCE  # a beat of the future is one from before the clock was set (RULES E5)
    reasons = [one.get("reason", "") for one in [heartbeat.target, *heartbeat.archives.values()]]
    reasons += [one.get("brake_reason", "") for one in heartbeat.archives.values()]
    if not alive:
        reasons.insert(0, "no daemon is running on this ledger")
    document = status_document(
        counts=ledger.counts(now), heartbeat=heartbeat, reasons=tuple(reason for reason in reasons if reason)
    )
    document["alive"] = alive
    document["failing_studies"] = failing_rows(ledger.find_failing())
    document["parked_studies"] = [
        {"study": study_uid, "reason": reason, "detail": detail} for study_uid, reason, detail in ledger.find_parked()
    ]
    return document


def _code(document: dict[str, Any]) -> Exit:
    archives = document["archives"].values()
    if not document["alive"] or document["target"]["state"] not in (TargetState.OK, TargetState.PAUSED):
        return Exit.UNREACHABLE
    if document["target"]["state"] == TargetState.PAUSED or any(one["state"] in _WAITING for one in archives):
        return Exit.WORK_LEFT
    if any(one["brake"] == BrakeState.CLOSED for one in archives):
        return Exit.WORK_LEFT
    return Exit.UNREACHABLE if document["target"]["reason"] or any(one["reason"] for one in archives) else Exit.DONE


def _show(document: dict[str, Any]) -> None:
    echo_rows(list(_rows(document)))


def _rows(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    studies = document["studies"]
    alive = f"alive, pid {document['pid']}, since {document['started_at']}"
    yield "daemon", alive if document["alive"] else "not running"
    yield from _archive_rows(document["archives"])
    target = document["target"]
    yield "FHIR server", f"{target['state'] or 'unknown'}{_last(target['inventory'])}"
    yield "pending", f"{studies['dirty']} studies, {studies['due']} due now"
    for one in document["failing_studies"][:SHOWN]:
        yield "failing", f"{one['study']} ({one['attempts']} counted): {one['reason']}"
    if len(document["failing_studies"]) > SHOWN:
        yield "", "and more: --json lists them"
    yield "published", _numbers_in_words(studies["published"])
    yield "parked", _numbers_in_words(studies["parked"])
    if studies["unselected"]:
        yield "not selected", _numbers_in_words(studies["unselected"])
    if studies["backfill"] and document["backfill"]["paused"]:
        yield "backfill", f"{studies['backfill']} studies, {document['backfill']['paused']}"
    if studies["safety"]:
        yield "in doubt", f"{studies['safety']} published studies have safety notes: `syncd audit --notes` lists them"
    if studies["outdated"]:
        yield "outdated", f"{studies['outdated']} studies, {_rerender_text(document)}"
    for kind, sinks in document["outbox"].items():
        for sink, numbers in sinks.items():
            yield "owed", f"{kind} to {sink}: {numbers['waiting']} waiting, {numbers['given_up']} given up"
    if studies["dropped"]:
        yield "dropped", f"{studies['dropped']} studies, silent until they change"
    yield from (("not ready", reason) for reason in document["reasons"])


def _archive_rows(archives: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, archive in archives.items():
        behind = f", {archive['behind_changes']} changes behind" if archive["behind_changes"] else ", up to date"
        followed = f"{behind}{_last(archive['inventory'])}" if archive["state"] != ArchiveState.REMOVED else ""
        yield f"archive {name}", archive["state"] + followed
        waiting = f", {archive['retractions_waiting']} studies wait" if archive["retractions_waiting"] else ""
        yield f"brake {name}", f"{archive['brake'] or 'unknown'}{waiting}"


def _rerender_text(document: dict[str, Any]) -> str:
    if document["rerender"]["held"]:
        return "held as they were rendered: `syncd check` tells what would change, SYNCD_POLICY__RERENDER=auto lets them go"
    return "rendered by an earlier version or other settings, are rendered again"


def _numbers_in_words(numbers: dict[str, int]) -> str:
    return ", ".join(f"{number} {word}" for word, number in sorted(numbers.items())) or "none"


def _last(inventory: dict[str, Any] | None) -> str:
    """When a side was last listed and compared, and what was found then."""
    if inventory is None:
        return ""
    found = {kind: number for kind, number in inventory["found"].items() if number}
    return f", compared {inventory['at']}" + (f" ({_numbers_in_words(found)})" if found else "")
