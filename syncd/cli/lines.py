"""Rows for people: one line each, columns two spaces apart, nothing cut or folded, whatever reads them.

A table that fits itself to a width has none to fit to in a pipe, and takes 80, or what COLUMNS says; beside a UID of 64
characters that leaves columns of one to three letters, on a narrow terminal as well. Lines as long as they are can be
searched, sorted and cut by other programs, and a terminal folds them by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import typer

from syncd.model.clauses import heading_of
from syncd.visible import visible

GAP = "  "


def echo(text: str, *, nl: bool = True, err: bool = False) -> None:
    """Print a text of ours in which a study, a server or a setting may be quoted: none of them commands the terminal, and
    JSON stays JSON."""
    typer.echo("\n".join(map(visible, text.split("\n"))), nl=nl, err=err)


def note_line(*, tag: str, rule: str, done: str, safety: bool) -> str:
    """One note: where it was odd, by which rule, what was done, and where to read more."""
    return f"{tag or '-':9}  {rule:8}  {done}{' (safety)' if safety else ''} [{heading_of(rule)}]"


def echo_rows(rows: Sequence[Sequence[str]], *, titles: Sequence[str] = ()) -> None:
    """Print the rows. Under titles an empty cell is a dash, so that every line has as many columns."""
    told = [titles, *([cell or "-" for cell in row] for row in rows)] if titles else rows
    for line in align_rows(told):
        echo(line)


def align_rows(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The rows as lines, each column as wide as its widest cell; a cell is one line, whatever is in it."""
    cells = [[" ".join(cell.split("\n")) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        yield GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
