"""`syncd audit`: do both servers say the same, study by study? And, where wanted, put right what does not."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from syncd.cli.exits import Exit, exit_on_error
from syncd.cli.lines import echo, echo_rows
from syncd.errors import ConfigurationError
from syncd.model.ids import ArchiveName

if TYPE_CHECKING:
    from syncd.ledger.ledger import Ledger
    from syncd.loop.commands.audit import Audit, Report
    from syncd.model.audit import Difference, DifferenceKind
    from syncd.settings import Settings

_SHOWN = 20

Plans = dict[str, tuple[tuple[str, ...], str]]


def audit(
    context: typer.Context,
    accepted: Annotated[
        list[str] | None,
        typer.Argument(metavar="[HASH]...", help="With --accept-retractions: the hash of each plan that you accept."),
    ] = None,
    archive: Annotated[str | None, typer.Option(help="Only studies of this archive.", metavar="A")] = None,
    deep: Annotated[
        bool,
        typer.Option("--deep", help="Render every study again and compare every element; else counts, status, version."),
    ] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Have every differing study put right, then tell what is left.")
    ] = False,
    notes: Annotated[
        bool,
        typer.Option(
            "--notes",
            help="List the published studies of which the patient, a side, a body region or an order is in doubt. Reads the "
            "ledger only, and compares nothing.",
        ),
    ] = False,
    accept_retractions: Annotated[
        bool,
        typer.Option(
            "--accept-retractions",
            help="Show the studies that wait at a closed brake and, after your word, let exactly these be taken back. On a "
            "terminal you are asked; in a script, add the hash that was shown.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON (docs/audit.md).")] = False,
) -> None:
    """Compare both servers, study by study, and tell how they differ. Nothing is written without --repair.

    The archives are listed, and so is every ImagingStudy that carries our tag or names one of their studies. Told are
    studies that are missing in FHIR, stale (the archive changed), extra (no archive holds them), duplicate, drifted
    (somebody else changed them), parked or dropped. A study that syncd is working on is no difference.

    --repair marks what differs. A running daemon then does the work and is watched; without one it is done here. A duplicate
    and a parked study need you: remove the other one, or see `syncd parked`.

    Exit 0: in sync, or with --notes. 1: something differs or is parked. 3: a server cannot be reached.
    """
    from syncd.cli.commands.notes import list_notes
    from syncd.cli.documents import in_sync
    from syncd.logs import configure
    from syncd.settings import load

    with exit_on_error():
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        settings = load(config_file=context.obj)
        configure(level="warning" if sys.stderr.isatty() else settings.log.level, format=settings.log.format)
        _require_archive(settings, archive)
        if accepted and not accept_retractions:
            raise ConfigurationError("a hash is only taken with --accept-retractions")
        if notes and any((deep, repair, accept_retractions)):
            raise ConfigurationError("--notes only lists: give it without --deep, --repair and --accept-retractions")
        if notes:
            list_notes(settings, archive=archive, as_json=as_json)
            return
        if accept_retractions:
            _accept(settings, archive, accepted or [], as_json=as_json)
        with _run_audit(settings, archive=archive or "", deep=deep, repair=repair) as (done, plans):
            tell = _print_json if as_json else _show
            tell(done, repaired=repair, plans=plans)
            raise typer.Exit(Exit.DONE if in_sync(done.staging.counts()) else Exit.WORK_LEFT)


def _require_archive(settings: Settings, archive: str | None) -> None:
    if archive is not None and archive not in settings.archives:
        raise ConfigurationError(f"--archive {archive}: the settings name {', '.join(settings.archives)}")


@contextmanager
def _run_audit(settings: Settings, *, archive: str, deep: bool, repair: bool) -> Iterator[tuple[Audit, Plans]]:
    from syncd.cli.wiring import site
    from syncd.ledger.inventories.audit_staging import Staging
    from syncd.loop.commands.audit import Audit, Report
    from syncd.loop.commands.repair import context_for
    from syncd.loop.commands.repair import repair as run_repair
    from syncd.loop.connect import connect_dry

    with Staging() as staging, _open_ledger(settings, working_too=repair) as (ledger, beside):
        chosen = site(settings)
        context = context_for(chosen, ledger, beside=beside) if repair else connect_dry(chosen, ledger)
        with _progress() as progress:
            done = Audit(context=context, staging=staging, report=Report(), archive=archive, deep=deep, progress=progress)
            done.run()
            if repair:
                run_repair(chosen, done, beside=beside)
        yield done, _plans(ledger, settings, archive or None)


@contextmanager
def _open_ledger(settings: Settings, *, working_too: bool) -> Iterator[tuple[Ledger, bool]]:
    from syncd.cli.oneshot import open_to_read, open_to_work

    if working_too:
        with open_to_work(settings) as opened:
            yield opened
    else:
        with open_to_read(settings) as ledger:
            yield ledger, True


@contextmanager
def _progress() -> Iterator[Callable[[Report], None]]:
    from syncd.cli.oneshot import bar

    with bar() as shown:
        task = shown.add_task("listing", total=None)

        def progress(report: Report) -> None:
            listed = f"{sum(report.archived.values())} studies and {report.shown} ImagingStudies listed"
            comparing = report.at == "comparing"
            shown.update(
                task,
                description=listed if report.at == "listing" else report.at,
                total=report.studies if comparing else None,
                completed=report.compared if comparing else 0,
            )

        yield progress


def _plans(ledger: Ledger, settings: Settings, archive: str | None) -> Plans:
    """What waits at each closed brake."""
    names = settings.archives if archive is None else [archive]
    plans = {str(name): ledger.retractions.show_plan(ArchiveName(name)) for name in names}
    return {name: plan for name, plan in plans.items() if plan[0]}


def _accept(settings: Settings, archive: str | None, accepted: list[str], *, as_json: bool) -> None:
    """Take the operator's word for the stored plans: by hash, or, on a terminal, by asking. Beside a daemon, too."""
    from syncd.cli.oneshot import open_to_read
    from syncd.loop.study import brake

    with open_to_read(settings) as ledger:
        plans = _plans(ledger, settings, archive)
        unknown = sorted(set(accepted) - {current for _, current in plans.values()})
        if unknown:
            raise ConfigurationError(f"no plan has the hash {unknown[0]} (any more): look at it again, nothing was accepted")
        if not plans:
            echo("No brake is closed; nothing waits to be accepted", err=True)
        for name, (uids, current) in plans.items():
            if current not in accepted:
                _tell_plan(name, uids, current, err=as_json)
                if not _ask_operator(name, uids):
                    continue
            number = brake.accept(ledger, ArchiveName(name), current)
            echo(f"{name}: {number} studies accepted; they are taken back by the daemon, or by --repair", err=as_json)


