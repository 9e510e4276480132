"""Integer strings (IS) as FHIR's unsignedInt can hold them (MAPPING C.4).

`1.0`, a negative number and one beyond 2147483647 are no numbers for FHIR: the element is omitted, the series or
instance stays. Only ASCII digits count, and the length is looked at first: `int` takes other scripts' digits, and refuses
thousands of them with an exception.
"""

from __future__ import annotations

import re

from syncd.snapshot.notes import Noting, note_nothing
from syncd.snapshot.values.text import clean

UNSIGNED_INT_MAX = 2_147_483_647
_IS = re.compile(r"\+?([0-9]{1,12})")  # IS has at most 12 characters


def unsigned_int(text: str, *, note: Noting = note_nothing) -> int | None:
    """The number, or None where FHIR cannot say it."""
    digits = clean(text)
    if not digits:
        return None
    match = _IS.fullmatch(digits)
    number = int(match.group(1)) if match else -1
    if 0 <= number <= UNSIGNED_INT_MAX:
        return number
    note("C.4", "number_rejected: omitted")
    return None


def number_of_frames(text: str, *, note: Noting = note_nothing) -> int | None:
    """(0028,0008), which is at least 1 where it is anything."""
    frames = unsigned_int(text, note=note)
    if frames == 0:
        note("C.4", "number_rejected: omitted")
        return None
    return frames
