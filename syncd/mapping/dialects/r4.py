"""What R4 says, and the frame that the later versions keep: elements that they say otherwise are methods of their own.

Concepts are bare Codings in R4. A Coding may have no code: there is no `text` to fall back on, so words go into
`display`, and what is not known at all is an empty Coding that says why (`data-absent-reason`).
"""

from __future__ import annotations

from syncd.mapping.dialects.services import services
from syncd.mapping.dialects.statement import Json, Said, SaidEndpoint, SaidSeries, without_empty
from syncd.mapping.policy import ArchivePolicy, MappingPolicy
from syncd.mapping.values.systems import (
    CONNECTION_TYPE,
    DATA_ABSENT_REASON,
    INSTALLATION,
    SENTINEL,
    SOURCE,
    SUMMARY_EXTENSION,
    URI,
)
from syncd.mapping.values.terms import Term
from syncd.model.ids import is_uid
from syncd.model.snapshot import InstanceFacts

SENTINEL_NAME = "syncd sentinel: tells whether this is still the same server; do not delete"


_SOP_CLASSES = {
    "urn": (URI, "urn:oid:"),
    "jp": ("http://hl7.org/fhir/uv/imaging-service-request-ig/CodeSystem/dicom-uids", ""),
}
"""`sopclass_style`: the system of an SOP class, and what stands before its UID. JP Core has its own (MAPPING H)."""


class R4:
    """FHIR 4.0.1."""

    version = "r4"
    accession_in_identifier = True
    """Whether an accession is an identifier of the study too, where the site does not say (MAPPING B)."""
    writes_registered = True
    """Whether a study that still arrives is announced (RULES A6)."""
    revision = 0
    """Raised whenever this version, and those made after it, say the same study otherwise than before (RULES B3)."""
    has_endpoints = True
    sentinel_type = "Endpoint"
    """The resource type by which a ledger knows its server again (RULES E3)."""
    replaced_by = "replaced-by"
    """The type of a Patient's link to the one that must be used instead of it (RULES B4)."""

    def imaging_study(self, said: Said) -> Json:
        """The whole resource; elements without a value are left out."""
        return without_empty(
            {
                "resourceType": "ImagingStudy",
                "id": said.resource_id,
                "meta": self.meta(said.policy),
                "extension": summary_extension(said),
                "identifier": self._identifiers(said),
                "status": said.status,
                "modality": self._modalities(said),
                "subject": said.subject,
                "encounter": said.encounter,
                "started": said.started,
                "basedOn": list(said.orders),
                "referrer": said.referrer,
                "endpoint": endpoint_references(said.archive, said.policy) if said.reachable else [],
                "numberOfSeries": len(said.series) if said.counted else None,
                "numberOfInstances": said.instances if said.counted else None,
                **self._request(said),
                "location": {"display": said.facts.location_text} if said.facts.location_text else None,
                "description": said.facts.description,
                "series": [self._series(one, said) for one in said.series],
            }
        )

    def subject(self, reference: Json) -> Json:
        """The Reference in `ImagingStudy.subject`, which every version with logical references takes as it is."""
        return reference

    def patient(self, resource: Json) -> Json:
        """The Patient: its elements did not change since R4."""
        return resource

    def endpoint(self, said: SaidEndpoint, *, policy: MappingPolicy) -> Json:
        """One Endpoint that is always active (MAPPING E)."""
        connection = {"system": CONNECTION_TYPE, "code": said.code} if said.code else {"display": said.words}
        return {
            "resourceType": "Endpoint",
            "id": said.resource_id,
            "meta": self.meta(policy),
            "status": "active",
            "connectionType": connection,
            "name": said.name,
            "payloadType": [{"text": said.payload}],
            "payloadMimeType": [said.mime_type],
            "address": said.address,
        }

    def sentinel(self, sentinel_id: str, *, installation_id: str) -> Json:
        """An Endpoint that is off, and leads nowhere (RULES E3)."""
        return {
            "resourceType": "Endpoint",
            "id": sentinel_id,
            "meta": self._meta(installation_id),
            "identifier": [{"system": SENTINEL, "value": sentinel_id}],
            "status": "off",
            "connectionType": {"system": CONNECTION_TYPE, "code": "hl7-fhir-rest"},
            "name": SENTINEL_NAME,
            "payloadType": [{"text": "none"}],
            "address": SENTINEL,
        }

    def meta(self, policy: MappingPolicy) -> Json:
        """`meta` of everything that we write: constant, because HAPI carries old tags forward (RULES B2)."""
        return self._meta(policy.installation_id)

    def _meta(self, installation_id: str) -> Json:
        return {"source": SOURCE, "tag": [{"system": INSTALLATION, "code": installation_id}]}

    def _identifiers(self, said: Said) -> list[Json]:
        wanted = said.policy.accession_in_identifier
        named = said.accessions if (self.accession_in_identifier if wanted is None else wanted) else ()
        return [said.uid_identifier, *named, *said.study_ids]

    def _modalities(self, said: Said) -> list[Json]:
        return [self._modality(term) for term in said.modalities]

    def _request(self, said: Said) -> Json:
        """Who read it, what was done, and why."""
        return {
            "interpreter": list(said.interpreters),
            "procedureReference": next(iter(said.procedures_done), None),
            "procedureCode": [concept(term) for term in said.procedures],
            "reasonCode": [concept(term) for term in said.reasons],
        }

    def _series(self, series: SaidSeries, said: Said) -> Json:
        return without_empty(
            {
                "uid": series.facts.uid,
                "number": series.facts.number,
                "modality": self._modality(series.modality),
                "description": series.facts.description,
                "numberOfInstances": len(series.facts.instances),
                "endpoint": endpoint_references(series.elsewhere, said.policy) if series.elsewhere else [],
                **self._anatomy(series),
                "started": self._series_started(series, said),
                "performer": self._performers(series),
                "instance": [] if said.summary else self._instances(series, said),
            }
        )

    def _modality(self, term: Term | None) -> Json:
        """`series.modality` is required: unknown is said, not left out (MAPPING C.7)."""
        return coding(term) if term else absent()

    def _anatomy(self, series: SaidSeries) -> Json:
        return {
            "bodySite": coding(series.body_site) if series.body_site else None,
            "laterality": coding(series.laterality) if series.laterality else None,
        }

    def _series_started(self, series: SaidSeries, said: Said) -> str:
        return series.started

    def _performers(self, series: SaidSeries) -> list[Json]:
        return list(series.performers)

    def _instances(self, series: SaidSeries, said: Said) -> list[Json]:
        """The one list that may be long."""
        system, prefix = _SOP_CLASSES[said.policy.sopclass_style]
        return [_instance(instance, system, prefix) for instance in series.facts.instances]


