"""Code strings (VR CS) that are compared with a table: upper case only (PS3.5 6.2).

A file that says `ct` breaks its VR and leaves no doubt what it means, so the value is read as it should have been written,
and noted. What no table has stays as it came: to spell somebody's private word otherwise mends nothing.
"""

from __future__ import annotations

from collections.abc import Container

from syncd.snapshot.notes import Noting, note_nothing


def upper_case(text: str, *, among: Container[str] | None = None, note: Noting = note_nothing) -> str:
    """`text` in upper case, if that makes it one of the terms `among` (without them: always)."""
    mended = text.upper()
    if mended == text or (among is not None and (text in among or mended not in among)):
        return text
    note("C.3", "lower case in a code string: read as upper case")
    return mended
