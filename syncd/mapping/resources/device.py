"""A Device for the equipment of a series, and one for syncd itself (MAPPING J.2).

A model is no machine: two of one model are two Devices, so there is a resource only for a Device UID, or for
manufacturer, model and serial number together; anything less is words. What changed between the versions is where a
name and a software version stand (`_FORMS`); DSTU2 asks for a type that no file gives, and has no series performer to
name a Device.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from syncd.mapping.dialects.registry import dialect
from syncd.mapping.dialects.statement import Json, without_empty
from syncd.mapping.policy import MappingPolicy
from syncd.mapping.values.systems import INSTALLATION, URI, is_oid
from syncd.model.ids import hashed_id
from syncd.model.snapshot import Equipment, StudySnapshot

DIGITS = 40

NAME_TYPE = "http://hl7.org/fhir/device-nametype"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """`names`: the element, `name`: what in it holds the text; `model`: the type of a model's name; `coded`: whether types
    are CodeableConcepts; `versions`: the element of software versions."""

    names: str
    name: str
    model: str
    coded: bool
    versions: str


_R4 = _Form(names="deviceName", name="name", model="model-name", coded=False, versions="version")
_FORMS: Mapping[str, _Form] = {
    "r4": _R4,
    "r4b": _R4,
    "r5": _Form(names="name", name="value", model="registered-name", coded=False, versions="version"),
    "r6": _Form(names="name", name="value", model="registered-name", coded=True, versions="deviceVersion"),
}
"""R5 took `model-name` away; `registered-name`, the maker's own, is what is left for a model."""


def device_id(equipment: Equipment) -> str:
    """`dev-` and a digest of the Device UID, else of manufacturer, model and serial number; empty without either."""
    key = [equipment.uid] if is_oid(equipment.uid) else [equipment.manufacturer, equipment.model, equipment.serial]
    if not all(key):
        return ""
    return hashed_id("dev-", key=json.dumps(key, ensure_ascii=False, separators=(",", ":")), digits=DIGITS)


def devices_of(snapshot: StudySnapshot, *, policy: MappingPolicy, fhir_version: str) -> tuple[Json, ...]:
    """The study's machines that can be told from others, each once, as its first series describes it."""
    if not policy.write_devices or fhir_version not in _FORMS:
        return ()
    found: dict[str, Json] = {}
    for series in snapshot.series:
        resource_id = device_id(series.equipment) if series.equipment else ""
        if series.equipment and resource_id and resource_id not in found:
            found[resource_id] = _device(series.equipment, resource_id, policy=policy, fhir_version=fhir_version)
    return tuple(found.values())


def syncd_device(policy: MappingPolicy, *, version: str, fhir_version: str) -> Json | None:
    """This installation as a Device, for whoever says what it did; None where the version has no form for it."""
    if fhir_version not in _FORMS:
        return None
    form, code = _FORMS[fhir_version], policy.installation_id
    return without_empty(
        {
            "resourceType": "Device",
            "id": hashed_id("dev-", key=json.dumps(["syncd", code]), digits=DIGITS),
            "meta": dialect(fhir_version).meta(policy),
            "identifier": [{"system": INSTALLATION, "value": code}],
            form.names: [_name("syncd", "user-friendly-name", form)],
            form.versions: [{"value": version}] if version else [],
        }
    )


def _device(equipment: Equipment, resource_id: str, *, policy: MappingPolicy, fhir_version: str) -> Json:
    form = _FORMS[fhir_version]
    names = ((equipment.model, form.model), (equipment.station, "user-friendly-name"))
    return without_empty(
        {
            "resourceType": "Device",
            "id": resource_id,
            "meta": dialect(fhir_version).meta(policy),
            "identifier": [{"system": URI, "value": f"urn:oid:{equipment.uid}"}] if is_oid(equipment.uid) else [],
            "manufacturer": equipment.manufacturer,
            "serialNumber": equipment.serial,
            form.names: [_name(text, kind, form) for text, kind in names if text],
            form.versions: [{"value": one} for one in equipment.versions],
        }
    )


def _name(text: str, kind: str, form: _Form) -> Json:
    return {form.name: text, "type": {"coding": [{"system": NAME_TYPE, "code": kind}]} if form.coded else kind}
