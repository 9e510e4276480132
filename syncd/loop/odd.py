"""What was odd about a study, and whether the site publishes it all the same (POLICY__VALUES).

Lenient, an odd value is left out or mended, and counted by the rule that did so. Strict, the study is parked instead. The
difficulty is to name what is odd and never the value (RULES S1): tag and rule are all that is told.
"""

from __future__ import annotations

from collections.abc import Iterable

from syncd.errors import StudyError
from syncd.mapping.notes import notes
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

_NAMED = 3
"""Pairs of tag and rule that a parked study names; `syncd render --notes` lists them all."""


def odd(snapshot: StudySnapshot, *, policy: MappingPolicy, fhir_version: str) -> tuple[Note, ...]:
    """Every note of the study: what DICOM held, and what FHIR, its version or the settings could not take."""
    return (*snapshot.notes, *notes(snapshot, policy=policy, fhir_version=fhir_version))


def require_plain(found: Iterable[Note], *, policy: MappingPolicy) -> None:
    """Raise `StudyError` (`values-strict`) where the site wants no study with anything odd."""
    pairs = list(dict.fromkeys(f"{note.tag or '-'} {note.rule}" for note in found if note.rule not in _NO_VALUES))
    if policy.values != "strict" or not pairs:
        return
    more = f" and {len(pairs) - _NAMED} more" if len(pairs) > _NAMED else ""
    raise StudyError(ParkedReason.VALUES_STRICT, ", ".join(pairs[:_NAMED]) + more)


def rules(found: Iterable[Note]) -> tuple[str, ...]:
    """The rules of these notes, each once."""
    return tuple(sorted({note.rule for note in found}))
