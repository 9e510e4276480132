"""Our own Patient: one for each person, and never one for two (RULES B4, B10).

It is written from the greatest study by date, whoever comes first. What stands there is compared with each study that
would use it, as the FHIR server holds it, for the ledger keeps nothing of a person. Where birth date and sex both
contradict it, the study is another person's and changes nothing. A correction looks just like that: it is one where
nobody stands by the Patient any more, and then all who did are asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import structlog

from syncd.errors import StudyError
from syncd.ledger.studies.marks import NOWHERE
from syncd.loop.companions.further_ids import add_identifiers, before_it
from syncd.loop.context import Context
from syncd.loop.steps import Step
from syncd.mapping.resources.patient import replaced_patient, with_identifiers
from syncd.model.study.person import Said, Trait, are_two, differing_traits, learns
from syncd.model.words import WITHDRAWN, ParkedReason, Priority
from syncd.model.work import Companion, Mark, MarkKind, ParkedStudy
from syncd.plan.decide import Found
from syncd.plan.elements import elements
from syncd.plan.essence import digest
from syncd.plan.ownership import installation_of
from syncd.plan.subject import patient_statement
from syncd.publish.lookups import study_named
from syncd.publish.own import ForeignResource, keep

log = structlog.get_logger(__name__)

Accept = Callable[[frozenset[Trait]], None]
"""Told in what the Patient that is there says otherwise, before anything is written; may raise `StudyError`."""


def speaking_key(source_key: str, told: Said) -> str:
    """By which key a study is compared with the others of its patient: one that names birth date and sex before one that
    does not. Else a study that names neither would stand between two people, and contradict none of them (RULES B10)."""
    number = bool(told.birth_date) + told.tells_gender
    return source_key if number == len(_LESS) else f"{_LESS[number]}{source_key}"


_LESS = ("!", "-")
"""Below any digit, with which the key of a study begins that names both; in this order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """The study that would use our Patient, and its key among the others (RULES B4). `parked`: why it was not published
    so far; `fresh`: what is remembered is looked for on the server; `dry`: write nothing."""

    study_uid: str
    key: str
    parked: ParkedStudy | None = None
    fresh: bool = False
    dry: bool = False


def keep_own(wanted: Mapping[str, Any], *, context: Context, speaker: Speaker, accept: Accept) -> frozenset[Trait]:
    """Write our Patient if this study may speak for it: the greatest study so far, or that study itself. Returns in what
    the Patient that was there says otherwise, and another study with it.

    Raises `StudyError` (patient-mismatch) where it is another person's, and what `accept` raises."""
    reference = f"Patient/{wanted['id']}"
    with context.hold_ours(wanted, believed=_in_use_again) as remembered:
        context.judged.use(reference, speaker.study_uid)
        known, traits = _compare(wanted, remembered, context=context, fresh=speaker.fresh)
        if known is None:
            _leave_it_to_others(reference, context=context, speaker=speaker)
        doubts = traits
        if are_two(traits):
            _require_free(reference, context=context, speaker=speaker, known=known)
            doubts, known = frozenset(), known and replace(known, digest="", source_key="")
        elif traits and not _find_sharing_study(reference, context=context, speaker=speaker, known=known):
            doubts, known = frozenset(), known and replace(known, source_key="")  # it was corrected
        accept(doubts)
        if not speaker.dry:
            _keep(wanted, context=context, speaker=speaker, known=known, traits=traits, doubts=doubts)
    return doubts


def _in_use_again(known: Companion) -> Companion:
    """One that gave way speaks again: nobody stands for it any more."""
    return replace(known, source_key="", replaced_by="") if known.replaced_by else known


def _compare(
    wanted: Mapping[str, Any], known: Companion | None, *, context: Context, fresh: bool
) -> tuple[Companion | None, frozenset[Trait]]:
    """What we know of our Patient, None where it is not there, and in what it says otherwise than `wanted`."""
    if known is None:
        return None, frozenset()
    reference, who = f"Patient/{wanted['id']}", patient_statement(wanted)
    if not fresh and known.digest == digest(wanted):
        return known, frozenset()  # it was written with these very words
    traits = None if fresh else context.judged.find(reference, known.version, who)
    if traits is not None:
        return known, traits
    current = context.server.read("Patient", str(wanted["id"]))
    if not isinstance(current, Found):
        return None, frozenset()  # lost on the server: whoever needs it writes it again
    traits = differing_traits(patient_statement(current.resource), who)
    context.judged.keep(reference, known.version, who, traits)
    if are_two(traits):
        known = replace(known, version=current.version)
    return known, traits


