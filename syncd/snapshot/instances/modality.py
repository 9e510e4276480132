"""The modality of a series: its own token, cleaned, else what its SOP Classes say (MAPPING C.7).

Whether a token is DICOM's is the mapping's question; here it is only made comparable. A series without a modality is never
left out: the SOP Class of its first instance that tells is asked, and where none does the modality stays empty.
"""

from __future__ import annotations

from collections.abc import Iterable

from pydicom.sr.codedict import codes

from syncd.model.study.modalities import NEWER, RETIRED
from syncd.snapshot.instances.sop_classes import MODALITY_OF
from syncd.snapshot.notes import Noting, note_nothing
from syncd.snapshot.values.text import upper_case, values

DEFINED_TERMS = frozenset(code.value for code in codes.cid33.concepts.values()) | NEWER | RETIRED
"""What (0008,0060) may say in DICOM, now or in an older edition."""


def token(text: str, *, note: Noting = note_nothing) -> str:
    """The first value of (0008,0060) with single blanks inside, as a code has them; a term of DICOM in upper case."""
    tokens = values(text)
    if len(tokens) > 1:
        note("C.7", "several modalities: the first taken")
    if not tokens:
        return ""
    return upper_case(" ".join(tokens[0].split()), among=DEFINED_TERMS, note=note)


def infer_modality(sop_classes: Iterable[str], *, note: Noting = note_nothing) -> str:
    """The modality of the first of these SOP Classes that fixes one."""
    found = next((MODALITY_OF[each] for each in sop_classes if each in MODALITY_OF), "")
    note("C.7", "modality_inferred" if found else "modality missing, and no SOP class tells")
    return found
