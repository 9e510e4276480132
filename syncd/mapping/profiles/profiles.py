"""What a guide demands beyond the base: filled where the archive's data allow it, never invented (MAPPING H, B, E).

A profile is laid over what the version's dialect has written: types of identifiers, orders as the guide's slices want
them, further performers, extensions. A slice may hold one thing only where a study has several: what does not fit stays
if the guide leaves room beside the slice, and goes if not, and `unsaid` tells it. `meta.profile` is the site's claim,
made of every study that is there; what a study lacks for it is told per study, as notes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydicom.sr.codedict import codes

from syncd.mapping.dialects.services import services
from syncd.mapping.dialects.statement import Json, Said, SaidEndpoint, SaidSeries
from syncd.mapping.policy import ArchivePolicy, MappingPolicy
from syncd.mapping.profiles.guides import GUIDES, Guide
from syncd.mapping.profiles.regions import regions
from syncd.mapping.values.people import complete_performers, function_of, organization
from syncd.mapping.values.systems import DCM, DICOM_UID
from syncd.model.snapshot import Code, InstanceFacts

STUDY_UID_TYPE = {"system": DCM, "code": "110180", "display": "Study Instance UID"}
ACCESSION_TYPE = {"system": DCM, "code": "121022", "display": "Accession Number"}
PAYLOAD_TYPE = "http://terminology.hl7.org/CodeSystem/endpoint-payload-type"
WADO_RS = "dicom-wado-rs"

_TITLES = {code.value: code.meaning for code in codes.cid7010.concepts.values()}
"""CID 7010 Key Object Selection Document Title: MADO's extension takes no other."""


def apply_profile(resource: Json, said: Said, *, version: str) -> Json:
    """The resource as the site's profile wants it; without a profile as it is. Raises `KeyError` for a version that the
    profile is not written in: `require_guide` is asked before."""
    if not said.policy.profile:
        return resource
    guide = GUIDES[said.policy.profile, version]
    made = resource | {"identifier": [_with_uid_type(one) for one in resource["identifier"]]}
    if "basedOn" in resource:
        made["basedOn"] = _orders(resource["basedOn"], guide=guide)
    if said.counted:
        found = regions((one.body_site for one in said.series), guide=guide)
        extensions = [_concept(guide.anatomical_region, region.system, region.code, region.display) for region in found]
        made["extension"] = [*resource.get("extension", ()), *extensions]
        made["series"] = [
            _series(one, of=facts, said=said, guide=guide)
            for one, facts in zip(resource["series"], said.series, strict=True)
        ]
    made["meta"] = meta_with_claim(resource["meta"], policy=said.policy, version=version, counted=said.counted)
    return {name: value for name, value in made.items() if value != []}


def meta_with_claim(meta: Json, *, policy: MappingPolicy, version: str, counted: bool) -> Json:
    """`meta` of an ImagingStudy with the site's claim, if any; MADO knows no study without its counts."""
    guide = GUIDES.get((policy.profile, version))
    return meta | {"profile": [guide.study]} if guide is not None and (counted or guide.name == "eu") else meta


def apply_endpoint_profile(
    resource: Json, service: SaidEndpoint, *, archive: ArchivePolicy, policy: MappingPolicy, version: str
) -> Json:
    """An Endpoint as the site's profile wants it: MADO's WADO-RS, with the archive's OID where the site gives it."""
    guide = GUIDES.get((policy.profile, version))
    if guide is None or not guide.wado_endpoint or service.code != WADO_RS:
        return resource
    payload = {"coding": [{"system": PAYLOAD_TYPE, "code": "none"}], "text": service.payload}
    made = resource | {"payloadType": [payload]}
    if archive.retrieve_location_uid:
        made["meta"] = resource["meta"] | {"profile": [guide.wado_endpoint]}
        made["extension"] = [{"url": guide.retrieve_location, "valueString": archive.retrieve_location_uid}]
    return made


def is_accession(order: Json) -> bool:
    """Whether a reference of `basedOn` names an accession number."""
    return any(coded["code"] == "ACSN" for coded in order["identifier"].get("type", {}).get("coding", ()))