def summary_extension(said: Said) -> list[Json]:
    """Our own word for a study whose instances are not listed (RULES B2)."""
    return [{"url": SUMMARY_EXTENSION, "valueBoolean": True}] if said.summary else []


def endpoint_references(archive: ArchivePolicy, policy: MappingPolicy) -> list[Json]:
    """References to the archive's Endpoints, in their order."""
    found = services(archive, prefix=policy.endpoint_prefix)
    return [{"reference": f"Endpoint/{service.resource_id}"} for service in found]


def coding(term: Term) -> Json:
    """A Coding: with system and code, or words only."""
    made = {"system": term.system, "code": term.code} if term.code else {}
    return made | ({"display": term.display} if term.display else {})


def concept(term: Term) -> Json:
    """A CodeableConcept: the code where there is one, and what the archive said in words."""
    made: Json = {"coding": [coding(term)]} if term.code else {}
    words = term.words if term.code else term.words or term.display
    return made | ({"text": words} if words else {})


def absent() -> Json:
    """An element without a value that says so: the archive does not know."""
    return {"extension": [{"url": DATA_ABSENT_REASON, "valueCode": "unknown"}]}


def _instance(instance: InstanceFacts, system: str, prefix: str) -> Json:
    made: Json = {"uid": instance.uid}
    if is_uid(instance.sop_class):
        # Leading zeros pass: an OID with them is wrong, but the class is still told (MAPPING I case 28).
        made["sopClass"] = {"system": system, "code": prefix + instance.sop_class}
    else:
        made["sopClass"] = absent()
    if instance.number is not None:
        made["number"] = instance.number
    if instance.title:
        made["title"] = instance.title
    return made
