"""Include and exclude: `key=glob`, and what a study's values make of them.

A rule names a fact of the study and a pattern. Without include rules every study is included; an exclude rule wins over
any include rule. A study has many values of a key (the modalities of its series, the names by which its senders called
themselves): a rule holds as soon as one of them fits, so `exclude modality=SR` leaves out a CT study with a dose report
too. Patterns are those of a shell (`*`, `?`, `[…]`) over the whole value, without regard to case; a value that is
missing or empty fits no pattern, not even `*`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import translate

LABEL = "label"
AET = "aet"

_OWN_KEYS = {"modality": "0008,0060", "station": "0008,1010", AET: "", LABEL: ""}
"""Words of ours, and the tag that each stands for; AET and label are the archive's own facts."""

_NO_TEXT = frozenset({"SQ", "OB", "OW", "OF", "OD", "OL", "OV", "UN", "AT"})
"""Value representations that have no text to compare."""

_NEVER_STORED = re.compile(r"ModalitiesInStudy|SOPClassesInStudy|NumberOf\w+Related\w+|AnatomicRegionsInStudyCodeSequence")
"""Attributes that only a query answers (PS3.4 C.3.4): no image has them, so a rule would hold for none."""


class UnusableRule(ValueError):
    """`wrong` says what is the matter, `advice` what to write instead."""

    def __init__(self, wrong: str, advice: str = "") -> None:
        super().__init__(wrong)
        self.wrong = wrong
        self.advice = advice


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """`text` is the rule as the settings write it, and all that is ever shown of it."""

    text: str
    key: str
    glob: str
    tag: str
    """`gggg,eeee`; empty for the archive's own facts."""

    def fits(self, values: Iterable[str]) -> bool:
        """Whether one of the values has this pattern."""
        pattern = re.compile(translate(self.glob.casefold()))
        return any(value and pattern.match(value.casefold()) for value in map(str.strip, values))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What one archive's settings select; nothing said selects everything."""

    include: tuple[Rule, ...] = ()
    exclude: tuple[Rule, ...] = ()

    @property
    def tags(self) -> frozenset[str]:
        """The attributes that the rules compare, `gggg,eeee`."""
        return frozenset(rule.tag for rule in (*self.include, *self.exclude) if rule.tag)

    def asks(self, key: str) -> bool:
        """Whether any rule asks for this key."""
        return any(rule.key == key for rule in (*self.include, *self.exclude))


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """The study is to be published."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Excluded:
    """The study is not to be published. `rule` is the exclude rule that holds; empty when no include rule does."""

    rule: str = field(default="")

    @property
    def reason(self) -> str:
        return f"excluded by {self.rule}" if self.rule else "included by no rule"


def rules(*, include: Iterable[str] = (), exclude: Iterable[str] = ()) -> Rules:
    """Raises `UnusableRule` for the first one that cannot be used."""
    return Rules(include=tuple(map(parse, include)), exclude=tuple(map(parse, exclude)))


def parse(text: str) -> Rule:
    """One `key=glob`. Raises `UnusableRule`."""
    key, equals, glob = (part.strip() for part in text.partition("="))
    if not equals or not key:
        raise UnusableRule(f"`{text}` is no rule", "write it as key=pattern, such as modality=SR")
    if not glob:
        raise UnusableRule(f"`{text}` has no pattern", f"write {key}=* for every study that has a value")
    own = key.lower() if key.lower() in _OWN_KEYS else ""
    tag = _OWN_KEYS[own] if own else _tag(key)
    return Rule(text=f"{own or key}={glob}", key=own or key, glob=glob, tag=tag)


def _tag(keyword: str) -> str:
    from pydicom.datadict import (  # a site without such a rule starts without DICOM's dictionary
        dictionary_VR,
        tag_for_keyword,
    )

    tag = tag_for_keyword(keyword)
    if tag is None:
        raise UnusableRule(f"`{keyword}` is no key", _suggestion(keyword))
    if _NEVER_STORED.fullmatch(keyword):
        advice = "use modality" if keyword == "ModalitiesInStudy" else "only queries know it, no image has it"
        raise UnusableRule(f"`{keyword}` is stored in no image", advice)
    if tag >> 16 == 0x0002:
        raise UnusableRule(f"`{keyword}` is not a part of the images", "the sender's name is the key aet")
    if _NO_TEXT.issuperset(dictionary_VR(tag).split(" or ")):
        raise UnusableRule(f"`{keyword}` has no text to compare", "name an attribute with a text value")
    return f"{tag >> 16:04x},{tag & 0xFFFF:04x}"


def _suggestion(keyword: str) -> str:
    from pydicom.datadict import keyword_dict

    by_case = {known.lower(): known for known in (*keyword_dict, *_OWN_KEYS) if known}
    close = get_close_matches(keyword.lower(), by_case, n=1, cutoff=0.7)
    if close:
        return f"did you mean {by_case[close[0]]}?"
    return f"use {', '.join(_OWN_KEYS)}, or a DICOM keyword such as PatientID"
