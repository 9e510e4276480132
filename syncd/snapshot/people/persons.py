"""Persons named in a study: a PN attribute and the identification sequence beside it (MAPPING B, C.2).

The names and the items of the identification sequence correspond by position (PS3.3), which only means something when
there are as many of the one as of the other; otherwise the codes belong to nobody in particular and are left out.
"""

from __future__ import annotations

from syncd.model.snapshot import Code, Person
from syncd.snapshot.values.codes import codes
from syncd.snapshot.values.names import person_name
from syncd.snapshot.values.tags import Tagset
from syncd.snapshot.values.text import clean

_PERSON_IDENTIFICATION_CODES = "0040,1101"


def persons(level: Tagset, *, names: str, identification: str) -> tuple[Person, ...]:
    """The persons in the attribute `names`, in its order, with the codes of the sequence `identification`."""
    texts = [text for text in level.raw(names).split("\\") if clean(text)]
    identified = [codes(item.items(_PERSON_IDENTIFICATION_CODES)) for item in level.items(identification)]
    if len(identified) != len(texts):
        if any(identified):
            level.notes.add(identification, rule="B", done="codes left out: not one item per name")
        identified = [()] * len(texts)
    found = (_person(text, level=level, tag=names, identifiers=who) for text, who in zip(texts, identified, strict=True))
    return tuple(person for person in found if person is not None)


def person(level: Tagset, *, name: str, identification: str) -> Person | None:
    """The first person in the attribute `name`; further ones are dropped and noted (MAPPING A.1, referrer)."""
    found = persons(level, names=name, identification=identification)
    if len(found) > 1:
        level.notes.add(name, rule="A.1", done="further names dropped")
    return next(iter(found), None)


def _person(text: str, *, level: Tagset, tag: str, identifiers: tuple[Code, ...]) -> Person | None:
    name = person_name(text, note=level.at(tag))
    return Person(name=name, identifiers=identifiers) if name is not None else None
