"""`syncd audit --notes`: the published studies of which something is in doubt, and what (RULES B9 to B11).

Read from the ledger alone, page by page, and printed as it is read: there may be as many as there are studies. The list
is not everything: a study that an earlier version rendered has no such notes yet, so their number is told beside it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from syncd.cli.documents import doubt_row
from syncd.cli.lines import echo, echo_rows
from syncd.cli.oneshot import bar, open_to_read
from syncd.ledger.ledger import Ledger
from syncd.model.clauses import heading_of
from syncd.settings import Settings

_TITLES = ("StudyInstanceUID", "archive", "since", "tag", "rule", "what was done", "more to read")


def list_notes(settings: Settings, *, archive: str | None, as_json: bool) -> None:
    """Print them; of one archive, or of all."""
    with open_to_read(settings) as ledger:
        counts = ledger.overview.counts(time.time())
        pages = _pages(ledger, archive=archive, total=counts.safety)
        if as_json:
            _print_json(pages, outdated=counts.outdated)
        else:
            _show(pages, outdated=counts.outdated)


def _pages(ledger: Ledger, *, archive: str | None, total: int) -> Iterator[list[dict[str, Any]]]:
    """The rows of `docs/audit.md`, a page of the ledger at a time."""
    with bar() as shown:
        task, after = shown.add_task("studies with safety notes", total=total), ""
        while page := ledger.safety.page(after=after):
            after = page[-1].study_uid
            known = ledger.overview.standing([one.study_uid for one in page])
            rows = (doubt_row(one, known[one.study_uid]) for one in page)
            yield [row for row in rows if archive in (None, row["archive"])]
            shown.advance(task, len(page))


def _print_json(pages: Iterator[list[dict[str, Any]]], *, outdated: int) -> None:
    """As one document, written as it is read."""
    echo(f'{{\n  "outdated": {outdated},\n  "studies": [', nl=False)
    separator, number = "\n    ", 0
    for page in pages:
        for row in page:
            echo(separator + json.dumps(row), nl=False)
            separator, number = ",\n    ", number + 1
    echo(f'\n  ],\n  "number": {number}\n}}')


def _show(pages: Iterator[list[dict[str, Any]]], *, outdated: int) -> None:
    number = 0
    titles: tuple[str, ...] = _TITLES
    for page in pages:
        rows = [_line(row, note) for row in page for note in row["notes"]]
        if rows:
            echo_rows(rows, titles=titles)
            titles = ()
        number += len(page)
    if outdated:
        echo(f"{outdated} published studies were rendered before today's version or settings: what may be in doubt of")
        echo("them is known when they are rendered again")
    if not number:
        echo("No published study has safety notes.")
        return
    echo(f"{number} published studies are in doubt: correct the DICOM, and they leave this list when they are published.")
    echo("`syncd explain STUDY` tells all of one; SYNCD_POLICY__VALUES=safe sets such studies aside.")


def _line(row: dict[str, Any], note: dict[str, str]) -> tuple[str, ...]:
    return (
        row["study"],
        row["archive"] or "-",
        row["since"],
        note["tag"] or "-",
        note["rule"],
        note["done"],
        heading_of(note["rule"]),
    )
