"""`syncd status`: is the daemon alive, what does it wait for, and how many studies are where. Reads only the ledger."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from syncd.cli.exits import Exit, told
from syncd.ledger.ledger import Ledger
from syncd.loop.resync import every
from syncd.model.words import ArchiveState, BrakeState, TargetState
from syncd.model.work import Heartbeat
from syncd.settings import load
from syncd.web.status import status_document

SILENCE = 30.0
"""Seconds without a heartbeat after which the daemon counts as dead (it beats every 2 s)."""

_WAITING = frozenset({ArchiveState.PAUSED, ArchiveState.REMOVED})
"""States of an archive in which its studies wait for the operator."""

_NOBODY = Heartbeat(pid=0, at=0.0, started_at=0.0, version="")


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
    with told():
        settings = load(config_file=context.obj)
        ledger = Ledger.open_guest(settings.ledger.url)
        try:
            document = _document(ledger)
        finally:
            ledger.close()
        if as_json:
            typer.echo(json.dumps(document, indent=2))
        else:
            _show(document)
        raise typer.Exit(_code(document))


def _document(ledger: Ledger) -> dict[str, Any]:
    now = time.time()
    heartbeat = ledger.heartbeat() or _NOBODY
    alive = abs(now - heartbeat.at) <= SILENCE  # a beat of the future is one from before the clock was set (RULES E5)
    reasons = [one.get("reason", "") for one in [heartbeat.target, *heartbeat.archives.values()]]
    reasons += [one.get("brake_reason", "") for one in heartbeat.archives.values()]
    if not alive:
        reasons.insert(0, "no daemon is running on this ledger")
    document = status_document(
        counts=ledger.counts(now), heartbeat=heartbeat, reasons=tuple(reason for reason in reasons if reason)
    )
    document["alive"] = alive
    document["parked_studies"] = [
        {"study": entry.study_uid, "reason": entry.reason, "detail": entry.detail}
        for entry in every(ledger.parked_list)
        if not entry.dropped
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
    studies = document["studies"]
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    alive = f"alive, pid {document['pid']}, since {document['started_at']}"
    table.add_row("daemon", alive if document["alive"] else "not running")
    for name, archive in document["archives"].items():
        behind = f", {archive['behind_changes']} changes behind" if archive["behind_changes"] else ", up to date"
        followed = f"{behind}{_last(archive['inventory'])}" if archive["state"] != ArchiveState.REMOVED else ""
        table.add_row(f"archive {name}", archive["state"] + followed)
        waiting = f", {archive['retractions_waiting']} studies wait" if archive["retractions_waiting"] else ""
        table.add_row(f"brake {name}", f"{archive['brake'] or 'unknown'}{waiting}")
    target = document["target"]
    table.add_row("FHIR server", f"{target['state'] or 'unknown'}{_last(target['inventory'])}")
    table.add_row("pending", f"{studies['dirty']} studies, {studies['due']} due now")
    table.add_row("published", _listed(studies["published"]))
    table.add_row("parked", _listed(studies["parked"]))
    if studies["unselected"]:
        table.add_row("not selected", _listed(studies["unselected"]))
    if studies["backfill"] and document["backfill"]["paused"]:
        table.add_row("backfill", f"{studies['backfill']} studies, {document['backfill']['paused']}")
    if studies["dropped"]:
        table.add_row("dropped", f"{studies['dropped']} studies, silent until they change")
    for reason in document["reasons"]:
        table.add_row("not ready", reason)
    Console(highlight=False, markup=False).print(table)


def _listed(numbers: dict[str, int]) -> str:
    return ", ".join(f"{number} {word}" for word, number in sorted(numbers.items())) or "none"


def _last(inventory: dict[str, Any] | None) -> str:
    """When a side was last listed and compared, and what was found then."""
    if inventory is None:
        return ""
    found = {kind: number for kind, number in inventory["found"].items() if number}
    return f", compared {inventory['at']}" + (f" ({_listed(found)})" if found else "")
