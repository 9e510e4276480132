"""Person names: PN becomes a `PersonName` of up to three component groups (PS3.5 6.2.1; MAPPING C.2).

PN leaves things open: a value without a caret may be a family name or a whole name written as one string. Only what
cannot be a whole name (no blank, no comma) counts as the family name; the rest is kept as text and never split by
guess.
"""

from __future__ import annotations

from syncd.model.snapshot import NameGroup, PersonName
from syncd.snapshot.notes import Noting, note_nothing
from syncd.snapshot.values.text import clean, values

_GROUPS = 3
_COMPONENTS = 5


def person_name(text: str, *, note: Noting = note_nothing) -> PersonName | None:
    """The name in `text`, None if every group is empty. Of several values the first is taken."""
    value, backslash, _ = text.partition("\\")
    if backslash:
        note("C.2", "several names: the first taken")
    parts = value.split("=")
    if len(parts) > _GROUPS:
        note("C.2", "more than three groups: the rest dropped")
    groups = [_group(part, note=note) for part in parts[:_GROUPS]]
    groups += [None] * (_GROUPS - len(groups))
    if not any(groups):
        return None
    return PersonName(alphabetic=groups[0], ideographic=groups[1], phonetic=groups[2])


def person_names(text: str, *, note: Noting = note_nothing) -> tuple[PersonName, ...]:
    """The names of a multi-valued attribute, in its order, without the empty ones."""
    names = (person_name(value, note=note) for value in values(text))
    return tuple(name for name in names if name is not None)


def _group(text: str, *, note: Noting) -> NameGroup | None:
    components = [clean(component) for component in text.split("^")]
    while components and not components[-1]:
        components.pop()
    if not components:
        return None
    if len(components) == 1 and "^" not in text:
        return _unsplit(components[0])
    if len(components) > _COMPONENTS:
        note("C.2", "more than five components: the rest joined into the suffix")
        rest = [component for component in components[_COMPONENTS - 1 :] if component]
        components[_COMPONENTS - 1 :] = [" ".join(rest)]
    family, given, middle, prefix, suffix = components + [""] * (_COMPONENTS - len(components))
    return NameGroup(family=family, given=given, middle=middle, prefix=prefix, suffix=suffix)


def _unsplit(name: str) -> NameGroup:
    """A group without a caret: a family name, unless a blank or a comma says that it may be a whole name."""
    whole = any(character.isspace() or character in ",，、" for character in name)
    return NameGroup(text=name) if whole else NameGroup(family=name)
