"""The subject of a study: somebody else's Patient, our own, or a logical reference (RULES B4, B10).

Looking a Patient up costs two requests, so it is done once per study and patient; afterwards the record remembers the
subject as long as the study's patient stays the same, unless the server itself must be read again. What is remembered
is judged all the same: the study may be another person's by now. Somebody else's Patient may turn up beside ours: then
every study moves over, ours gives way to it, and stays so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from types import MappingProxyType
from typing import Any

from syncd.errors import StudyError
from syncd.ledger.studies.references import RULE
from syncd.loop.companions.own_patient import Speaker, give_way, keep_own, mismatch, speaking_key
from syncd.loop.context import Context
from syncd.loop.strictness import require_plain
from syncd.mapping.policy import PatientKey
from syncd.mapping.resources.patient import patient, subject
from syncd.mapping.values.identity import patient_key, source_key
from syncd.model.snapshot import Note, StudySnapshot
from syncd.model.study.person import Trait, are_two, differing_traits
from syncd.model.words import ParkedReason
from syncd.model.work import NAMED, Companion, ParkedStudy, StudyRecord
from syncd.plan.decide import Found
from syncd.plan.subject import RefusePatient, UsePatient, choose, patient_statement
from syncd.publish.lookups import carries, follow_replaced_by, is_in_use, patients

_DONE = "differs from the Patient that is the subject: published all the same"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """`reference` is what to write. `notes`: what the Patient says otherwise than the study. `named`: it is somebody else's
    and carries the study's own identifier."""

    reference: dict[str, Any]
    notes: tuple[Note, ...] = ()
    named: bool = False


def searched(snapshot: StudySnapshot, *, context: Context) -> tuple[str, str] | None:
    """The (system, value) under which somebody else's Patient is searched for; None where none is."""
    key = patient_key(snapshot, policy=context.policy)
    if context.policy.patient == "logical" or not key.system or key.unidentified:
        return None
    return key.system, key.value


def resolve(
    snapshot: StudySnapshot,
    *,
    context: Context,
    record: StudyRecord | None,
    fresh: bool,
    dry: bool = False,
    parked: ParkedStudy | None = None,
    found: Mapping[tuple[str, str], Sequence[str]] = MappingProxyType({}),
) -> Subject:
    """Who the study's subject is. `fresh`: ask the server again whatever the record remembers; `dry`: write nothing.
    `parked`: why it was not published so far; `found`: ids of Patients by (system, value), where they were searched for.

    Raises `StudyError` (patient-ambiguous, patient-mismatch, reference-refused, and what the site does not want to be
    published in doubt)."""
    key = patient_key(snapshot, policy=context.policy)
    if context.policy.patient == "logical":
        return Subject(reference=subject(key, snapshot, literal=None, fhir_version=context.fhir_version))
    described = patient(snapshot, key=key, policy=context.policy, fhir_version=context.fhir_version)
    spoken_by = speaking_key(source_key(snapshot), patient_statement(described))
    asked = _Asked(
        context=context,
        snapshot=snapshot,
        key=key,
        wanted=described,
        speaker=Speaker(study_uid=snapshot.study_uid, key=spoken_by, parked=parked, fresh=fresh, dry=dry),
        hits=found.get((key.system, key.value)),
    )
    return (
        (None if fresh else _recall_subject(asked, record))
        or _look_up_subject(asked)
        or _follow_links(asked, record)
        or _ours(asked)
    )


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """One question: whose the study is. `wanted` is the Patient that it describes."""

    context: Context
    snapshot: StudySnapshot
    key: PatientKey
    wanted: Mapping[str, Any]
    speaker: Speaker
    hits: Sequence[str] | None = None

    @property
    def own(self) -> str:
        return f"Patient/{self.key.resource_id}"

    @cached_property
    def known(self) -> Companion | None:
        """What we wrote of that Patient."""
        return self.context.ledger.companions.find("Patient", self.key.resource_id)

    def accept(self, literal: str, traits: frozenset[Trait]) -> None:
        require_plain(_notes(traits), policy=self.context.policy, unlike=literal)

    def as_subject(self, literal: str | None, traits: frozenset[Trait] = frozenset(), *, named: bool = False) -> Subject:
        reference = subject(self.key, self.snapshot, literal=literal, fhir_version=self.context.fhir_version)
        return Subject(reference=reference, notes=_notes(traits), named=named)

    def mismatch_with(self, literal: str) -> StudyError:
        other = self.context.ledger.references.find_study_under(literal, but=self.speaker.study_uid)
        return mismatch(self.speaker.study_uid, literal, other=other)


