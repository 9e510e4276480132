"""What DSTU2 (1.0.2) says: another ImagingStudy, and data types that know less (MAPPING M).

References are literal or mere words, an Identifier's type has HL7's older system, a family name is a list, and `meta`
has no source. Two things it cannot say. `uid` is an OID, so that a UID with leading zeros cannot be said there (HAPI
calls it an error) and only the addresses tell it; and there is no status. A study that is there is `ONLINE`, one that
is gone is `UNAVAILABLE`, and one that still arrives is not written at all (RULES A6).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from pydicom._uid_dict import UID_dictionary

from syncd.mapping.dialects.r4 import R4, absent, coding, summary_extension
from syncd.mapping.dialects.statement import Json, Said, SaidSeries, without_empty
from syncd.mapping.policy import ArchivePolicy
from syncd.mapping.values.systems import DCM, IDENTIFIER_TYPE, INSTALLATION, SENTINEL, is_oid
from syncd.mapping.values.terms import ACQUISITION, Term
from syncd.model.snapshot import InstanceFacts

DICOM = "http://nema.org/dicom/dicm"
"""DSTU2's name for DICOM's code system, in the binding of `modality`."""
TABLE_0203 = "http://hl7.org/fhir/v2/0203"

_AVAILABILITY = {"available": "ONLINE"}


class Dstu2(R4):
    """FHIR 1.0.2."""

    version = "dstu2"
    writes_registered = False
    has_endpoints = False
    sentinel_type = "Basic"
    replaced_by = "replace"

    def imaging_study(self, said: Said) -> Json:
        """DSTU2's own elements. Raises `ValueError` for a study that still arrives: it has no form here."""
        if said.status == "registered":
            raise ValueError("DSTU2 has no way to say that a study still arrives (RULES A6)")
        address = _address(said, said.archive) if said.reachable else ""
        shown = [one for one in said.modalities if one.code in ACQUISITION]
        return without_empty(
            {
                "resourceType": "ImagingStudy",
                "id": said.resource_id,
                "meta": self.meta(said.policy),
                "extension": summary_extension(said),
                **_uid(said.facts.study_uid),
                "accession": _identifier(said.accessions[0]) if said.accessions else None,
                "identifier": [*_unsayable(said), *map(_identifier, said.study_ids)],
                "patient": self.subject(said.subject),
                "order": [{"display": one["value"]} for one in said.accessions],
                "started": said.started,
                "modalityList": [self._modality(term) for term in shown],
                "referrer": _words(said.referrer),
                "availability": _AVAILABILITY.get(said.status, "UNAVAILABLE"),
                "url": address,
                "numberOfSeries": len(said.series),
                "numberOfInstances": said.instances,
                "interpreter": _words(said.interpreters[0]) if said.interpreters else None,
                "procedure": list(said.procedures_done),
                "description": said.facts.description,
                "series": [self._series_entry(one, said, address) for one in said.series],
            }
        )

    def subject(self, reference: Json) -> Json:
        """A literal reference as it is; a logical one becomes words: the identifier, and who assigned it."""
        if "reference" in reference:
            return {"reference": reference["reference"]}
        made: Json = {name: reference[name] for name in ("extension", "display") if name in reference}
        identifier = reference.get("identifier")
        if identifier and "display" not in made:
            assigner = identifier.get("system") or identifier.get("assigner", {}).get("display", "")
            made["display"] = f"{identifier['value']} ({assigner})" if assigner else identifier["value"]
        return made

    def patient(self, resource: Json) -> Json:
        made = dict(resource)
        if "identifier" in resource:
            made["identifier"] = [_identifier(one) for one in resource["identifier"]]
        if "name" in resource:
            made["name"] = [name | {"family": [name["family"]]} if "family" in name else name for name in resource["name"]]
        return made

    def sentinel(self, sentinel_id: str, *, installation_id: str) -> Json:
        """DSTU2 has no Endpoint: a Basic."""
        return {
            "resourceType": "Basic",
            "id": sentinel_id,
            "meta": self._meta(installation_id),
            "identifier": [{"system": SENTINEL, "value": sentinel_id}],
            "code": {"text": "syncd sentinel: tells whether this is still the same server; do not delete"},
        }

    def _meta(self, installation_id: str) -> Json:
        return {"tag": [{"system": INSTALLATION, "code": installation_id}]}

    def _modality(self, term: Term | None) -> Json:
        return _coding(term) if term else absent()

    def _series_entry(self, series: SaidSeries, said: Said, study_address: str) -> Json:
        holder = _address(said, series.elsewhere) if series.elsewhere and study_address else study_address
        address = f"{holder}/series/{series.facts.uid}" if holder else ""
        return without_empty(
            {
                **_uid(series.facts.uid),
                "number": series.facts.number,
                "modality": self._modality(series.modality),
                "description": series.facts.description,
                "numberOfInstances": len(series.facts.instances),
                "availability": "ONLINE",
                "url": address,
                "bodySite": _coding(series.body_site) if series.body_site else None,
                "laterality": _coding(series.laterality) if series.laterality else None,
                "started": series.started,
                "instance": [] if said.summary else [_instance(one, address) for one in series.facts.instances],
            }
        )


def _address(said: Said, archive: ArchivePolicy) -> str:
    """The study in that archive; empty where its address is not known."""
    return f"{archive.dicomweb_url}/studies/{said.facts.study_uid}" if archive.dicomweb_url else ""


def _instance(instance: InstanceFacts, series_address: str) -> Json:
    made: Json = _uid(instance.uid)
    if is_oid(instance.sop_class):
        made["sopClass"] = f"urn:oid:{instance.sop_class}"
    else:
        made["_sopClass"] = absent()
    name = _class_names().get(instance.sop_class)
    if name:
        made["type"] = name
    if instance.number is not None:
        made["number"] = instance.number
    if instance.title:
        made["title"] = instance.title
    if series_address:
        made["content"] = [{"url": f"{series_address}/instances/{instance.uid}"}]
    return made


def _uid(uid: str) -> Json:
    """`uid` as an OID; what is none leaves the element to its reason."""
    return {"uid": f"urn:oid:{uid}"} if is_oid(uid) else {"_uid": absent()}


def _unsayable(said: Said) -> list[Json]:
    """The StudyInstanceUID as an identifier, only where `uid` cannot hold it."""
    return [] if is_oid(said.facts.study_uid) else [said.uid_identifier]


def _coding(term: Term) -> Json:
    return coding(term) | ({"system": DICOM} if term.system == DCM else {})


def _identifier(identifier: Mapping[str, object]) -> Json:
    """The same Identifier, its type under DSTU2's system."""
    made = dict(identifier)
    kind = made.get("type")
    if isinstance(kind, Mapping) and "coding" in kind:
        made["type"] = {"coding": [_older(one) for one in kind["coding"]]}
    return made


def _older(coded: Mapping[str, object]) -> Json:
    return dict(coded) | ({"system": TABLE_0203} if coded.get("system") == IDENTIFIER_TYPE else {})


def _words(reference: Json | None) -> Json | None:
    """A reference without its identifier: DSTU2 knows no logical ones."""
    if reference and "reference" in reference:
        return reference
    return {"display": reference["display"]} if reference and reference.get("display") else None


@cache
def _class_names() -> Mapping[str, str]:
    """PS3.6 Annex A: SOP class → its name."""
    return {uid: name for uid, (name, kind, *_) in UID_dictionary.items() if kind == "SOP Class"}