def _keep(
    wanted: Mapping[str, Any],
    *,
    context: Context,
    speaker: Speaker,
    known: Companion | None,
    traits: frozenset[Trait],
    doubts: frozenset[Trait],
) -> None:
    """Write what this study may say; remember in what our Patient, as it is then, says otherwise than the study."""
    if known is not None and speaker.key < known.source_key and _speaker_of(known) == speaker.study_uid:
        # It said more, or was later, when it spoke: now others may speak before it.
        _mark_others(f"Patient/{wanted['id']}", context=context, but=speaker.study_uid)
        known = replace(known, source_key=speaker.key)
    try:
        if known is not None and speaker.key < known.source_key:
            kept = add_identifiers(wanted, context=context, known=known)
        else:
            kept = _write(wanted, context=context, speaker=speaker, known=known, traits=traits, doubts=doubts)
            traits = frozenset()
    except ForeignResource as error:
        raise StudyError(ParkedReason.REFERENCE_REFUSED, "the id of our Patient is taken by another writer") from error
    context.remember(kept, known=known, step=Step.PATIENT_SENT)
    context.judged.keep(f"Patient/{wanted['id']}", kept.version, patient_statement(wanted), traits)


def _write(
    wanted: Mapping[str, Any],
    *,
    context: Context,
    speaker: Speaker,
    known: Companion | None,
    traits: frozenset[Trait],
    doubts: frozenset[Trait],
) -> Companion:
    """Send it. Where it says something else of the person from now on, all others that refer to it are marked before:
    killed after them, whoever comes next finds it as it was, and marks again. So is the study itself, where it is in doubt
    because of the others: what it says stands there then, and they are."""
    reference, who = f"Patient/{wanted['id']}", patient_statement(wanted)

    def judge(current: Mapping[str, Any]) -> Mapping[str, Any]:
        """What to write over what was not known to stand there: with its identifiers, if it is the same person's."""
        found = differing_traits(patient_statement(current), who)
        if are_two(found):
            _require_free(reference, context=context, speaker=speaker, known=known)
        if found:
            _mark_others(reference, context=context, but=speaker.study_uid)
        return wanted if are_two(found) else with_identifiers(wanted, of=current)

    before = before_it(wanted, context=context, known=known)
    if traits or _is_void(known) or (before is not None and learns(patient_statement(before), who)):
        _mark_others(reference, context=context, but="" if doubts else speaker.study_uid)
    return keep(
        context.server,
        wanted if before is None else with_identifiers(wanted, of=before),
        known=known,
        installation_id=context.installation_id,
        source_key=speaker.key,
        completed=judge,
    )


def _is_void(known: Companion | None) -> bool:
    """Whether what stands there counts for nothing, because it was another person's."""
    return known is not None and not known.digest


def _leave_it_to_others(reference: str, *, context: Context, speaker: Speaker) -> None:
    """Our Patient is not there, so nothing can be compared: a study that was another person's waits for its users."""
    parked = speaker.parked
    if parked is not None and parked.disputes_patient:
        other = context.ledger.references.find_study_under(reference, but=speaker.study_uid)
        if other and parked.reason == ParkedReason.PATIENT_MISMATCH:
            raise mismatch(speaker.study_uid, reference, other=other)
        if other:
            raise StudyError(parked.reason, parked.detail)


def _require_free(reference: str, *, context: Context, speaker: Speaker, known: Companion | None) -> None:
    """Raise `StudyError` (patient-mismatch) where another study stands by the Patient that is there.

    Then this one is another person's. Where nobody does, it was corrected, and the others are marked to be asked again.
    Whoever contradicts it is parked and stands by it no more; so when the last of its studies was corrected, it is free."""
    other = _find_sharing_study(reference, context=context, speaker=speaker, known=known) or _find_shown_under(
        reference, context=context, but=speaker.study_uid
    )
    if other:
        raise mismatch(speaker.study_uid, reference, other=other)


