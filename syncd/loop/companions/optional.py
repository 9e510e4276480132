"""The optional companions of a study, written before it (MAPPING J.6).

Each is wholly ours under an id that follows from what it says, so one PUT in its life is the usual case. Many studies
share one (a machine, a surgeon), and must not rewrite it in turn, so the greatest study speaks for it as for a Patient
(RULES B4); and none may cost the study. One that another writer holds, or that the server refuses, is left out and
noted, remembered, and only sent again when it changed, the server must be read anew, or an operator asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from syncd.errors import ConfigurationError, StudyError
from syncd.loop.companions.ours import hold_ours, remember
from syncd.loop.context import Context
from syncd.mapping.check.check import problems
from syncd.mapping.dialects.statement import Json
from syncd.mapping.policy import MappingPolicy
from syncd.mapping.resources.companions import references_to, types, unsayable
from syncd.mapping.values.identity import patient_key, source_key
from syncd.model.snapshot import Note, StudySnapshot
from syncd.model.words import ParkedReason
from syncd.model.work import Companion
from syncd.plan.essence import digest
from syncd.publish.own import ForeignResource, keep
from syncd.publish.server import FhirServer

log = structlog.get_logger(__name__)

REFUSED = "!refused"
"""Kept as the version of what could not be written; no server's version looks like that."""

_LEFT_OUT = {
    "Device": Note(tag="0018,1002", rule="J.2", done="Device not written: logical reference, or words"),
    "Practitioner": Note(tag="0040,1101", rule="J.2", done="Practitioner not written: logical reference"),
    "Procedure": Note(tag="0008,1111", rule="J.4", done="Procedure not written: no reference"),
    "BodyStructure": Note(tag="0020,0060", rule="J.7", done="BodyStructure not written: no reference"),
}

_SETTING = {
    "Device": "SYNCD_POLICY__WRITE_DEVICES",
    "Practitioner": "SYNCD_POLICY__PRACTITIONER_FROM_NAME",
    "Procedure": "SYNCD_POLICY__WRITE_PROCEDURES",
    "BodyStructure": "SYNCD_POLICY__BODY_STRUCTURE",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """`there`: the companions (`Type/id`) that the study may refer to; `notes`: what is said of the others."""

    there: frozenset[str] = frozenset()
    notes: tuple[Note, ...] = ()


def require_sayable(server: FhirServer, *, policy: MappingPolicy, fhir_version: str) -> None:
    """Raise `ConfigurationError` where the site wants companions that this server cannot take. Asks nothing otherwise."""
    wanted = types(policy)
    if not wanted:
        return
    for one in unsayable(policy, fhir_version=fhir_version):
        raise ConfigurationError(f"{_SETTING[one]} is set, but FHIR {fhir_version} has no place for it: unset it")
    served = server.capabilities().types
    for one in wanted:
        if one not in served:
            raise ConfigurationError(f"{_SETTING[one]} is set, but {server.base_url} does not serve {one}: unset it")


def keep_companions(
    wanted: Sequence[Json], *, context: Context, snapshot: StudySnapshot, fresh: bool, again: bool = False, dry: bool = False
) -> Kept:
    """Make the server hold `wanted`, in this order. `fresh`: what is remembered is looked for on the server; `again`: what
    was refused is sent once more; `dry`: write and ask nothing.

    Raises `StudyError` (reference-refused) only where a fresh look may help, and what is not the study's own.
    """
    if not wanted:
        return Kept()
    patient = patient_key(snapshot, policy=context.policy).resource_id
    told = _Told(study_uid=snapshot.study_uid, key=f"{source_key(snapshot)} {patient}", fresh=fresh, again=again or fresh)
    there: list[Json] = []
    missing: list[Json] = []
    for one in wanted:
        is_there = _would_be_there(one, context) if dry else _keep_companion(one, context=context, told=told)
        (there if is_there else missing).append(one)
    notes = dict.fromkeys(_LEFT_OUT[str(one["resourceType"])] for one in missing)
    return Kept(there=references_to(there), notes=tuple(notes))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """Who wants the companions: the study, the key by which it is compared with others (RULES B4), its patient last."""

    study_uid: str
    key: str
    fresh: bool
    again: bool

    def is_of_study(self, key: str) -> bool:
        return key.rpartition(" ")[0].endswith(f" {self.study_uid}")

    def is_of_patient(self, key: str) -> bool:
        return key.rpartition(" ")[2] == self.key.rpartition(" ")[2]


def _would_be_there(resource: Json, context: Context) -> bool:
    known = context.ledger.companions.find(str(resource["resourceType"]), str(resource["id"]))
    return known is None or known.version != REFUSED


def _keep_companion(resource: Json, *, context: Context, told: _Told) -> bool:
    """Whether the server holds the resource now."""
    if problems(resource, fhir_version=context.fhir_version):
        return False
    with hold_ours(resource, context=context, fresh=told.fresh, believed=partial(_believe, resource, told)) as known:
        if known is not None and known.version == REFUSED:
            return False
        if known is not None and not told.is_of_study(known.source_key):
            # A copied study may still name the step of its original, which is another patient's.
            if resource["resourceType"] == "Procedure" and not told.is_of_patient(known.source_key):
                return False
            if told.key < known.source_key:
                return True
        return _write(resource, context=context, known=known, told=told)


def _believe(resource: Json, told: _Told, known: Companion) -> Companion | None:
    """A refusal counts as long as the same would be sent, and nobody asks for another attempt."""
    is_over = known.version == REFUSED and (known.digest != digest(resource) or told.again)
    return None if is_over else known


def _write(resource: Json, *, context: Context, known: Companion | None, told: _Told) -> bool:
    try:
        kept = keep(context.server, resource, known=known, installation_id=context.installation_id, source_key=told.key)
    except (ForeignResource, StudyError) as error:
        reason = error.reason if isinstance(error, StudyError) else "taken by another writer"
        # A reference of its own may be gone (a Procedure's Patient): that is looked for once, and we come back `fresh`.
        if reason == ParkedReason.REFERENCE_REFUSED and not told.fresh:
            raise
        log.warning("companion_left_out", resource=f"{resource['resourceType']}/{resource['id']}", reason=reason)
        if reason == ParkedReason.FORBIDDEN:
            return False  # by permissions, which may be mended any time: the next study asks again
        kept = _refusal(resource, told)
    remember(kept, known=known, context=context)
    return kept.version != REFUSED


def _refusal(resource: Json, told: _Told) -> Companion:
    return Companion(
        resource_type=str(resource["resourceType"]),
        resource_id=str(resource["id"]),
        version=REFUSED,
        digest=digest(resource),
        source_key=told.key,
    )
