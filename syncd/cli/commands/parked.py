"""`syncd parked`: the studies set aside, why, and the operator's word about them (RULES E2)."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from syncd.cli.exits import Exit, exit_on_error
from syncd.cli.lines import echo, echo_rows
from syncd.errors import ConfigurationError
from syncd.model.clauses import with_titles
from syncd.model.ids import ArchiveName, OrthancId, is_orthanc_id
from syncd.model.words import ParkedReason

if TYPE_CHECKING:
    from syncd.ledger.ledger import Ledger
    from syncd.model.audit import Standing
    from syncd.settings import Settings

app = typer.Typer(
    help="Show the studies that are set aside, try them again, or hear nothing more of them.", invoke_without_command=True
)

_AT_ONCE = 500

Reason = Annotated[str | None, typer.Option("--reason", help="Only those set aside for this reason.", metavar="REASON")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the list as JSON (docs/audit.md).")]
Study = Annotated[str, typer.Argument(metavar="STUDY", help="A StudyInstanceUID or an Orthanc study id.")]


@app.callback()
def show_parked(context: typer.Context, reason: Reason = None, as_json: AsJson = False) -> None:
    """Show the studies that are set aside, and try them again.

    A parked study holds up no other. It is looked at again whenever it changes in the archive; `retry` sends it once
    although nothing changed. The README says what each reason means and what to do. Without a command: the list.
    """
    if context.invoked_subcommand is None:
        _list(context, reason, as_json=as_json)


@app.command("list")
def list_parked(context: typer.Context, reason: Reason = None, as_json: AsJson = False) -> None:
    """List the parked studies with reason and detail. Exit 0: there are none. 1: there are."""
    _list(context, reason, as_json=as_json)


@app.command()
def show(context: typer.Context, study: Study) -> None:
    """Show one parked study with the FHIR server's own answer to it (OperationOutcome).

    That answer is the server's text and may name the patient: it is shown here and nowhere else.
    """
    from syncd.cli.documents import moment
    from syncd.cli.oneshot import open_to_read
    from syncd.settings import load

    with exit_on_error():
        settings = load(config_file=context.obj)
        with open_to_read(settings) as ledger:
            (uid,) = _uids(ledger, settings, [study])
            entry = ledger.records.find_parked(uid)
        if entry is None:
            echo(f"{uid} is not parked")
            raise typer.Exit(Exit.DONE)
        echo(f"{uid}  {entry.reason}  since {moment(entry.parked_at)}")
        if entry.detail:
            echo(with_titles(entry.detail))
        if entry.target_version:
            echo(f"in the way: version {entry.target_version} of the ImagingStudy on the server")
        if entry.outcome is not None:
            echo(json.dumps(entry.outcome, indent=2, ensure_ascii=False))
        raise typer.Exit(Exit.WORK_LEFT)


@app.command()
def retry(
    context: typer.Context,
    studies: Annotated[
        list[str] | None, typer.Argument(metavar="STUDY...", help="StudyInstanceUIDs or Orthanc study ids.")
    ] = None,
    all_of_them: Annotated[bool, typer.Option("--all", help="Every parked study that is not dropped.")] = False,
    reason: Reason = None,
) -> None:
    """Send parked studies once more although nothing changed: after the server, the Patient or the DICOM was put right.

    Beside a running daemon they are marked, and the daemon is watched while it works; without one the work is done here.
    `--reason` chooses among all; what was dropped is tried again only if it is named. Exit 0: none of them is parked any
    more. 1: some are.
    """
    from syncd.cli.oneshot import open_to_work
    from syncd.logs import configure
    from syncd.settings import load

    with exit_on_error():
        settings = load(config_file=context.obj)
        configure(level="warning" if sys.stderr.isatty() else settings.log.level, format=settings.log.format)
        _require_known(reason)
        if bool(studies) == (all_of_them or reason is not None):
            raise ConfigurationError("name the studies to try again, or --all, or --reason")
        with open_to_work(settings) as (ledger, beside):
            chosen = _uids(ledger, settings, studies) if studies else _uids_to_retry(ledger, reason)
            asked = _still_parked(ledger, chosen)
            for uid in sorted(set(chosen) - set(asked)):
                echo(f"{uid} is not parked")
            if asked:
                _retry(settings, ledger, asked, beside=beside)
            left = _still_parked(ledger, asked)
            for known in ledger.overview.standing(left).values():
                assert known.parked is not None  # noqa: S101 - chosen by that
                echo(f"{known.study_uid}  {known.parked.reason}  {with_titles(known.parked.detail)}".rstrip())
            waiting = sorted(ledger.marks.find_pending(asked) - set(left))
            for uid in waiting:
                echo(f"{uid}  waits: `syncd explain {uid}`")
        echo(f"{len(asked) - len(left) - len(waiting)} of {len(asked)} are dealt with")
        raise typer.Exit(Exit.WORK_LEFT if left or waiting else Exit.DONE)


@app.command()
def drop(
    context: typer.Context,
    studies: Annotated[list[str], typer.Argument(metavar="STUDY...", help="StudyInstanceUIDs or Orthanc study ids.")],
) -> None:
    """Hear nothing more of parked studies until they change: not counted, not sent, no failure of `audit` or `resync`.

    A study that changes in the archive speaks up again by itself; `retry` takes the word back. May be used beside a running
    daemon. Exit 0: all of them were parked. 1: some were not.
    """
    from syncd.cli.oneshot import open_to_read
    from syncd.settings import load

    with exit_on_error():
        settings = load(config_file=context.obj)
        with open_to_read(settings) as ledger:
            dropped = {uid: ledger.parking.drop(uid) for uid in _uids(ledger, settings, studies)}
        for uid, done in dropped.items():
            echo(f"{uid} dropped until it changes" if done else f"{uid} is not parked")
        raise typer.Exit(Exit.DONE if all(dropped.values()) else Exit.WORK_LEFT)


def _retry(settings: Settings, ledger: Ledger, study_uids: list[str], *, beside: bool) -> None:
    from syncd.cli.oneshot import bar
    from syncd.cli.wiring import site
    from syncd.loop.commands.repair import carry_out, context_for
    from syncd.model.work import MarkKind

    chosen = site(settings)
    context = context_for(chosen, ledger, beside=beside)
    for uid in study_uids:
        ledger.parking.allow_retry(uid)
    with bar() as shown:
        shown.add_task("studies tried again", total=None)
        sources = list(context.archives.values())
        carry_out(
            chosen, context, study_uids, kind=MarkKind.RESYNC, sources=sources, beside=beside, progress=lambda report: None
        )


def _list(context: typer.Context, reason: str | None, *, as_json: bool) -> None:
    from syncd.cli.documents import parked_rows
    from syncd.cli.oneshot import open_to_read
    from syncd.settings import load

    with exit_on_error():
        _require_known(reason)
        settings = load(config_file=context.obj)
        with open_to_read(settings) as ledger:
            rows = parked_rows(_find_parked(ledger, reason))
        if as_json:
            echo(json.dumps(rows, indent=2))
        else:
            _show(rows)
        raise typer.Exit(Exit.WORK_LEFT if any(not one["dropped"] for one in rows) else Exit.DONE)


def _still_parked(ledger: Ledger, uids: Iterable[str]) -> list[str]:
    return [uid for uid in uids if ledger.records.find_parked(uid) is not None]


def _uids_to_retry(ledger: Ledger, reason: str | None) -> list[str]:
    """Those of which an operator wants to hear; a dropped one is tried again only by its name (RULES E2)."""
    return [
        known.study_uid for known in _find_parked(ledger, reason) if known.parked is not None and not known.parked.dropped
    ]


def _find_parked(ledger: Ledger, reason: str | None) -> Iterator[Standing]:
    """The parked studies with what else is known of them, slice by slice, by UID."""
    from syncd.loop.commands.resync import every

    entries: Iterable[str] = (one.study_uid for one in every(ledger.records.page_parked) if reason in (None, one.reason))
    uids = iter(entries)
    while part := list(islice(uids, _AT_ONCE)):
        yield from ledger.overview.standing(part).values()


def _require_known(reason: str | None) -> None:
    if reason is not None and reason not in set(ParkedReason):
        raise ConfigurationError(f"--reason {reason}: there are {', '.join(ParkedReason)}")


def _uids(ledger: Ledger, settings: Settings, studies: Iterable[str]) -> list[str]:
    """The StudyInstanceUIDs meant; an Orthanc id as far as the ledger knows it."""
    return list(dict.fromkeys(_uid(ledger, settings, study) for study in studies))


def _uid(ledger: Ledger, settings: Settings, study: str) -> str:
    if not is_orthanc_id(study):
        return study
    named = OrthancId(study)
    found = (ledger.records.study_of(ArchiveName(name), [named]).get(named) for name in settings.archives)
    uid = next((one for one in found if one), "")
    if not uid:
        raise ConfigurationError(f"the ledger knows no Orthanc study {study}")
    return uid


def _show(rows: list[dict[str, Any]]) -> None:
    if not rows:
        echo("No study is parked.")
        return
    echo(f"{len(rows)} parked")
    titles = ("StudyInstanceUID", "reason", "since", "archive", "StudyDate", "detail")
    echo_rows([_row(one) for one in rows], titles=titles)
    echo("`syncd parked show STUDY` tells what the server said, `syncd parked retry STUDY` sends it once more.")


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    """The detail last: it is the longest, and nothing stands behind it."""
    reason = one["reason"] + (" (dropped)" if one["dropped"] else "")
    return one["study"], reason, one["since"] or "", one["archive"], one["study_date"], with_titles(one["detail"])
