"""What a mutant is: one rule broken in one plausible way, and the tests that are there to notice.

Only the standard library is imported here and in the catalogue: the runner reads it before anything is set up.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple


class Edit(NamedTuple):
    """In `file` the text `old`, which occurs there exactly once, becomes `new`."""

    file: str
    old: str
    new: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """`noticed_by` are pytest's ids, of files or of single tests: only they are run, so that a mutant costs seconds.
    `hangs`: a run that does not end counts as noticed."""

    name: str
    rule: str
    breaks: str
    edits: tuple[Edit, ...]
    noticed_by: tuple[str, ...]
    hangs: bool = False


def edited(text: str, edit: Edit) -> str:
    """`text` with `edit` carried out. Raises `ValueError` when the code has moved on from it."""
    found = text.count(edit.old)
    if found != 1:
        raise ValueError(f"{edit.file} holds the text to be replaced {found} times, not once:\n{edit.old}")
    return text.replace(edit.old, edit.new)
