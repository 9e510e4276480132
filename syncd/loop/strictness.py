"""What was odd about a study, and whether the site publishes it all the same (POLICY__VALUES).

Lenient, an odd value is left out or mended, and counted by the rule that did so. Strict, the study is parked instead;
safe, only where it touches who the patient is, a side, a site or an order. What is odd is named, and never the value
(RULES S1): tag and rule are all that is told.
"""

from __future__ import annotations

from collections.abc import Iterable

from syncd.errors import StudyError
from syncd.mapping.notes.notes import notes
from syncd.mapping.policy import MappingPolicy
from syncd.model.snapshot import Note, StudySnapshot
from syncd.model.words import ParkedReason

_NO_VALUES = frozenset(
    {
        *("C8", "D.2", "F.6", "J.2"),
        *("A.1 R5", "A.1 R6", "A.2 R6", "A.3 title", "A.4 ist-8", "B (0010,1000)", "H eu", "H mado", "M"),
    }
)
"""Rules that tell of no odd value: several copies, images left out because they are rejected, too many instances, equipment
that cannot be told from others, what a FHIR version has no element for, what a profile misses. Parking for these would keep
rejected images in sight, or park every study of a version."""

SAFE, STRICT = "safe", "strict"
"""Values of POLICY__VALUES; the third, `lenient`, parks nothing."""

_NAMED = 3
"""Pairs of tag and rule that a parked study names; `syncd render --notes` lists them all."""


def odd(snapshot: StudySnapshot, *, policy: MappingPolicy, fhir_version: str) -> tuple[Note, ...]:
    """Every note of the study: what DICOM held, and what FHIR, its version or the settings could not take."""
    return (*snapshot.notes, *notes(snapshot, policy=policy, fhir_version=fhir_version))


def require_plain(found: Iterable[Note], *, policy: MappingPolicy, unlike: str = "") -> None:
    """Raise `StudyError` (`values-strict`) where the site wants no study of which anything is in doubt (`safe`), or with
    anything odd (`strict`, which is never less). `unlike`: the Patient that says something else; it is named, so that the
    study is asked again when that one changes (RULES B12)."""
    parking = [note for note in found if _parks(note, policy.values)]
    pairs = list(dict.fromkeys(f"{note.tag or '-'} {note.rule}" for note in parking))
    if not pairs:
        return
    more = f" and {len(pairs) - _NAMED} more" if len(pairs) > _NAMED else ""
    by = f"{SAFE}: " if policy.values == SAFE else ""
    whose = f" as {unlike} says otherwise" if unlike else ""
    raise StudyError(ParkedReason.VALUES_STRICT, by + ", ".join(pairs[:_NAMED]) + more + whose)


def _parks(note: Note, values: str) -> bool:
    if values == STRICT:
        return note.safety or note.rule not in _NO_VALUES
    return values == SAFE and note.safety


def doubts(found: Iterable[Note]) -> tuple[Note, ...]:
    """Those that touch who the patient is, a side, a site or an order, each once."""
    return tuple(dict.fromkeys(note for note in found if note.safety))


def rules(found: Iterable[Note]) -> tuple[str, ...]:
    """The rules of these notes, each once."""
    return tuple(sorted({note.rule for note in found}))
