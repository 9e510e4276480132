"""Who took part in a study: persons, by a PN attribute and the identification sequence beside it (MAPPING B, C.2), and
the house in which a series was made, or that keeps it (PS3.3 C.7.5.1, C.17.2).

The names and the items of the identification sequence correspond by position (PS3.3), which only means something when
there are as many of the one as of the other; otherwise the codes belong to nobody in particular and are left out. What is
said of a house is one representative's word for a whole series, which by definition was made by one device (PS3.3 A.1.2.3).
"""

from __future__ import annotations

from syncd.model.snapshot import Code, Institution, Person
from syncd.snapshot.values.codes import codes
from syncd.snapshot.values.names import person_name
from syncd.snapshot.values.tags import Tagset
from syncd.snapshot.values.text import clean

_PERSON_IDENTIFICATION_CODES = "0040,1101"
_INSTITUTION_NAME = "0008,0080"
_INSTITUTION_CODES = "0008,0082"
_CUSTODIAL_ORGANIZATION = "0040,a07c"


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


def institution(level: Tagset) -> Institution | None:
    """The organisation that a level names; None where it names none."""
    code = next(iter(codes(level.items(_INSTITUTION_CODES))), None)
    found = Institution(name=level.text(_INSTITUTION_NAME), code=code)
    return found if found != Institution() else None


def custodian(series: Tagset) -> Institution | None:
    """Who keeps the series, where its representative is a document that says so."""
    return institution(series.item(_CUSTODIAL_ORGANIZATION))


def _person(text: str, *, level: Tagset, tag: str, identifiers: tuple[Code, ...]) -> Person | None:
    name = person_name(text, note=level.at(tag))
    return Person(name=name, identifiers=identifiers) if name is not None else None
