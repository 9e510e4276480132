"""Which Patient a study's subject is (RULES B4): a choice among confirmed matches, made without touching a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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
    reason: str
    detail: str


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
    if _contradicts(patient, ours, "birthDate") and _contradicts(patient, ours, "gender"):
        return RefusePatient(
            reason=ParkedReason.PATIENT_MISMATCH, detail="birth date and gender contradict the matching Patient"
        )
    return UsePatient(resource_id=resource_id)


def _contradicts(theirs: Mapping[str, Any], ours: Mapping[str, Any], element: str) -> bool:
    """Both say something, and a partial date that the other one refines is no contradiction."""
    one, other = str(theirs.get(element) or ""), str(ours.get(element) or "")
    if not one or not other or "unknown" in (one, other):
        return False
    return not (one.startswith(other) or other.startswith(one))
