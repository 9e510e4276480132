"""Coded entries: an item of a code sequence becomes a `Code` (PS3.3 8.8; MAPPING C.5).

What identifies is value and scheme; the meaning is display only. A private designator (`99…`) may be explained by the
instance's own (0008,0110) Coding Scheme Identification Sequence, so the item alone is not enough: it is read with the
instance it lies in. Converting retired schemes is the mapping's business.
"""

from __future__ import annotations

from collections.abc import Iterable

from syncd.model.snapshot import Code
from syncd.snapshot.notes import Notes
from syncd.snapshot.values.tags import Tagset

_CODE_VALUES = ("0008,0100", "0008,0119", "0008,0120")  # short, long, URN
_SCHEME_DESIGNATOR = "0008,0102"
_MEANING = "0008,0104"
_SCHEME_UID = "0008,010c"
_SCHEME_IDENTIFICATION = "0008,0110"


def code(item: Tagset) -> Code | None:
    """The coded entry of one item; None if it has neither a value nor a meaning."""
    value = next((text for text in map(item.text, _CODE_VALUES) if text), "")
    meaning = item.text(_MEANING)
    if not value and not meaning:
        return None
    scheme = item.text(_SCHEME_DESIGNATOR)
    return Code(
        value=value, scheme=scheme, meaning=meaning, scheme_uid=item.text(_SCHEME_UID) or _scheme_uid(item, scheme=scheme)
    )


def codes(items: Iterable[Tagset]) -> tuple[Code, ...]:
    """The coded entries of a sequence, in its order, each once."""
    found = (code(item) for item in items)
    return tuple(dict.fromkeys(entry for entry in found if entry is not None))


def _scheme_uid(item: Tagset, *, scheme: str) -> str:
    if not scheme:
        return ""
    schemes = Tagset(item.root, Notes()).items(_SCHEME_IDENTIFICATION)
    return next((entry.text(_SCHEME_UID) for entry in schemes if entry.text(_SCHEME_DESIGNATOR) == scheme), "")
