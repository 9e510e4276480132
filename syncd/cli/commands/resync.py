"""`syncd resync`: what can have changed looked at again, once; the exit code says whether both sides agree."""

from __future__ import annotations

import json
import signal
import sys
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer

from syncd.cli.exits import Exit, exit_on_error
from syncd.cli.lines import echo, echo_rows
from syncd.errors import ConfigurationError
from syncd.model.words import Decision

if TYPE_CHECKING:
    from syncd.loop.commands.resync import Choice, Report
    from syncd.settings import Settings

_SHOWN = 20


def resync(
    context: typer.Context,
    archive: Annotated[str | None, typer.Option(help="Only this archive.", metavar="A")] = None,
    study: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this StudyInstanceUID or Orthanc id (repeatable); a parked study is sent once more.", metavar="STUDY"
        ),
    ] = None,
    since: Annotated[str | None, typer.Option(help="Only studies from this StudyDate on.", metavar="YYYY-MM-DD")] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Read every study, also those that cannot have changed since they were published.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show every decision and what rendering again changes; write nothing.")
    ] = False,
    accept_target: Annotated[
        bool, typer.Option("--accept-target", help="Take the FHIR server as this ledger's own although it was another one.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Look at every study of the archives that can have changed since it was published, and publish what differs.

    What others changed on the FHIR server it does not see, but for a server that was reset: `audit` looks there.
    Beside a running daemon only marks are written, and the daemon is watched while it works. Exit 0: in sync. 1: studies
    parked, still arriving or left. 3: a server cannot be reached.
    """
    from syncd.logs import configure
    from syncd.loop.commands.resync import Choice
    from syncd.settings import load

    with exit_on_error():
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        settings = load(config_file=context.obj)
        configure(level="warning" if sys.stderr.isatty() else settings.log.level, format=settings.log.format)
        if archive is not None and archive not in settings.archives:
            raise ConfigurationError(f"--archive {archive}: the settings name {', '.join(settings.archives)}")
        choice = Choice(archive=archive or "", studies=frozenset(study or ()), since=_digits(since), full=full)
        if dry_run:
            raise typer.Exit(_run_dry(settings, choice, as_json=as_json))
        report = _carry_out(settings, choice, accept_target=accept_target)
        if as_json:
            echo(json.dumps(_document(report), indent=2))
        else:
            _show(report)
        raise typer.Exit(Exit.DONE if report.in_sync else Exit.WORK_LEFT)


def _carry_out(settings: Settings, choice: Choice, *, accept_target: bool) -> Report:
    from syncd.cli.oneshot import bar
    from syncd.cli.wiring import site
    from syncd.ledger.ledger import Ledger
    from syncd.loop.commands.resync import resync, watch

    beside = Ledger.owner_alive(settings.ledger.url) is not None
    if beside and accept_target:
        raise ConfigurationError("--accept-target needs the ledger for itself: stop the daemon first")
    ledger = Ledger.open_guest(settings.ledger.url) if beside else Ledger.open(settings.ledger.url)
    try:
        with bar() as shown:
            task = shown.add_task("listing the archive", total=None)

            def progress(report: Report) -> None:
                done = report.marked - report.left if beside else sum(report.decisions.values())
                shown.update(
                    task,
                    description=f"{report.listed} studies listed" if not report.marked else "studies looked at",
                    total=report.marked or None,
                    completed=min(done, report.marked) if report.marked else 0,
                )

            if beside:
                return watch(site(settings), ledger, choice=choice, progress=progress)
            return resync(site(settings), ledger, choice=choice, accept_target=accept_target, progress=progress)
    finally:
        ledger.close()


def _run_dry(settings: Settings, choice: Choice, *, as_json: bool) -> Exit:
    from syncd.cli.commands.rerender import describe_rerender
    from syncd.cli.oneshot import open_to_read
    from syncd.cli.wiring import site
    from syncd.loop.commands.resync import rehearse
    from syncd.loop.connect import connect_dry

    changes = 0
    rows = []
    with open_to_read(settings) as ledger:
        chosen = site(settings)
        for study_uid, decision, reason in rehearse(chosen, ledger, choice=choice):
            changes += decision is not Decision.SKIP
            if as_json:
                rows.append({"study": study_uid, "decision": decision.value, "reason": reason})
            else:
                echo(f"{decision.value:7} {study_uid}  {reason}")
        outdated = ledger.records.count_outdated(connect_dry(chosen, ledger).fingerprint)
        for text in describe_rerender(chosen, ledger, outdated=outdated):
            echo(text, err=as_json)
    if as_json:
        echo(json.dumps(rows, indent=2))
    else:
        echo(f"{changes} studies would be written, parked or waited for; nothing was sent")
    return Exit.WORK_LEFT if changes else Exit.DONE


def _digits(since: str | None) -> str:
    if not since:
        return ""
    try:
        return date.fromisoformat(since).strftime("%Y%m%d")
    except ValueError as error:
        raise ConfigurationError(f"--since {since}: write a date as YYYY-MM-DD") from error


def _document(report: Report) -> dict[str, Any]:
    return {
        "in_sync": report.in_sync,
        "listed": report.listed,
        "unchanged": report.unchanged,
        "looked_at": report.marked,
        "decisions": dict(sorted(report.decisions.items())),
        "parked": report.parked,
        "waiting": report.waiting,
        "unknown": list(report.unknown),
        "left": report.left,
    }


def _show(report: Report) -> None:
    decided = ", ".join(f"{number} {word}" for word, number in sorted(report.decisions.items())) or "nothing to do"
    unchanged = f"{report.unchanged} unchanged, " if report.unchanged else ""
    echo(f"{report.listed} studies in the archive, {unchanged}{report.marked} looked at: {decided}")
    for title, studies in (("parked", report.parked), ("waiting", report.waiting)):
        if studies:
            echo(f"{len(studies)} {title}")
            echo_rows(sorted(studies.items())[:_SHOWN], titles=("StudyInstanceUID", "reason"))
            if len(studies) > _SHOWN:
                echo(f"… and {len(studies) - _SHOWN} more: `syncd resync --json` names them all")
    for study in report.unknown:
        echo(f"the archive lists no study {study}")
    if report.left:
        echo(f"{report.left} studies left")
    echo("In sync." if report.in_sync else "Not in sync yet: see above.")