def key_object_title(title: Code | None) -> str:
    """The code of a title if it is one of CID 7010, else empty."""
    return title.value if title is not None and title.scheme == "DCM" and title.value in _TITLES else ""


def _with_uid_type(identifier: Json) -> Json:
    if identifier.get("system") != DICOM_UID:
        return identifier
    head = {name: identifier[name] for name in ("use",) if name in identifier}
    return head | {"type": {"coding": [STUDY_UID_TYPE]}} | identifier


def _orders(orders: Sequence[Json], *, guide: Guide) -> list[Json]:
    """Both guides want one accession with a system. EU leaves room for other references, which must not look like a
    second one; every reference is MADO's one order, so there is no other."""
    accessions = [one for one in orders if is_accession(one) and one["identifier"].get("system")]
    others = [one for one in orders if not is_accession(one)]
    if guide.name == "mado":
        return [_with_type(one) for one in accessions[:1]]
    return [*accessions[:1], *map(_without_type, accessions[1:]), *others]


def _with_type(order: Json) -> Json:
    identifier = order["identifier"]
    coded = {"coding": [*identifier["type"]["coding"], ACCESSION_TYPE]}
    return order | {"identifier": identifier | {"type": coded}}


def _without_type(order: Json) -> Json:
    return order | {"identifier": {name: value for name, value in order["identifier"].items() if name != "type"}}


def _series(series: Json, *, of: SaidSeries, said: Said, guide: Guide) -> Json:
    made = dict(series)
    if guide.name == "eu":
        slices = (("DEV", of.device), ("CST", organization(of.facts.custodian)), ("LOC", organization(of.facts.institution)))
        made["performer"] = complete_performers(_slice_performers(series.get("performer", ())), slices)
    else:
        made["endpoint"] = wado_references(of.elsewhere or said.archive, said.policy)
    if "instance" in series:
        made["instance"] = [
            _instance(one, of=facts, title=said.titles.get(facts.uid), guide=guide)
            for one, facts in zip(series["instance"], of.facts.instances, strict=True)
        ]
    return {name: value for name, value in made.items() if value != []}


def wado_references(archive: ArchivePolicy, policy: MappingPolicy) -> list[Json]:
    """References to the WADO-RS Endpoints of the archive."""
    found = services(archive, prefix=policy.endpoint_prefix)
    return [{"reference": f"Endpoint/{one.resource_id}"} for one in found if one.code == WADO_RS]


def _slice_performers(performers: Sequence[Json]) -> list[Json]:
    """One performing physician is EU's slice, whose actor is no mere Practitioner; further ones stand beside it without a
    function, because a second of the same is refused, and so does one for whom a Practitioner is written."""
    made: list[Json] = []
    for one in performers:
        if function_of(one) != "PRF":
            made.append(one)
        elif fits_slice(one) and not any(function_of(other) == "PRF" for other in made):
            made.append(one | {"actor": {name: value for name, value in one["actor"].items() if name != "type"}})
        else:
            made.append({"actor": one["actor"]})
    return made


def fits_slice(performer: Json) -> bool:
    """Whether a performing physician can be EU's: in words or by identifier; a literal reference is to a Practitioner."""
    return "reference" not in performer["actor"]


def _instance(instance: Json, *, of: InstanceFacts, title: Code | None, guide: Guide) -> Json:
    extensions: list[Json] = []
    if guide.instance_description and of.title:
        extensions.append({"url": guide.instance_description, "valueString": of.title})
    if of.frames:
        extensions.append({"url": guide.number_of_frames, "valueInteger": of.frames})
    titled = key_object_title(title) if guide.key_object_title else ""
    if titled:
        extensions.append(_concept(guide.key_object_title, DCM, titled, _TITLES[titled]))
    return {"extension": extensions} | instance if extensions else instance


def _concept(url: str, system: str, code: str, display: str) -> dict[str, Any]:
    return {"url": url, "valueCodeableConcept": {"coding": [{"system": system, "code": code, "display": display}]}}