def _ask_operator(name: str, uids: tuple[str, ...]) -> bool:
    if not _is_terminal():
        raise ConfigurationError("nothing was accepted: without a terminal, give the hash: --accept-retractions HASH")
    return typer.confirm(f"Take these {len(uids)} studies of archive {name} back?")


def _is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _tell_plan(name: str, uids: tuple[str, ...], current: str, *, err: bool = False) -> None:
    echo(f"{len(uids)} studies of archive {name} wait to be taken back:", err=err)
    for uid in uids[:_SHOWN]:
        echo(f"  {uid}", err=err)
    if len(uids) > _SHOWN:
        echo(f"  … and {len(uids) - _SHOWN} more", err=err)
    echo(f"  hash {current}", err=err)


def _print_json(done: Audit, *, repaired: bool, plans: Plans) -> None:
    """As one document, written as it is read: there may be a million differences."""
    from syncd.cli.documents import audit_head, difference_row

    head = json.dumps(audit_head(done, repaired=repaired, plans=plans), indent=2)
    echo(head.removesuffix("\n}") + ',\n  "differences": [', nl=False)
    separator = "\n    "
    for one in done.staging.differences():
        echo(separator + json.dumps(difference_row(one)), nl=False)
        separator = ",\n    "
    echo("\n  ]\n}")


def _show(done: Audit, *, repaired: bool, plans: Plans) -> None:
    from syncd.cli.documents import in_sync
    from syncd.model.audit import DifferenceKind

    report, counts = done.report, done.staging.counts()
    archives = ", ".join(f"{number} in {name}" for name, number in report.archived.items())
    how = "every element" if done.deep else "counts, status and version"
    echo(f"{archives}; {report.shown} ImagingStudies of ours. {report.studies} studies compared by {how}.")
    if report.reset:
        echo("The FHIR server lost what was published: `syncd audit --repair`, or the running daemon, restores it.")
    for kind in DifferenceKind:
        if counts.get(kind):
            _show_kind(done, kind, counts[kind])
    if report.pending:
        echo(f"{report.pending} studies are being worked on; they are no difference.")
    if repaired:
        echo(f"{report.repaired} differences repaired.")
    for name, (uids, current) in plans.items():
        _tell_plan(name, uids, current)
        echo(f"  meant? `syncd audit --repair --accept-retractions {current}`")
    echo("In sync." if in_sync(counts) else _advice(counts, repaired=repaired))


def _show_kind(done: Audit, kind: DifferenceKind, number: int) -> None:
    echo(f"{number} {kind.value}")
    rows = [_row(one) for one in islice(done.staging.differences(kind), _SHOWN)]
    echo_rows(rows, titles=("StudyInstanceUID", "ImagingStudy", "why"))
    if number > _SHOWN:
        echo(f"… and {number - _SHOWN} more: `syncd audit --json` names them all")


def _row(one: Difference) -> tuple[str, ...]:
    names = f" ({', '.join(one.elements)})" if one.elements else ""
    return one.study_uid, one.resource_id if one.resource_id != one.study_uid else "", one.detail + names


def _advice(counts: dict[DifferenceKind, int], *, repaired: bool) -> str:
    from syncd.model.audit import DifferenceKind

    hints = []
    if counts.get(DifferenceKind.PARKED):
        hints.append("`syncd parked` for what is set aside")
    if counts.get(DifferenceKind.DUPLICATE):
        hints.append("remove the duplicates that should not be")
    if set(counts) - {DifferenceKind.PARKED, DifferenceKind.DUPLICATE, DifferenceKind.DROPPED}:
        hints.append("`syncd explain STUDY` tells why" if repaired else "`syncd audit --repair` puts it right")
    return f"Not in sync: {'; '.join(hints)}."
