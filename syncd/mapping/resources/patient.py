"""Our own Patient, and how a study points at a patient (MAPPING J.1, RULES B4).

Written only where the server has no matching Patient. A patient may have no PatientID: nothing identifies them, so
their Patient carries our extension instead of an identifier, and a study that may not have a Patient at all
(POLICY__PATIENT `logical`) says in words that its subject is unidentified.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from syncd.mapping.dialects.registry import dialect
from syncd.mapping.policy import MappingPolicy, PatientKey
from syncd.mapping.values.identifiers import patient_identifiers, usual_identifier
from syncd.mapping.values.people import human_names
from syncd.mapping.values.systems import UNIDENTIFIED_EXTENSION
from syncd.model.snapshot import StudySnapshot


def patient(snapshot: StudySnapshot, *, key: PatientKey, policy: MappingPolicy, fhir_version: str = "r4") -> dict[str, Any]:
    """The Patient at `key.resource_id`."""
    say, facts = dialect(fhir_version), snapshot.patient
    resource: dict[str, Any] = {
        "resourceType": "Patient",
        "id": key.resource_id,
        "meta": say.meta(policy),
    }
    if key.unidentified:
        resource["extension"] = [_unidentified_extension()]
    said = {
        "identifier": patient_identifiers(snapshot, policy=policy),
        "name": human_names(facts.names),
        "gender": facts.gender,
        "birthDate": facts.birth_date,
    }
    return say.patient(resource | {element: value for element, value in said.items() if value})


def with_identifiers(ours: Mapping[str, Any], *, of: Mapping[str, Any]) -> dict[str, Any]:
    """The Patient `ours` with the identifiers that `of` has beside its own: those under which another study, or an earlier
    one, knows the same patient (RULES B9). What both have stands as `ours` says it; a value without a system gives way to
    the same one with it.

    Both are of one FHIR version; the result has its identifiers in an order that does not change when it is made again."""
    own = [*ours.get("identifier", ())]
    known = {_identity(one) for one in own}
    values = {one.get("value") for one in own}
    further = [
        one
        for one in of.get("identifier", ())
        if _identity(one) not in known and (one.get("system") or one.get("value") not in values)
    ]
    return {**ours, "identifier": [*own, *further]} if further else dict(ours)


def without_server_parts(current: Mapping[str, Any], *, policy: MappingPolicy, fhir_version: str = "r4") -> dict[str, Any]:
    """Our Patient as the server holds it, fit to be sent again: without what the server added."""
    kept = {element: value for element, value in current.items() if element not in ("meta", "text")}
    return {**kept, "meta": dialect(fhir_version).meta(policy)}


def replaced_patient(ours: Mapping[str, Any], *, by: str, policy: MappingPolicy, fhir_version: str = "r4") -> dict[str, Any]:
    """Our Patient `ours`, as the server holds it, when another one stands for the same person: `by` is `Patient/<id>`.

    Nobody should use it any more, and whoever meets it is led on (RULES B4)."""
    say = dialect(fhir_version)
    kept = {element: value for element, value in ours.items() if element not in ("meta", "text", "active", "link")}
    link = {"other": {"reference": by}, "type": say.replaced_by}
    return {**kept, "meta": say.meta(policy), "active": False, "link": [link]}


def subject(key: PatientKey, snapshot: StudySnapshot, *, literal: str | None, fhir_version: str = "r4") -> dict[str, Any]:
    """The study's subject: the Patient resource `literal` (`Patient/<id>`), or a logical reference (DSTU2: words only).

    A logical reference needs an identifier. Without a PatientID there is none, and none is invented: the reference
    carries the words "unidentified patient" and our extension, so that a reader sees why (a rule of ours).
    """
    if literal is not None:
        return {"reference": literal}
    if key.unidentified:
        logical: dict[str, Any] = {
            "extension": [_unidentified_extension()],
            "type": "Patient",
            "display": "unidentified patient",
        }
    else:
        logical = {"type": "Patient", "identifier": usual_identifier(snapshot, system=key.system)}
    return dialect(fhir_version).subject(logical)


def _identity(identifier: Mapping[str, Any]) -> tuple[str, str, str]:
    """Who assigned it, by system or by name, and the value."""
    system = str(identifier.get("system") or "")
    assigner = "" if system else str(identifier.get("assigner", {}).get("display") or "")
    return (system, assigner, str(identifier.get("value") or ""))


def _unidentified_extension() -> dict[str, Any]:
    return {"url": UNIDENTIFIED_EXTENSION, "valueBoolean": True}