def mismatch(study_uid: str, reference: str, *, other: str) -> StudyError:
    """Both studies are named, where the other one is known, and nothing of either person."""
    of_whom = f"(the subject of study {other})" if other else "(of no other study of ours)"
    detail = f"birth date and sex of study {study_uid} contradict {reference} {of_whom}"
    return StudyError(ParkedReason.PATIENT_MISMATCH, detail)


def _find_sharing_study(reference: str, *, context: Context, speaker: Speaker, known: Companion | None) -> str:
    """Another study that stands by our Patient, as far as the ledger knows."""
    standing = context.ledger.references.find_study_under(reference, but=speaker.study_uid)
    return standing or _writer(context=context, speaker=speaker, known=known)


def _speaker_of(known: Companion) -> str:
    return known.source_key.rpartition(" ")[2]


def _writer(*, context: Context, speaker: Speaker, known: Companion | None) -> str:
    """The study that spoke last for our Patient, where it is still on its way to be published under it."""
    uid = _speaker_of(known) if known is not None else ""
    if not uid or uid == speaker.study_uid:
        return ""
    study = context.ledger.overview.standing([uid])[uid]
    if study.record is not None:
        return ""  # what is published was asked for already
    if study.parked is not None:
        return "" if study.parked.disputes_patient else uid
    return uid if study.intent or study.dirty else ""


def _find_shown_under(reference: str, *, context: Context, but: str) -> str:
    """A study that the server shows under this Patient, and that the ledger, which may have been lost, does not know."""
    told = elements(context.fhir_version)
    params = {"patient": reference, "_elements": "identifier,uid,status,availability"}
    for hit in context.server.search("ImagingStudy", params):
        uid = study_named(hit) or str(hit.get("id", ""))
        if uid == but or told.status_of(hit) in WITHDRAWN or context.ledger.records.find(uid) is not None:
            continue
        if isinstance(context.server.read("ImagingStudy", str(hit.get("id", ""))), Found):  # a hit is a hint (RULES C9)
            return uid
    return ""


def _mark_others(reference: str, *, context: Context, but: str) -> None:
    """Everybody who refers to our Patient, or was kept from it: what it says of the person changes."""
    marked = context.ledger.marks.add_subject(reference, but=but) + context.ledger.marks.add_mismatched(reference)
    marks = [
        Mark(study_uid=uid, kind=MarkKind.VERIFY, archive=NOWHERE, priority=Priority.REPAIR, read_fhir=True)
        for uid in context.judged.users(reference)
        if uid != but
    ]
    if marks:
        context.ledger.marks.add(marks, settle_after=0.0)
    log.info("patient_corrected", patient=reference, studies_marked=marked)


def give_way(resource_id: str, *, to: str, context: Context, study_uid: str) -> None:
    """Ours is no longer to be used, and every other study under it is marked to move (RULES B4).

    The marks come first: killed after them, whichever study comes next finds ours active still, and marks again. A server
    that refuses the change keeps an active Patient too many; the studies move all the same."""
    with context.hold_ours({"resourceType": "Patient", "id": resource_id}):
        current = context.server.read("Patient", resource_id)
        if not isinstance(current, Found) or installation_of(current.resource) != context.installation_id:
            return
        wanted = replaced_patient(current.resource, by=to, policy=context.policy, fhir_version=context.fhir_version)
        told = digest(current.resource, base_url=context.server.base_url)
        standing = Companion(resource_type="Patient", resource_id=resource_id, version=current.version, digest=told)
        if told != digest(wanted):
            context.ledger.marks.add_subject(f"Patient/{resource_id}", but=study_uid)
        try:
            kept = keep(context.server, wanted, known=standing, installation_id=context.installation_id)
        except (StudyError, ForeignResource) as error:
            log.warning("patient_not_replaced", patient=resource_id, reason=str(error))
            return
        context.remember(replace(kept, replaced_by=to), known=None, step=Step.PATIENT_SENT)
        log.info("patient_replaced", patient=resource_id)
