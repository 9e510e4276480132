"""A Procedure for each performed procedure step, or for the study where it has procedure codes only (MAPPING J.4).

The period needs care: its start and end are two pairs of date and time that need not be of one precision, nor in order,
and FHIR refuses an end that lies before, or cannot be compared with, its start. What both can say is said; an end that
contradicts its start is left out, and with it the claim that the step was completed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from syncd.mapping.dialects.r4 import concept
from syncd.mapping.dialects.registry import dialect
from syncd.mapping.dialects.statement import Json, without_empty
from syncd.mapping.policy import MappingPolicy
from syncd.mapping.values.moments import date_time, in_order
from syncd.mapping.values.systems import DICOM_UID
from syncd.mapping.values.terms import Term, coded_procedures
from syncd.model.ids import hashed_id, is_uid
from syncd.model.snapshot import PerformedStep, StudySnapshot

DIGITS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """`period`: the element of the period; `unknown`: the status of what has no end, empty where the version has none;
    `needs_code`: whether a Procedure must have a code."""

    period: str
    unknown: str = "unknown"
    needs_code: bool = False


_R4, _R5 = _Form(period="performedPeriod"), _Form(period="occurrencePeriod")
_FORMS: Mapping[str, _Form] = {
    "dstu2": _Form(period="performedPeriod", unknown="", needs_code=True),
    "r4": _R4,
    "r4b": _R4,
    "r5": _R5,
    "r6": _R5,
}


def procedure_ids(snapshot: StudySnapshot) -> tuple[str, ...]:
    """The ids of the study's Procedures, in the order of its series; none without a step and without codes."""
    return tuple(_id(uid or snapshot.study_uid) for uid, _ in _steps(snapshot))


def procedures_done(snapshot: StudySnapshot, *, subject: Json, policy: MappingPolicy, fhir_version: str) -> tuple[Json, ...]:
    """The Procedures; in DSTU2 only those that have an end and a code, for it can say no other."""
    if not policy.write_procedures:
        return ()
    form = _FORMS[fhir_version]
    made = []
    for uid, step in _steps(snapshot):
        when = period(step, timezone=policy.of(snapshot.archive).timezone)
        status = "completed" if "end" in when else form.unknown
        code = _code(snapshot, step)
        if status and (code or not form.needs_code):
            said = {
                "resourceType": "Procedure",
                "id": _id(uid or snapshot.study_uid),
                "meta": dialect(fhir_version).meta(policy),
                "identifier": [{"system": DICOM_UID, "value": f"urn:oid:{uid}"}] if uid else [],
                "status": status,
                "code": concept(code) if code else None,
                "subject": subject,
                form.period: when,
            }
            made.append(without_empty(said))
    return tuple(made)


def period(step: PerformedStep, *, timezone: str) -> Json:
    """Start and end as a FHIR Period in one precision; an end before its start is left out."""
    start, end = (date_time(moment, timezone=timezone) for moment in (step.started, step.ended))
    if start and end:
        if "T" not in start or "T" not in end:
            shorter = min(len(start.partition("T")[0]), len(end.partition("T")[0]))
            start, end = start[:shorter], end[:shorter]
        if not in_order(start, end):
            end = ""
    return without_empty({"start": start, "end": end})


def ends_before_it_starts(step: PerformedStep, *, timezone: str) -> bool:
    """Whether `period` leaves an end out that the archive knows."""
    return step.ended is not None and "end" not in period(step, timezone=timezone)


def _steps(snapshot: StudySnapshot) -> Iterator[tuple[str, PerformedStep]]:
    """UID (empty: the study itself) and step, each UID once, as the first series that names it tells of it."""
    steps = [series.performed_step for series in snapshot.series if series.performed_step is not None]
    found: dict[str, PerformedStep] = {}
    for step in steps:
        for uid in step.uids:
            if is_uid(uid):
                found.setdefault(uid, step)
    if not found and snapshot.procedure_codes:
        timed = (step for step in steps if step.started is not None or step.ended is not None)
        found[""] = next(timed, PerformedStep())
    yield from found.items()


def _id(uid: str) -> str:
    return hashed_id("proc-", key=uid, digits=DIGITS)


def _code(snapshot: StudySnapshot, step: PerformedStep) -> Term | None:
    """The first procedure code (0008,1032), else the description of the step (0040,0254)."""
    coded = coded_procedures(snapshot)
    if coded:
        return coded[0]
    return Term(display=step.description) if step.description else None
