"""DSTU2 for the oracle: a DSTU2 resource restated in R4's words, and of R4's right answer what DSTU2 can say (MAPPING M).

So one comparison serves both. Whatever is not as DSTU2 should say it (an OID without `urn:oid:`, a code under another
system, an address that does not name the study) is restated as something wrong, never mended.
"""

from __future__ import annotations

from typing import Any

from pydicom.sr.codedict import codes

from tests.oracle_answers import Among, Either, Flat, changed, exactly

DCM = "http://dicom.nema.org/resources/ontology/DCM"
DICM = "http://nema.org/dicom/dicm"
OPAQUE = "urn:ietf:rfc:3986"
OID = "urn:oid:"

ACQUISITION = frozenset(code.value for code in codes.cid29.concepts.values())

UNSAYABLE = ("procedureCode", "reasonCode", "location", "encounter", "performer")
"""Elements that DSTU2 has not, or syncd does not write there."""

Json = dict[str, Any]


def is_dstu2(study: Json) -> bool:
    return "patient" in study


def restated(study: Json) -> Json:
    """The ImagingStudy as R4 would have it; `endpoint` holds the address itself, in words."""
    uid = study.get("uid", "")
    named = [{"use": "official", "system": "urn:dicom:uid", "value": uid}] if uid else []
    return {
        **{name: study[name] for name in ("resourceType", "id", "meta", "started", "description") if name in study},
        "status": {"ONLINE": "available", "UNAVAILABLE": "cancelled"}.get(study.get("availability", ""), "no status"),
        "identifier": [*named, *([study["accession"]] if "accession" in study else []), *study.get("identifier", [])],
        "basedOn": [
            {"identifier": {"type": {"coding": [{"code": "ACSN"}]}, "value": one.get("display", "")}}
            for one in study.get("order", [])
        ],
        "subject": study["patient"],
        **({"referrer": study["referrer"]} if "referrer" in study else {}),
        "interpreter": [study["interpreter"]] if "interpreter" in study else [],
        "modality": [_coding(one) for one in study.get("modalityList", [])],
        "numberOfSeries": study.get("numberOfSeries"),
        "numberOfInstances": study.get("numberOfInstances"),
        "endpoint": [{"display": _root(study["url"], f"/studies/{study['id']}")}] if "url" in study else [],
        "series": [_series(one, study) for one in study.get("series", [])],
    }


def patient(resource: Json) -> Json:
    """A Patient whose family names are lists, joined; R4's stays as it is."""
    names = [
        one | {"family": " ".join(one["family"])} if isinstance(one.get("family"), list) else one
        for one in resource.get("name", [])
    ]
    return resource | ({"name": names} if names else {})


def sayable(expected: Flat) -> Flat:
    """R4's right answer without what DSTU2 has no room for: a second accession, an order's system, other modalities."""
    told: Flat = {
        path: value for path, value in expected.items() if path.rpartition(".")[2].partition("[")[0] not in UNSAYABLE
    }
    told["identifier"] = changed(told["identifier"], _one_accession)
    told["basedOn"] = changed(told["basedOn"], _without_systems)
    told["modality"] = changed(told["modality"], _acquired)
    told["interpreter"] = changed(told["interpreter"], _one_name)
    return told


def _element(path: str) -> str:
    return path.rpartition(".")[2].partition("[")[0]


def _one_accession(identifiers: Among) -> Any:
    if not identifiers.most:
        return identifiers
    return Either(tuple((*identifiers.first, one) for one in sorted(identifiers.most)))


def _without_systems(orders: Among) -> Among:
    return exactly(("ACSN", "", value) for kind, _, value in orders.most if kind == "ACSN")


def _acquired(modalities: Any) -> Any:
    said = modalities.most if isinstance(modalities, Among) else modalities or ()
    told = tuple(one for one in said if one.removeprefix(f"{DCM}|") in ACQUISITION)
    return exactly(told) if isinstance(modalities, Among) else told


def _one_name(names: Any) -> Any:
    return (names or ())[:1]


def _series(series: Json, study: Json) -> Json:
    where = f"{study.get('url', '')}/series/"
    made = series | {"modality": _coding(series["modality"]), "uid": _uid(series, where=where)}
    below = f"{series.get('url', '')}/instances/"
    if "instance" in series:
        made["instance"] = [_instance(one, below) for one in series["instance"]]
    if series.get("availability") != "ONLINE" or series.get("url", "") != (where + made["uid"] if "url" in study else ""):
        made["description"] = "not reachable as it should be"
    return made


def _instance(instance: Json, where: str) -> Json:
    (content,) = instance.get("content", [{}])
    sop_class = {"system": OPAQUE, "code": instance["sopClass"]} if "sopClass" in instance else instance["_sopClass"]
    uid = _uid({**instance, "url": content.get("url", "")}, where=where)
    return instance | {
        "uid": uid if content.get("url") == where + uid else f"{uid} at another address",
        "sopClass": sop_class,
    }


def _uid(element: Json, *, where: str) -> str:
    """From the OID, or, where the UID is none, from the address."""
    if "uid" in element:
        said = str(element["uid"])
        return said.removeprefix(OID) if said.startswith(OID) else f"not an OID: {said}"
    return str(element.get("url", "")).removeprefix(where)


def _coding(coding: Json) -> Json:
    """DICOM's codes under R4's name of the system; under that name already, they are wrong."""
    system = coding.get("system", "")
    return coding | {"system": {DICM: DCM, DCM: f"not DSTU2's: {DCM}"}.get(system, system)} if system else coding


def _root(address: str, below: str) -> str:
    return address.removesuffix(below) if address.endswith(below) else f"not the study's: {address}"
