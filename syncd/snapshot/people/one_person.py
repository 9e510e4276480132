"""Whether everything in a study speaks of one person (RULES B9, B10).

The archive groups by PatientID, and shows the birth date and sex of whichever image came first; the series that came
later may be another person's. What they contradict each other in is left out, and noted; where the assigning authority
is in doubt, so is the number, and the study gets no Patient that others share. This is asked last: what a rejection
note takes back speaks for nobody, so each series keeps what it says of its patient, and what is left is judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import combinations

from syncd.model.ids import ArchiveName
from syncd.model.snapshot import IssuedId, Issuer, Note, PatientFacts, SeriesFacts, StudySnapshot
from syncd.model.study.person import Said, Trait, are_two, differing_traits, differing_traits_among

SystemOf = Callable[[IssuedId, ArchiveName], str]

RULE = "RULES B10"
"""The rule that a note of a doubtful person names."""

_TRAITS = frozenset(trait.value for trait in Trait)
_PATIENT_ID = "0010,0020"
_ISSUER = "0010,0021"

_DONE = {
    Trait.NAME: "another name within the study: the archive's kept",
    Trait.BIRTH_DATE: "differs within the study: left out",
    Trait.SEX: "differs within the study: left out",
}


def contradicting_series(snapshot: StudySnapshot) -> tuple[str, ...]:
    """The SeriesInstanceUIDs of two series that are two people's; one, where a series is two people's by itself, or
    another person's than what the archive shows of the study, or than a copy of it. Empty: nothing says so."""
    for each in snapshot.series:
        if are_two([Trait(tag) for tag in each.unshared if tag in _TRAITS]):
            return (each.uid,)
    people = {facts_statement(facts): each.uid for each in reversed(snapshot.series) for facts in _of_series(each)}
    for facts in (snapshot.patient, *snapshot.patients_elsewhere):
        people.setdefault(facts_statement(facts), "")
    told: dict[tuple[str, str], tuple[Said, str]] = {}  # two people are told by nothing else: names need no comparison
    for said, uid in sorted(people.items(), key=lambda item: item[1]):
        told.setdefault((said.birth_date, said.gender), (said, uid))
    for (one, first), (other, second) in combinations(told.values(), 2):
        if are_two(differing_traits(one, other)):
            return tuple(dict.fromkeys(uid for uid in (first, second) if uid))
    return ()


def agree_on_patient(snapshot: StudySnapshot, *, system_of: SystemOf = lambda _issued, _archive: "") -> StudySnapshot:
    """The study with what all of it says of its patient, and a note of the class safety for what it does not.

    `system_of` tells which identifier system an identifier of an archive belongs to, empty where nobody knows: two names
    of one authority are no contradiction."""
    everybody = _everybody(snapshot)
    unshared = {tag for each in snapshot.series for tag in each.unshared}
    traits = differing_traits_among(facts_statement(facts) for facts, _ in everybody)
    traits |= set(map(Trait, unshared & _TRAITS))
    notes = {Note(tag=trait.value, rule=RULE, done=_DONE[trait], safety=True) for trait in traits}
    patient = snapshot.patient
    if Trait.BIRTH_DATE in traits:
        patient = replace(patient, birth_date="")
    if Trait.SEX in traits:
        patient = replace(patient, gender="")
    doubtful = _doubtful([(facts.ids[0], system_of(facts.ids[0], archive)) for facts, archive in everybody if facts.ids])
    doubtful = doubtful or next((tag for tag in (_PATIENT_ID, _ISSUER) if tag in unshared), "")
    if doubtful:
        done = "differs within the study: no identifier, and a Patient of its own"
        notes.add(Note(tag=doubtful, rule=RULE, done=done, safety=True))
        patient = replace(patient, ids=(), retired_ids=())
    if not notes:
        return snapshot
    ordered = sorted({*snapshot.notes, *notes}, key=lambda note: (note.tag, note.rule, note.done))
    return replace(snapshot, patient=patient, notes=tuple(ordered))


def facts_statement(facts: PatientFacts) -> Said:
    """What is said of the person, in the terms of the judgement."""
    groups = [group for name in facts.names for group in (name.alphabetic, name.ideographic, name.phonetic) if group]
    texts = frozenset(text for one in groups for text in (one.family, one.given, one.middle, one.text) if text)
    return Said(birth_date=facts.birth_date, gender=facts.gender, names=texts)


def _everybody(snapshot: StudySnapshot) -> list[tuple[PatientFacts, ArchiveName]]:
    """Who speaks of the patient, and from which archive. Of copies elsewhere only the person counts: whether they name
    one identifier was judged before they became one study (RULES C8)."""
    of_copies = [(replace(facts, ids=()), snapshot.archive) for facts in snapshot.patients_elsewhere]
    of_series = [(facts, each.elsewhere or snapshot.at_home) for each in snapshot.series for facts in _of_series(each)]
    return list(dict.fromkeys([(snapshot.patient, snapshot.archive), *of_copies, *of_series]))


def _of_series(series: SeriesFacts) -> tuple[PatientFacts, ...]:
    """What a series says of its patient, each person once; an image that was taken back says nothing any more."""
    whole = (series.patient,) if series.patient is not None else ()
    return (*whole, *dict.fromkeys(one.patient for one in series.instances if one.patient is not None))


def _doubtful(ids: Iterable[tuple[IssuedId, str]]) -> str:
    """The tag in which the identifiers of one study differ; empty where those that say something agree."""
    known = list(dict.fromkeys(ids))
    if len({one.value for one, _ in known}) > 1:
        return _PATIENT_ID
    issued = [(one.issuer, system) for one, system in known if one.issuer is not None]
    differ = (
        _are_others(one, other) and not (system and system == same)
        for (one, system), (other, same) in combinations(issued, 2)
    )
    return _ISSUER if any(differ) else ""


def _are_others(one: Issuer, other: Issuer) -> bool:
    """Whether these name two authorities: in a part that both have."""
    locally = bool(one.local and other.local) and one.local != other.local
    universally = bool(one.universal_id and other.universal_id) and one.universal_id != other.universal_id
    return locally or universally
