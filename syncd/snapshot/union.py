"""Several copies of one StudyInstanceUID as one study (RULES C8).

Copies overlap without being equal: one archive may still be receiving what another has whole. A series is therefore
never mixed from two copies, but taken whole from the copy that has most of it, and what the others have beyond that is
noted, not silently dropped. Whether the copies are of one patient is decided before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain

from syncd.model.ids import ArchiveName
from syncd.model.snapshot import NOWHERE, IssuedId, Note, SeriesFacts, StudySnapshot
from syncd.snapshot.orders import (
    ACCESSION,
    FILLER_ORDER,
    PLACER_ORDER,
    PROCEDURE_CODES,
    RULE,
    disagree,
    distinct_codes,
    distinct_numbers,
)
from syncd.snapshot.values.tags import SERIES_INSTANCE_UID

_RULE = "C8"
_Rank = Callable[[ArchiveName], int]


def union(copies: Sequence[StudySnapshot], *, order: Sequence[ArchiveName]) -> StudySnapshot:
    """One study of all its `copies`; `order` is that of the archives in the settings. At least one copy is needed."""

    def rank(archive: ArchiveName) -> int:
        return order.index(archive) if archive in order else len(order)

    # The text of a snapshot holds all of its values and nothing else: a tie-break that needs no order of arrival.
    by_weight = sorted(copies, key=lambda copy: (-copy.number_of_instances, rank(copy.archive), repr(copy)))
    if len(by_weight) == 1:
        return by_weight[0]
    home = _home(by_weight, rank=rank)
    chosen = [_whole(uid, copies=by_weight, home=home, rank=rank) for uid in sorted(_uids(by_weight))]
    notes = set[Note]().union(*(copy.notes for copy in by_weight), *(noted for _, noted in chosen))
    notes.add(Note(tag="", rule=_RULE, done=f"{len(by_weight)} copies: study values of {by_weight[0].archive}"))
    return replace(
        _with_all_orders(by_weight, notes=notes),
        series=tuple(sorted((series for series, _ in chosen), key=_number_then_uid)),
        key_objects=tuple(sorted(set(chain.from_iterable(copy.key_objects for copy in by_weight)), key=repr)),
        unread_key_objects=tuple(sorted(set(chain.from_iterable(copy.unread_key_objects for copy in by_weight)))),
        notes=tuple(sorted(notes, key=lambda note: (note.tag, note.rule, note.done))),
        is_stable=all(copy.is_stable for copy in by_weight),
        home=home if home != by_weight[0].archive else NOWHERE,
        patients_elsewhere=tuple(sorted({copy.patient for copy in by_weight[1:]} - {by_weight[0].patient}, key=repr)),
    )


def _with_all_orders(copies: Sequence[StudySnapshot], *, notes: set[Note]) -> StudySnapshot:
    """The first copy with what any of them says of orders and of the patient's further identifiers (RULES B9). What comes
    from another archive says so: that archive's settings tell who issued it."""
    first = copies[0]
    ids = _numbers(copies, lambda copy: copy.patient.ids)
    if disagree({(one.scheme, one.value) for one in copy.procedure_codes} for copy in copies):
        notes.add(_differing(PROCEDURE_CODES))
    return replace(
        first,
        patient=replace(first.patient, ids=tuple(dict.fromkeys(one for each in ids for one in each))),
        accessions=_orders(ACCESSION, _numbers(copies, lambda copy: copy.accessions), notes=notes),
        placer_orders=_orders(PLACER_ORDER, _numbers(copies, lambda copy: copy.placer_orders), notes=notes),
        filler_orders=_orders(FILLER_ORDER, _numbers(copies, lambda copy: copy.filler_orders), notes=notes),
        procedure_codes=distinct_codes(one for copy in copies for one in copy.procedure_codes),
        procedure_texts=tuple(dict.fromkeys(one for copy in copies for one in copy.procedure_texts)),
        reason_codes=distinct_codes(one for copy in copies for one in copy.reason_codes),
        reason_texts=tuple(dict.fromkeys(one for copy in copies for one in copy.reason_texts)),
    )


def _numbers(copies: Sequence[StudySnapshot], of: Callable[[StudySnapshot], Sequence[IssuedId]]) -> list[list[IssuedId]]:
    """What each copy says, with the archive that it lies in where that is not the first one's."""
    home = copies[0].archive
    return [[one if copy.archive == home else replace(one, elsewhere=copy.archive) for one in of(copy)] for copy in copies]


def _orders(tag: str, said: Sequence[Sequence[IssuedId]], *, notes: set[Note]) -> tuple[IssuedId, ...]:
    if disagree({one.value for one in each} for each in said):
        notes.add(_differing(tag))
    return distinct_numbers(one for each in said for one in each)


def _differing(tag: str) -> Note:
    return Note(tag=tag, rule=RULE, done="differs among the copies: all named", safety=True)


def _home(copies: Sequence[StudySnapshot], *, rank: _Rank) -> ArchiveName:
    """The archive that holds most of the series: the study's Endpoints are its own (MAPPING E)."""
    held: dict[ArchiveName, set[str]] = {}
    for copy in copies:
        held.setdefault(copy.archive, set()).update(series.uid for series in copy.series)
    return min(held, key=lambda archive: (-len(held[archive]), rank(archive), archive))


def _whole(uid: str, *, copies: Sequence[StudySnapshot], home: ArchiveName, rank: _Rank) -> tuple[SeriesFacts, list[Note]]:
    """The series from the copy with most of its instances, and what is to be said of the others.

    Of equal ones the home's is taken, for the study's Endpoints lead there."""
    held = [(copy.archive, series) for copy in copies for series in copy.series if series.uid == uid]
    held.sort(key=lambda each: (-len(each[1].instances), each[0] != home, rank(each[0]), repr(each[1])))
    archive, best = held[0]
    if archive != home:
        best = replace(best, elsewhere=archive)
    if len(held) == 1:
        return best, []
    notes = [Note(tag=SERIES_INSTANCE_UID, rule=_RULE, done=f"series {uid} of {len(held)} copies: taken from {archive}")]
    shown = {instance.uid for instance in best.instances}
    elsewhere = {instance.uid for _, series in held for instance in series.instances} - shown
    if elsewhere:
        done = f"series {uid}: instances only in smaller copies left out ({len(elsewhere)})"
        notes.append(Note(tag=SERIES_INSTANCE_UID, rule=_RULE, done=done))
    return best, notes


def _uids(copies: Sequence[StudySnapshot]) -> set[str]:
    return {series.uid for copy in copies for series in copy.series}


def _number_then_uid(series: SeriesFacts) -> tuple[bool, int, str]:
    return (series.number is None, series.number or 0, series.uid)
