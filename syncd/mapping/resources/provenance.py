"""The trail of a correction: a Provenance, and the Device that stands for syncd in it (MAPPING J.2, J.5, RULES B8).

What happened is told by `activity`, in the words of another code system from R5 on. A retry says the very same: the
time is that of the intent, the id follows from what the study says.

DSTU2 has another Provenance, with other codes and no logical references; nothing is written there.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from syncd.mapping.dialects.registry import dialect
from syncd.mapping.dialects.statement import Json
from syncd.mapping.policy import MappingPolicy
from syncd.mapping.resources.device import syncd_device
from syncd.mapping.values.systems import DICOM_UID
from syncd.model.ids import is_uid
from syncd.model.provenance import Occasion, OwedProvenance

DATA_OPERATION = "http://terminology.hl7.org/CodeSystem/v3-DataOperation"
LIFECYCLE = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"
PARTICIPANT_TYPE = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"

NAME = "syncd"

_R4_ACTIVITY: Mapping[Occasion, str] = {
    Occasion.CREATED: "CREATE",
    Occasion.UPDATED: "UPDATE",
    Occasion.SUBJECT: "UPDATE",
    Occasion.REPLACED: "UPDATE",
    Occasion.RETRACTED: "DELETE",
}
_R5_ACTIVITY: Mapping[Occasion, str] = {
    Occasion.CREATED: "originate",
    Occasion.UPDATED: "amend",
    Occasion.SUBJECT: "amend",
    Occasion.REPLACED: "amend",
    Occasion.RETRACTED: "deprecate",
}


def writes_provenance(fhir_version: str) -> bool:
    """Whether this version has the Provenance that we write."""
    return fhir_version != "dstu2"


def device_id(policy: MappingPolicy) -> str:
    """The id of the Device that stands for this installation."""
    return str(device(policy)["id"])


def device(policy: MappingPolicy, *, fhir_version: str = "r4") -> Json:
    """syncd itself, as agent. Its version is not said: an upgrade would rewrite it, and the old trail with it."""
    made = syncd_device(policy, version="", fhir_version=fhir_version)
    assert made is not None, "a version without a form for it writes no Provenance"  # noqa: S101
    return made


def provenance(owed: OwedProvenance, *, policy: MappingPolicy, with_device: bool, fhir_version: str = "r4") -> Json:
    """The Provenance of one confirmed write. `with_device`: whether our Device is there to be named, else words do."""
    codes, system = (_R4_ACTIVITY, DATA_OPERATION) if fhir_version in ("r4", "r4b") else (_R5_ACTIVITY, LIFECYCLE)
    syncd = {"reference": f"Device/{device_id(policy)}"} if with_device else {"display": NAME}
    return {
        "resourceType": "Provenance",
        "id": owed.provenance_id,
        "meta": dialect(fhir_version).meta(policy),
        "target": [{"reference": f"ImagingStudy/{owed.resource_id}/_history/{owed.version}"}],
        "recorded": _instant(owed.recorded),
        "activity": {"coding": [{"system": system, "code": codes[owed.occasion]}]},
        "agent": [
            _agent("assembler", {**syncd, "type": "Device"}),
            _agent("author", {"type": "Device", "display": f"DICOM archive {policy.archive.name}"}),
        ],
        "entity": _entities(owed),
    }


def _entities(owed: OwedProvenance) -> list[Json]:
    """The DICOM study that it was made from, or was taken away; or those whose place it takes (MAPPING I case 39)."""
    role = "removal" if owed.occasion is Occasion.RETRACTED else "source"
    return [{"role": role, "what": _study(uid)} for uid in owed.sources or (owed.study_uid,)]


def _agent(role: str, who: Json) -> Json:
    return {"type": {"coding": [{"system": PARTICIPANT_TYPE, "code": role}]}, "who": who}


def _study(uid: str) -> Json:
    value = f"urn:oid:{uid}" if is_uid(uid) else uid
    return {"type": "ImagingStudy", "identifier": {"system": DICOM_UID, "value": value}}


def _instant(seconds: float) -> str:
    """A FHIR instant in UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, tz=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
