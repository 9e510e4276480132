"""One level of DICOM tags as Orthanc gives them, read without ever failing.

An answer's value is text, a list of items, or null; what a dirty file makes of it may be any of them in the wrong place.
`Tagset` gives text where text is asked for and items where items are, and empty otherwise. Its notes go to the study's.
A text that came as bytes is decoded here, and one that could not be had is noted as left out (RULES B11).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from pydicom.datadict import dictionary_VR

from syncd.model.study.raw import Tags, Undecoded
from syncd.model.study.reading import Reading
from syncd.snapshot.notes import Notes, Noting
from syncd.snapshot.values.character_sets import character_sets
from syncd.snapshot.values.decoding import LEFT_OUT, decode
from syncd.snapshot.values.text import charset_suspect, clean, is_broken, join_values

SOP_CLASS_UID = "0008,0016"
SOP_INSTANCE_UID = "0008,0018"
STUDY_DATE = "0008,0020"
STUDY_TIME = "0008,0030"
MODALITY = "0008,0060"
CHARACTER_SET = "0008,0005"
TIMEZONE_OFFSET = "0008,0201"
STUDY_DESCRIPTION = "0008,1030"
SERIES_DESCRIPTION = "0008,103e"
PATIENT_NAME = "0010,0010"
SERIES_INSTANCE_UID = "0020,000e"
SERIES_NUMBER = "0020,0011"
INSTANCE_NUMBER = "0020,0013"


_DEFAULT_REPERTOIRE = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"})

SEQUENCE = (list, tuple)
"""What a sequence of items comes as."""

UNREADABLE = "left out: there is a text, and the archive does not give it"

_SAFETY = frozenset({
    "0010,0010", "0010,0020", "0010,0021", "0010,0030", "0010,0040", "0010,1000", "0010,1001", "0040,0031",
    "0040,0032", "0040,0033", "0040,0035", "0008,0050", "0038,0010", "0040,2016", "0040,2017", "0008,0090",
    "0008,1050", "0008,1060", "0008,1070", "0018,0015", "0020,0060", "0020,0062", "0020,9072", "0008,0100",
    "0008,0119", "0008,0120",
})  # fmt: skip
"""Who it is, whose number that is, which order, who is named; which side and site, and codes, which may say either."""


@dataclass(frozen=True, slots=True)
class Tagset:
    """Tags of one level: an instance's, a series' or one item's. `root` is the level that holds the whole instance."""

    tags: Tags
    notes: Notes
    root: Tags = field(default_factory=dict)

    def raw(self, tag: str) -> str:
        """The text of `tag` as it came; empty if it has none, or if what it says cannot be shown (RULES B11)."""
        plain = self.tags.get(tag, "")
        if plain.__class__ is str and plain.isascii():  # no set reads ASCII otherwise
            return plain
        value = self._as_doubted(tag)
        if isinstance(value, Undecoded):
            decoded = decode(value, reading=self.notes.reading)
            if decoded.done:
                self.notes.add(tag, rule="C.3", done=decoded.done, safety=tag in _SAFETY)
            return decoded.text
        if value is None and tag in self.tags and self._is_full:
            self.notes.add(tag, rule="C.3", done=UNREADABLE, safety=tag in _SAFETY)
        if not isinstance(value, str):
            return ""
        if is_broken(value):
            self.notes.add(tag, rule="C.3", done=LEFT_OUT, safety=tag in _SAFETY)
            return ""
        return value.replace("¥", "\\") if "¥" in value and _is_of_default_repertoire(tag) else value

    def text(self, tag: str) -> str:
        """The text of `tag`, cleaned."""
        return clean(self.raw(tag))

    def free_text(self, tag: str) -> str:
        """Free text of several values as one line."""
        return join_values(self.raw(tag))

    def items(self, tag: str) -> tuple[Tagset, ...]:
        """The items of a sequence, in its order."""
        value = self.tags.get(tag)
        if not value or not isinstance(value, SEQUENCE):
            return ()
        return tuple(Tagset(item, self.notes, self.root or self.tags) for item in value if isinstance(item, Mapping))

    def item(self, tag: str) -> Tagset:
        """The first item of a sequence; one without tags where there is none."""
        return next(iter(self.items(tag)), Tagset({}, self.notes, self.root or self.tags))

    def at(self, tag: str) -> Noting:
        return self.notes.at(tag)

    @property
    def _is_full(self) -> bool:
        """Whether these are an instance's full tags, or an item's of them: they hold the SOP class, which no archive keeps
        as a main tag."""
        return has_value((self.root or self.tags).get(SOP_CLASS_UID))

    def _as_doubted(self, tag: str) -> object:
        """The value; where it shows that UTF-8 was read as Latin-1 it is the bytes that it came from, again."""
        value = self.tags.get(tag)
        if not isinstance(value, str) or not charset_suspect(value) or not self._is_full:
            return value
        named = clean((self.root or self.tags).get(CHARACTER_SET))
        sets = character_sets(named)
        if named and (sets is None or not sets.is_latin_1):
            return value
        return Undecoded(value=value.encode("latin-1"), character_set=named)


def has_value(value: object) -> bool:
    """Whether a tag's value says anything: text that is more than blanks, or a sequence with items."""
    if not value:
        return False
    if isinstance(value, str):
        return bool(value.strip() if value.isprintable() else clean(value))
    if isinstance(value, Undecoded):
        return bool(value.value.strip(b" \0"))
    return isinstance(value, SEQUENCE)


def overlay(upper: Tags, *, lower: Tags) -> Tags:
    """`lower`, with every value of `upper` that says anything laid over it."""
    if upper is lower:  # as where the archive keeps no main tags of its own
        return lower
    return {**lower, **{tag: value for tag, value in upper.items() if has_value(value)}}


def _is_of_default_repertoire(tag: str) -> bool:
    """Whether (0008,0005) has no meaning for the attribute (PS3.5 6.1.2.2): then `¥` is how an archive shows 5CH under
    ISO_IR 13, which separates values."""
    try:
        return dictionary_VR(int(tag.replace(",", ""), 16)) in _DEFAULT_REPERTOIRE
    except (KeyError, ValueError):
        return False


def readable(tags: Tags, *, reading: Reading) -> Tags:
    """The tags of one level with text in the place of bytes, for who compares values and notes nothing."""
    level = Tagset(tags, Notes(reading))
    doubted = (
        tag for tag, value in tags.items() if isinstance(value, Undecoded) or (isinstance(value, str) and "¥" in value)
    )
    return {**tags, **{tag: level.raw(tag) for tag in doubted}}


def without(tags: Tags, unwanted: Collection[str]) -> Tags:
    """The tags of `tags` that are not `unwanted`."""
    if not unwanted:
        return tags
    return {tag: value for tag, value in tags.items() if tag not in unwanted}


def only(tags: Tags, *, wanted: Iterable[str]) -> Tags:
    """The tags of `tags` that are `wanted`."""
    return {tag: tags[tag] for tag in wanted if tag in tags}