def _recall_subject(asked: _Asked, record: StudyRecord | None) -> Subject | None:
    """The subject that the record remembers; None where it must be asked for."""
    if record is None or record.raw.get("patient") != asked.key.resource_id or not record.subject:
        return None
    if record.subject == asked.own:
        gave_way = asked.known is not None and bool(asked.known.replaced_by)
        return None if gave_way else asked.as_subject(asked.own, _keep_own(asked))
    who, judged = patient_statement(asked.wanted), asked.context.judged
    traits = judged.find(record.subject, "", who)
    if traits is None:
        resource_type, _, resource_id = record.subject.partition("/")
        current = asked.context.server.read(resource_type, resource_id)
        if not isinstance(current, Found) or not is_in_use(current.resource):
            return None
        traits = differing_traits(patient_statement(current.resource), who)
        judged.keep(record.subject, "", who, traits)
    if are_two(traits):
        raise asked.mismatch_with(record.subject)
    asked.accept(record.subject, traits)
    return asked.as_subject(record.subject, traits, named=record.raw.get(NAMED) is True)


def _look_up_subject(asked: _Asked) -> Subject | None:
    """Somebody else's Patient that carries the identifier, if there is exactly one (RULES B4)."""
    key, context = asked.key, asked.context
    if not key.system or key.unidentified:
        return None
    candidates = patients(context.server, system=key.system, value=key.value, hits=asked.hits)
    match choose(candidates, asked.wanted, own_id=key.resource_id):
        case UsePatient(resource_id=resource_id):
            literal = f"Patient/{resource_id}"
            chosen = next(one for one in candidates if one.get("id") == resource_id)
            who = patient_statement(asked.wanted)
            traits = differing_traits(patient_statement(chosen), who)
            context.judged.keep(literal, "", who, traits)
            asked.accept(literal, traits)
            beside = any(one.get("id") == key.resource_id for one in candidates)
            replaced_by = asked.known.replaced_by if asked.known is not None else literal
            if not asked.speaker.dry and (beside or replaced_by != literal):
                give_way(key.resource_id, to=literal, context=context, study_uid=asked.speaker.study_uid)
            return asked.as_subject(literal, traits, named=carries(chosen, key.system, key.value))
        case RefusePatient(reason=ParkedReason.PATIENT_MISMATCH, resource_id=resource_id):
            raise asked.mismatch_with(f"Patient/{resource_id}")
        case RefusePatient(reason=reason, detail=detail):
            raise StudyError(reason, detail)
    return None


def _follow_links(asked: _Asked, record: StudyRecord | None) -> Subject | None:
    """Where the links of the remembered Patient lead, although nobody carries the identifier any more: many servers delete
    a merged Patient in the end, and the one that is left need not know its number."""
    if record is None or record.raw.get("patient") != asked.key.resource_id or record.subject in ("", asked.own):
        return None
    context, (resource_type, _, resource_id) = asked.context, record.subject.partition("/")
    current = context.server.read(resource_type, resource_id)
    left = follow_replaced_by(context.server, current.resource) if isinstance(current, Found) else None
    if left is None or left.get("active") is False:
        return None
    # One that was found by the identifier, and carries it no more, is somebody else's by now.
    was_led_to = record.fingerprint == context.fingerprint and record.raw.get(NAMED) is not True
    if left.get("id") == resource_id and not was_led_to:
        return None
    literal, traits = f"Patient/{left['id']}", differing_traits(patient_statement(left), patient_statement(asked.wanted))
    if are_two(traits):
        raise asked.mismatch_with(literal)
    asked.accept(literal, traits)
    return asked.as_subject(literal, traits)


def _ours(asked: _Asked) -> Subject:
    """Nobody else's: our own, or a logical reference, as the site decided."""
    if asked.context.policy.patient == "match":
        return asked.as_subject(None)
    return asked.as_subject(asked.own, _keep_own(asked))


def _keep_own(asked: _Asked) -> frozenset[Trait]:
    return keep_own(asked.wanted, context=asked.context, speaker=asked.speaker, accept=partial(asked.accept, asked.own))


def _notes(traits: frozenset[Trait]) -> tuple[Note, ...]:
    return tuple(Note(tag=trait.value, rule=RULE, done=_DONE, safety=True) for trait in sorted(traits))
