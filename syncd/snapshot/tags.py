"""One level of DICOM tags as Orthanc gives them, read without ever failing.

An answer's value is text, a list of items, or null; what a dirty file makes of it may be any of them in the wrong place.
`Tagset` gives text where text is asked for and items where items are, and empty otherwise. Its notes go to the study's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from syncd.model.study import Tags
from syncd.snapshot.notes import Notes, Noting
from syncd.snapshot.text import charset_suspect, clean, joined, read_as_utf8

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


@dataclass(frozen=True, slots=True)
class Tagset:
    """Tags of one level: an instance's, a series' or one item's. `root` is the level that holds the whole instance."""

    tags: Tags
    notes: Notes
    root: Tags = field(default_factory=dict)

    def raw(self, tag: str) -> str:
        """The text of `tag` as it came; empty if it has none. A suspect character set is noted, or mended (MAPPING C.3)."""
        value = self.tags.get(tag)
        if not isinstance(value, str):
            return ""
        if charset_suspect(value) and self._declares_no_charset():
            if self.notes.reading.repair_utf8:
                self.notes.add(tag, rule="C.3", done="charset_suspect: read again as UTF-8")
                return read_as_utf8(value)
            self.notes.add(tag, rule="C.3", done="charset_suspect")
        return value

    def text(self, tag: str) -> str:
        """The text of `tag`, cleaned."""
        return clean(self.raw(tag))

    def free_text(self, tag: str) -> str:
        """Free text of several values as one line."""
        return joined(self.raw(tag))

    def items(self, tag: str) -> tuple[Tagset, ...]:
        """The items of a sequence, in its order."""
        value = self.tags.get(tag)
        if not isinstance(value, list | tuple):
            return ()
        return tuple(Tagset(item, self.notes, self.root or self.tags) for item in value if isinstance(item, Mapping))

    def item(self, tag: str) -> Tagset:
        """The first item of a sequence; one without tags where there is none."""
        return next(iter(self.items(tag)), Tagset({}, self.notes, self.root or self.tags))

    def at(self, tag: str) -> Noting:
        return self.notes.at(tag)

    def _declares_no_charset(self) -> bool:
        """Only full tags can tell: those that hold the SOP class, which no archive keeps as a main tag."""
        root = self.root or self.tags
        return has_value(root.get(SOP_CLASS_UID)) and not has_value(root.get(CHARACTER_SET))


def has_value(value: object) -> bool:
    """Whether a tag's value says anything: text that is more than blanks, or a sequence with items."""
    return bool(value) if isinstance(value, list | tuple) else bool(clean(value))


def overlay(upper: Tags, *, lower: Tags) -> Tags:
    """`lower`, with every value of `upper` that says anything laid over it."""
    return {**lower, **{tag: value for tag, value in upper.items() if has_value(value)}}


def only(tags: Tags, *, wanted: Iterable[str]) -> Tags:
    """The tags of `tags` that are `wanted`."""
    return {tag: tags[tag] for tag in wanted if tag in tags}
