"""`syncd explain STUDY`: everything that is known of one study, in the order in which one asks."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import typer

from syncd.cli.exits import Exit, exit_on_error
from syncd.cli.lines import echo, echo_rows, note_line
from syncd.model.clauses import with_titles


def explain(
    context: typer.Context,
    study: Annotated[str, typer.Argument(metavar="STUDY", help="A StudyInstanceUID or an Orthanc study id.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON (docs/audit.md).")] = False,
) -> None:
    """Tell why a study is as it is: the first command to ask when one does not arrive.

    What the archives hold, what was published, what the FHIR server holds now and which elements differ, what syncd still
    means to do and since when, whether it is parked, what a look at it would decide at this moment and why, what was odd
    in its DICOM, and the last decisions with the correlation ids to find them in the logs.

    Nothing is written, and nothing of the patient is shown. Works beside a running daemon; a server that does not answer is
    named, and the rest is told.

    Exit 0: nothing is left to do. 1: something is. 3: a server could not be asked.
    """
    from syncd.cli.documents import explain_document
    from syncd.cli.oneshot import open_to_read
    from syncd.cli.wiring import site
    from syncd.logs import configure
    from syncd.loop.commands.explain import explain
    from syncd.settings import load

    with exit_on_error():
        settings = load(config_file=context.obj)
        configure(level="warning" if sys.stderr.isatty() else settings.log.level, format=settings.log.format)
        with open_to_read(settings) as ledger:
            found = explain(site(settings), ledger, study)
        document = explain_document(found)
        if as_json:
            echo(json.dumps(document, indent=2))
        else:
            _show(document)
        if document["not_asked"]:
            raise typer.Exit(Exit.UNREACHABLE)
        raise typer.Exit(Exit.DONE if document["in_sync"] else Exit.WORK_LEFT)


def _show(document: dict[str, Any]) -> None:
    shown = (
        ("study", [document["study"]]),
        ("archive", list(_archives(document))),
        ("published", _publication_lines(document["published"])),
        ("FHIR now", _fhir(document["fhir"])),
        ("pending", _pending_lines(document["pending"])),
        ("parked", _parking_lines(document)),
        ("brake", _retraction(document["retraction"])),
        ("decision", _decision(document)),
        ("odd", [note_line(**one) for one in document["notes"]]),
        ("rejection", list(_rejections(document["rejections"]))),
        ("owed", list(_owed(document["owed"]))),
        ("history", list(_history(document["history"]))),
    )
    echo_rows([(title if not number else "", row) for title, rows in shown for number, row in enumerate(rows)])


def _archives(document: dict[str, Any]) -> Iterable[str]:
    for one in document["copies"]:
        state = "stable" if one["stable"] else "still arriving"
        counted = f"{one['series']} series, {'?' if one['instances'] is None else one['instances']} instances"
        yield f"{one['archive']}: {counted}, {state}, LastUpdate {one['last_update'] or '?'}, Orthanc id {one['orthanc_id']}"
    for name, reason in document["not_asked"].items():
        yield f"{'the FHIR server' if name == 'fhir' else name}: not asked: {reason}"
    if not document["copies"] and not document["not_asked"]:
        yield "no archive holds it"


def _publication_lines(record: Mapping[str, Any] | None) -> list[str]:
    if record is None:
        return ["never"]
    told = [
        f"ImagingStudy/{record['resource']} version {record['version']}, {record['status']}, at {record['at']}, "
        f"from {record['archive'] or '?'}",
        f"{record['series']} series, {record['instances']} instances, subject: {record['subject']}, "
        f"settings and mapping: {record['settings']}",
    ]
    if record["summary"]:
        told.append("without its instances: it is too large")
    if record["adopted"]:
        told.append("adopted: it was another writer's before")
    if record["retracted"]:
        told.append(f"taken back ({record['retracted']}) at {record['retracted_at']}")
    return told


def _fhir(now: Mapping[str, Any]) -> list[str]:
    told = [f"{now['state']}" + (f", version {now['version']}" if now["version"] else "")]
    told += [f"{word}: {', '.join(now[word])}" for word in ("differing", "equal", "foreign") if now[word]]
    return told


def _pending_lines(row: Mapping[str, Any] | None) -> list[str]:
    if row is None:
        return ["nothing"]
    waits = f", after {row['attempts']} failed attempts not before {row['not_before']}" if row["attempts"] else ""
    return [f"{row['reason']} since {row['since']}, due {row['due']}, priority {row['priority']}{waits}"]


def _parking_lines(document: Mapping[str, Any]) -> list[str]:
    entry = document["parked"]
    if entry is None:
        return ["no"]
    told = [f"{entry['reason']} since {entry['since']}{' (dropped)' if entry['dropped'] else ''}"]
    told += [with_titles(entry["detail"])] if entry["detail"] else []
    return [*told, f"the server's answer: `syncd parked show {document['study']}`"]


def _retraction(planned: Mapping[str, Any] | None) -> list[str]:
    if planned is None:
        return []
    word = (
        f"accepted at {planned['accepted_at']}" if planned["accepted_at"] else "waits for `syncd audit --accept-retractions`"
    )
    return [f"to be taken back ({planned['cause']}) since {planned['planned_at']}; {word}"]


def _decision(document: Mapping[str, Any]) -> list[str]:
    decided = document["decision"]
    if decided is None:
        return [f"cannot be told: {document['undecided']}"]
    return [f"{decided['decision']}: {decided['reason']}"]


def _rejections(told: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for one in told:
        missing = f", missing since {one['missing_since']}" if one["missing_since"] else ""
        where = f"by {one['note']} in {one['source']}{missing}"
        yield f"{one['title']}: {one['instances']} instances of {one['target']}, {where}"


def _owed(entries: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for entry in entries:
        due = f", due {entry['due']}" if entry["state"] == "waiting" else ""
        tried = f" after {entry['attempts']} failed attempts" if entry["attempts"] else ""
        why = f": {entry['reason']}" if entry["reason"] else ""
        yield f"{entry['kind']} to {entry['sink']}, {entry['state']} since {entry['since']}{due}{tried}{why}"


def _history(lines: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for one in lines:
        yield f"{one['at']}  {one['decision']:7}  {one['reason']}  {one['correlation_id']}".rstrip()
