"""Modality, body part and laterality as terms: a system and a code where DICOM's tables have one, else words only.

A `Term` says nothing about FHIR versions; a dialect makes it a Coding, a CodeableConcept or a CodeableReference.
Archives hold what no dictionary knows: retired modalities, private tokens, free-text body parts. A token is never put
under a system that does not define it (MAPPING C.6, C.7).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from pydicom.sr._snomed_dict import mapping as snomed_mapping
from pydicom.sr.codedict import codes

from syncd.mapping.values.systems import DCM, SCT, scheme_system
from syncd.model.snapshot import Code, SeriesFacts, StudySnapshot
from syncd.model.study.modalities import NEWER, RETIRED

ACQUISITION = frozenset(code.value for code in codes.cid29.concepts.values())
"""CID 29 Acquisition Modality."""

_CID_33: Mapping[str, str] = {code.value: code.meaning for code in codes.cid33.concepts.values()}

_REPLACED: Mapping[str, str] = {
    **dict.fromkeys(("CD", "DD", "EC"), "US"),
    **dict.fromkeys(("CF", "DF", "VF"), "RF"),
    **dict.fromkeys(("MA", "MS"), "MR"),
    "DS": "XA",
    "ST": "NM",
}
"""Retired modalities that have a replacement (MAPPING C.7, `map_retired`)."""

# CID 244 Laterality, in every version (MAPPING C.6).
_LATERALITY: Mapping[str, tuple[str, str]] = {
    "L": ("7771000", "Left"),
    "R": ("24028007", "Right"),
    "B": ("51440002", "Bilateral"),
}

# Retired designators of SNOMED codes of equal meaning (PS3.16 8, MAPPING C.5).
_SNOMED_RT = frozenset({"SRT", "SNM3", "99SDM"})
_CODE = re.compile(r"[^\s\x00-\x1f]+( [^\s\x00-\x1f]+)*")
_IGNORED = str.maketrans("", "", " _-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A concept: with `system` and `code`, or with words only. `words` is what the archive said, where a code was found for
    it or given with it; versions that have a `text` show it."""

    display: str = ""
    system: str = ""
    code: str = ""
    words: str = ""


def modality(token: str, *, map_retired: bool = False, site_system: str = "") -> Term | None:
    """(0008,0060); None where it is not known at all. A token that DICOM does not define is words only, unless the site
    has a system of its own for such tokens."""
    if not token:
        return None
    if map_retired:
        token = _REPLACED.get(token, token)
    if token in _CID_33:
        return Term(system=DCM, code=token, display=_CID_33[token])
    if token in NEWER or token in RETIRED:
        return Term(system=DCM, code=token)
    if site_system and _CODE.fullmatch(token):
        return Term(system=site_system, code=token, words=token)
    return Term(display=token)


def laterality(letter: str) -> Term | None:
    """The side of a series, as the snapshot found it: `L`, `R`, `B` or empty."""
    if letter not in _LATERALITY:
        return None
    code, meaning = _LATERALITY[letter]
    return Term(system=SCT, code=code, display=meaning)


def body_site(series: SeriesFacts) -> Term | None:
    """Anatomic Region Sequence (0008,2218), else Body Part Examined (0018,0015) by table, else words (MAPPING C.6)."""
    region = series.anatomic_region
    coded = coded_entry(region) if region else None
    if coded:
        return coded
    if is_site_contradicted(series):
        return None
    coded = body_part(series.body_part)
    if coded:
        return coded
    words = (region.meaning if region else "") or series.body_part
    return Term(display=words) if words else None


def is_site_contradicted(series: SeriesFacts) -> bool:
    """Whether an image of the series names a region by code that is not the body part in words (RULES B9)."""
    if not series.body_part:
        return False
    part = body_part(series.body_part)
    named = [coded_entry(region) for region in series.regions_denied]
    return any(part is None or one is None or (one.system, one.code) != (part.system, part.code) for one in named)


def body_part(text: str) -> Term | None:
    """PS3.16 Annex L by its key, which is written without blanks and hyphens; None where it has no such row."""
    row = _anatomic_regions().get(text.upper().translate(_IGNORED))
    return Term(system=SCT, code=row[0], display=row[1], words=text) if row else None


def procedures(snapshot: StudySnapshot) -> tuple[Term, ...]:
    """Procedure Code Sequence (0008,1032), an item without a system as words; without any item the
    descriptions of the requested procedures (0032,1060)."""
    return coded_procedures(snapshot) or _distinct(Term(display=text) for text in snapshot.procedure_texts)


def coded_procedures(snapshot: StudySnapshot) -> tuple[Term, ...]:
    """Procedure Code Sequence (0008,1032) alone, an item without a system as words."""
    return _distinct(map(_entry, snapshot.procedure_codes))


def reasons(snapshot: StudySnapshot) -> tuple[Term, ...]:
    """Reason codes (0040,100A), and each reason in words (0040,1002) unless a code says the same."""
    coded = _distinct(map(_entry, snapshot.reason_codes))
    known = {words for term in coded for words in (term.display, term.words)}
    return _distinct([*coded, *(Term(display=text) for text in snapshot.reason_texts if text not in known)])


def coded_entry(code: Code) -> Term | None:
    """A coded entry under its system (MAPPING C.5); None where it has none, or its code is not one for FHIR."""
    if code.scheme in _SNOMED_RT:
        converted = snomed_mapping["SRT"].get(code.value)
        return Term(system=SCT, code=converted, display=code.meaning, words=code.meaning) if converted else None
    system = scheme_system(code)
    if not system or _CODE.fullmatch(code.value) is None:
        return None
    return Term(system=system, code=code.value, display=code.meaning, words=code.meaning)


def _entry(code: Code) -> Term:
    """A coded entry, or its meaning, or at least its value: a value without a system is mere words."""
    return coded_entry(code) or Term(display=code.meaning or code.value)


def _distinct(terms: Iterable[Term]) -> tuple[Term, ...]:
    return tuple(dict.fromkeys(term for term in terms if term.code or term.display))


@cache
def _anatomic_regions() -> Mapping[str, tuple[str, str, bool]]:
    """CS term → (SNOMED CT code, meaning, paired)."""
    text = resources.files("syncd.mapping").joinpath("anatomic_regions.json").read_text(encoding="utf-8")
    return {term: (code, meaning, paired) for term, (code, meaning, paired) in json.loads(text)["regions"].items()}
