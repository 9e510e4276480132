"""What a study was ordered as: its numbers, procedures and reasons, of all that its sources say (MAPPING B, RULES B9).

One study may answer several orders (IHE grouped procedures): then (0008,0050) holds one number or none, and each
series' requests name theirs. So the study's own level, every series' representative and every document are asked, and
their requests, and nobody's answer hides another's. One order or two is told by the issuer: a number that is said once
with its issuer and once without is one, known by the issuer; a number of two issuers is two. Where the study's own
level disagrees with itself all is named still, for none is more credible than another, and a safety note says so.

`levels` are always the archive's main tags, then the tags that speak for the study, then everybody else's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from syncd.model.snapshot import Code, IssuedId, Issuer
from syncd.snapshot.notes import Notes
from syncd.snapshot.people.issuers import issuer
from syncd.snapshot.values.codes import codes
from syncd.snapshot.values.tags import Tagset
from syncd.snapshot.values.text import values

ACCESSION = "0008,0050"
PLACER_ORDER = "0040,2016"
FILLER_ORDER = "0040,2017"
PROCEDURE_CODES = "0008,1032"
_ISSUER_OF = {ACCESSION: "0008,0051", PLACER_ORDER: "0040,0026", FILLER_ORDER: "0040,0027"}
_ADMISSION = "0038,0010"
_ADMISSION_ISSUER = "0038,0014"
_PROCEDURE_TEXT = "0032,1060"
_REASON_CODES = "0040,100a"
_REASON_TEXT = "0040,1002"

REQUEST_SEQUENCES = ("0040,a370", "0040,0275")
"""Referenced Request Sequence (SR, KO) and Request Attributes Sequence (images)."""

RULE = "RULES B9"
DIFFERS = "differs within the study: all named"
_OTHERS_REQUESTED = "none of the study's requests has it: all named"


def accessions(levels: Sequence[Tagset]) -> tuple[IssuedId, ...]:
    """Accession numbers (0008,0050), those of the requests too. A stray backslash separates values; all of them have the
    issuer (0008,0051) of their level."""
    for level in levels:
        if len(values(level.raw(ACCESSION))) > 1:
            level.notes.add(ACCESSION, rule="B", done="several accession numbers in one value: split", safety=True)
    return _numbers(levels, ACCESSION)


def placer_orders(levels: Sequence[Tagset]) -> tuple[IssuedId, ...]:
    """(0040,2016) with its issuer (0040,0026)."""
    return _numbers(levels, PLACER_ORDER)


def filler_orders(levels: Sequence[Tagset]) -> tuple[IssuedId, ...]:
    """(0040,2017) with its issuer (0040,0027)."""
    return _numbers(levels, FILLER_ORDER)


def admission(study: Tagset) -> IssuedId | None:
    """(0038,0010) with its issuer (0038,0014)."""
    return next(iter(_issued_ids(study, value_tag=_ADMISSION, issuer_tag=_ADMISSION_ISSUER)), None)


def procedure_codes(levels: Sequence[Tagset]) -> tuple[Code, ...]:
    """Procedure Code Sequence (0008,1032)."""
    said = [codes(level.items(PROCEDURE_CODES)) for level in levels]
    if disagree({(one.scheme, one.value) for one in each} for each in said):
        levels[0].notes.add(PROCEDURE_CODES, rule=RULE, done=DIFFERS, safety=True)
    return distinct_codes(one for each in said for one in each)


def procedure_texts(levels: Sequence[Tagset]) -> tuple[str, ...]:
    """Requested Procedure Description (0032,1060), of the study's own level only (MAPPING A.1)."""
    return _texts(levels, _PROCEDURE_TEXT)


def reason_codes(levels: Sequence[Tagset]) -> tuple[Code, ...]:
    """Reason for the Requested Procedure Code Sequence (0040,100A), mostly of the requests."""
    asked = (item for level in levels for one in (level, *requests(level)) for item in one.items(_REASON_CODES))
    return distinct_codes(codes(asked))


def reason_texts(levels: Sequence[Tagset]) -> tuple[str, ...]:
    """Reason for the Requested Procedure (0040,1002), mostly of the requests."""
    return _texts(levels, _REASON_TEXT, asked=[request for level in levels for request in requests(level)])


