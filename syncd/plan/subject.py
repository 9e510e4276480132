"""Which Patient a study's subject is (RULES B4, B10): a choice among confirmed matches, made without touching a server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from syncd.model.study.person import Said, are_two, differing_traits
from syncd.model.words import ParkedReason


@dataclass(frozen=True, slots=True, kw_only=True)
class UsePatient:
    """Somebody else's Patient matches exactly: refer to it, never write it."""

    resource_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoMatch:
    """No foreign Patient matches: our own, or a logical reference, as the policy says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusePatient:
    """`resource_id`: the Patient that is another person's; empty where it is not about one."""

    reason: str
    detail: str
    resource_id: str = ""


def choose(
    candidates: Sequence[Mapping[str, Any]], ours: Mapping[str, Any], *, own_id: str
) -> UsePatient | NoMatch | RefusePatient:
    """`candidates` were confirmed by GET and are active, their `replaced-by` links followed; `ours` is the Patient that
    the archive describes, `own_id` the id under which we would write it."""
    foreign = {str(patient["id"]): patient for patient in candidates if patient.get("id") != own_id}
    if not foreign:
        return NoMatch()
    if len(foreign) > 1:
        return RefusePatient(reason=ParkedReason.PATIENT_AMBIGUOUS, detail=f"{len(foreign)} Patients carry the identifier")
    (resource_id, patient) = next(iter(foreign.items()))
    if are_two(differing_traits(patient_statement(patient), patient_statement(ours))):
        return RefusePatient(
            reason=ParkedReason.PATIENT_MISMATCH,
            detail="birth date and gender contradict the matching Patient",
            resource_id=resource_id,
        )
    return UsePatient(resource_id=resource_id)


def patient_statement(patient: Mapping[str, Any]) -> Said:
    """What a Patient of any FHIR version says of the person."""
    return Said(
        birth_date=str(patient.get("birthDate") or ""),
        gender=str(patient.get("gender") or ""),
        names=frozenset(_texts(patient.get("name"))),
    )


def _texts(names: object) -> Iterator[str]:
    """The parts of HumanNames; DSTU2 has lists of family names."""
    for name in names if isinstance(names, list | tuple) else ():
        if isinstance(name, Mapping):
            for part in ("family", "given", "text"):
                value = name.get(part)
                yield from (str(one) for one in (value if isinstance(value, list | tuple) else [value]) if one)
