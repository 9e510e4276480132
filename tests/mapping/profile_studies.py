"""The two guides as a reader of their definitions restates them: what is demanded (min 1, max 1, fixed codes), as data.

Nothing of `syncd.mapping.profiles.profiles` is used here: HL7 Europe Imaging 1.0.0-ballot and IHE RAD MADO 1.0.0 say so
(MAPPING H).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydicom.sr.codedict import codes

Json = dict[str, Any]

DCM = "http://dicom.nema.org/resources/ontology/DCM"
ACSN = {"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN"}
PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
MADO = "https://profiles.ihe.net/RAD/MADO/StructureDefinition/"
EU = {
    "r4": "http://hl7.eu/fhir/imaging/StructureDefinition/",
    "r5": "http://hl7.eu/fhir/imaging-r5/StructureDefinition/",
}
SHARED_REGIONS = "63337009 38266002 53120007 61685007 67734004 774007 113257007 80891009 76752008"
REGIONS = {"eu": {*SHARED_REGIONS.split(), "737561001"}, "mado": {*SHARED_REGIONS.split(), "1141981001"}}
TITLES = {code.value for code in codes.cid7010.concepts.values()}


def coded(concept: Json, system: str, code: str) -> bool:
    """Whether a CodeableConcept holds this code."""
    return any((one.get("system"), one.get("code")) == (system, code) for one in concept.get("coding", ()))


def broken_for_eu(study: Json, version: str) -> Iterator[str]:
    """What of EU's ImagingStudy a resource breaks; `missing …` for what it merely lacks is not among it."""
    if study["meta"].get("profile") != [f"{EU[version]}ImagingStudyEuImaging"]:
        yield "meta.profile"
    yield from _uid(study)
    slices = [one for one in study.get("basedOn", ()) if coded(one["identifier"].get("type", {}), ACSN["system"], "ACSN")]
    if len(slices) > 1 or any("system" not in one["identifier"] for one in slices):
        yield "basedOn"
    yield from _regions(study, f"{EU[version]}AnatomicalRegionExtension", REGIONS["eu"])
    for series in study.get("series", ()):
        functions = [one["function"]["coding"][0]["code"] for one in series.get("performer", ()) if "function" in one]
        if any(functions.count(slot) > 1 for slot in ("PRF", "DEV", "CST", "LOC")):
            yield "series.performer"
        for one in series.get("performer", ()):
            target = one["actor"].get("type") or one["actor"].get("reference", "").partition("/")[0]
            if coded(one.get("function", {}), PARTICIPATION, "PRF") and target == "Practitioner":
                yield "series.performer:performer.actor"
        yield from _extensions(
            series, {f"{EU[version]}NumberOfFrames", f"{EU[version]}ImagingStudyEuImagingInstanceDescription"}
        )


def broken_for_mado(study: Json) -> Iterator[str]:
    """What of MADO's ImagingStudy a resource breaks."""
    if study["meta"].get("profile") != [f"{MADO}MadoImagingStudy"]:
        yield "meta.profile"
    yield from _uid(study)
    orders = study.get("basedOn", [])
    if len(orders) > 1:
        yield "basedOn:order"
    for one in orders:
        kind = one["identifier"].get("type", {})
        if not (coded(kind, ACSN["system"], "ACSN") and coded(kind, DCM, "121022") and one["identifier"].get("system")):
            yield "basedOn:order.identifier"
    if "numberOfSeries" not in study:
        yield "numberOfSeries"
    if not any(
        "text" in one or any("display" in c for c in one.get("coding", ())) for one in study.get("procedureCode", ())
    ):
        yield "mado-reqproc-1"
    yield from _regions(study, f"{MADO}MadoAnatomicalRegionExtension", REGIONS["mado"])
    for series in study.get("series", ()):
        if not any(one["reference"].endswith("wado-rs") for one in series.get("endpoint", ())):
            yield "series.endpoint:wado"
        if "numberOfInstances" not in series:
            yield "series.numberOfInstances"
        if not series.get("instance"):
            yield "series.instance"
        yield from _extensions(series, {f"{MADO}MadoNumberOfFrames", f"{MADO}MadoKeyObjectDocumentTitle"})
        for one in series.get("instance", ()):
            for extension in one.get("extension", ()):
                title = extension.get("valueCodeableConcept")
                if title and not (title["coding"][0]["system"] == DCM and title["coding"][0]["code"] in TITLES):
                    yield "ko-document-title"


def _uid(study: Json) -> Iterator[str]:
    uids = [one for one in study["identifier"] if one.get("system") == "urn:dicom:uid"]
    if len(uids) != 1 or not coded(uids[0].get("type", {}), DCM, "110180"):
        yield "identifier"


def _regions(study: Json, url: str, allowed: set[str]) -> Iterator[str]:
    for one in study.get("extension", ()):
        if one["url"] == url and one["valueCodeableConcept"]["coding"][0]["code"] not in allowed:
            yield "anatomical-region"


def _extensions(series: Json, allowed: set[str]) -> Iterator[str]:
    for instance in series.get("instance", ()):
        urls = [one["url"] for one in instance.get("extension", ())]
        if len(set(urls)) != len(urls) or not set(urls) <= allowed:
            yield "series.instance.extension"