def requests(instance: Tagset) -> tuple[Tagset, ...]:
    """The requests that an instance answers, as items."""
    return tuple(item for tag in REQUEST_SEQUENCES for item in instance.items(tag))


def disagree(said: Iterable[Iterable[object]]) -> bool:
    """Whether two of those who say anything say what neither's words hold: one who merely says less does not contradict."""
    sets = {frozenset(each) for each in said} - {frozenset()}
    return any(not (one <= other or other <= one) for one in sets for other in sets)


def distinct_numbers(numbers: Iterable[IssuedId]) -> tuple[IssuedId, ...]:
    """Each order once, in the order given: a number without (or with less of) an issuer gives way to the same with it."""
    by_value: dict[str, dict[Issuer | None, IssuedId]] = {}
    for each in numbers:
        by_value.setdefault(each.value, {}).setdefault(each.issuer, each)
    return tuple(
        one
        for same in by_value.values()
        for one in same.values()
        if not any(_says_less(one, other) for other in same.values())
    )


def distinct_codes(found: Iterable[Code]) -> tuple[Code, ...]:
    """Each code once, whatever its meaning is called; what is mere words stays as it is."""
    kept: dict[tuple[str, ...], Code] = {}
    for each in found:
        kept.setdefault((each.scheme, each.value, each.scheme_uid) if each.value else ("", "", "", each.meaning), each)
    return tuple(kept.values())


def _numbers(levels: Sequence[Tagset], value_tag: str) -> tuple[IssuedId, ...]:
    issuer_tag = _ISSUER_OF[value_tag]
    own = [_issued_ids(level, value_tag=value_tag, issuer_tag=issuer_tag) for level in levels]
    asked = [
        [one for request in requests(level) for one in _issued_ids(request, value_tag=value_tag, issuer_tag=issuer_tag)]
        for level in levels
    ]
    _note_contradictions(own, asked, tag=value_tag, notes=levels[0].notes)
    # The study's own stand first, as they are; of the rest none is before another.
    others = (sorted((one for each in some for one in each), key=_alphabetical) for some in (own[2:], asked))
    first = [one for each in own[:2] for one in each]
    return distinct_numbers([*first, *(one for each in others for one in each)])


def _note_contradictions(
    own: Sequence[Sequence[IssuedId]], asked: Sequence[Sequence[IssuedId]], *, tag: str, notes: Notes
) -> None:
    """Requests complete each other and the study's level; only what excludes each other is a doubt."""
    numbers: list[set[str]] = [{one.value for one in each} for each in own]
    if disagree(numbers):
        notes.add(tag, rule=RULE, done=DIFFERS, safety=True)
    mine, requested = set[str]().union(*numbers), {one.value for each in asked for one in each}
    if mine and requested and not mine & requested:
        notes.add(tag, rule=RULE, done=_OTHERS_REQUESTED, safety=True)


def _issued_ids(level: Tagset, *, value_tag: str, issuer_tag: str) -> tuple[IssuedId, ...]:
    if value_tag not in level.tags and issuer_tag not in level.tags:
        return ()
    by = issuer(level.item(issuer_tag))
    return tuple(IssuedId(value=value, issuer=by) for value in values(level.raw(value_tag)))


def _says_less(one: IssuedId, other: IssuedId) -> bool:
    """Of two of one value: whether `other` says all that `one` says of its issuer, and more."""
    if one.issuer == other.issuer:
        return False
    mine, theirs = _parts(one.issuer), _parts(other.issuer)
    return all(not part or part == known for part, known in zip(mine, theirs, strict=True))


def _parts(by: Issuer | None) -> tuple[str, str, str]:
    return (by.local, by.universal_id, by.universal_type) if by else ("", "", "")


def _alphabetical(number: IssuedId) -> tuple[str, ...]:
    return (number.value, *_parts(number.issuer))


def _texts(levels: Sequence[Tagset], tag: str, *, asked: Sequence[Tagset] = ()) -> tuple[str, ...]:
    own = [level.free_text(tag) for level in levels]
    if disagree({one} for one in own if one):
        levels[0].notes.add(tag, rule=RULE, done=DIFFERS, safety=True)
    others = {*own[2:], *(request.free_text(tag) for request in asked)}
    return tuple(dict.fromkeys(one for one in (*own[:2], *sorted(others)) if one))
