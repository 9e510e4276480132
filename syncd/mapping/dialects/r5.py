"""What R5 says otherwise than R4: concepts have words, body sites may be references, orders alone carry the accession.

R5 is poorer in two places: the reader of the images (`interpreter`) has no element any more, and the connection type
`ihe-iid` is no longer in HL7's code system (MAPPING 0.1-7), so it is said in words.
"""

from __future__ import annotations

from syncd.mapping.dialects.r4 import R4, SENTINEL_NAME, absent, coding, concept
from syncd.mapping.dialects.statement import Json, Said, SaidEndpoint, SaidSeries
from syncd.mapping.policy import MappingPolicy
from syncd.mapping.values.systems import CONNECTION_TYPE, SENTINEL
from syncd.mapping.values.terms import Term

_NOT_IN_TERMINOLOGY = frozenset({"ihe-iid"})
"""Connection types that hl7.terminology 5.1.0 does not define: HAPI's `$validate` calls them unknown codes."""


class R5(R4):
    """FHIR 5.0.0."""

    version = "r5"
    accession_in_identifier = False

    def endpoint(self, said: SaidEndpoint, *, policy: MappingPolicy) -> Json:
        return {
            "resourceType": "Endpoint",
            "id": said.resource_id,
            "meta": self.meta(policy),
            "status": "active",
            "connectionType": [_connection(said)],
            "name": said.name,
            "payload": [{"type": [{"text": said.payload}], "mimeType": [said.mime_type]}],
            "address": said.address,
        }

    def sentinel(self, sentinel_id: str, *, installation_id: str) -> Json:
        return {
            "resourceType": "Endpoint",
            "id": sentinel_id,
            "meta": self._meta(installation_id),
            "identifier": [{"system": SENTINEL, "value": sentinel_id}],
            "status": "off",
            "connectionType": [{"coding": [{"system": CONNECTION_TYPE, "code": "hl7-fhir-rest"}]}],
            "name": SENTINEL_NAME,
            "address": SENTINEL,
        }

    def _request(self, said: Said) -> Json:
        return {
            "partOf": self._part_of(said),
            "procedure": self._procedures(said),
            "reason": [{"concept": concept(term)} for term in said.reasons],
        }

    def _part_of(self, said: Said) -> list[Json]:
        return list(said.procedures_done)

    def _procedures(self, said: Said) -> list[Json]:
        return [{"concept": concept(term)} for term in said.procedures]

    def _modality(self, term: Term | None) -> Json:
        """As a CodeableConcept: words of a token that DICOM does not define are its `text`."""
        if term is None:
            return absent()
        if not term.code:
            return {"text": term.display}
        return {"coding": [coding(term)]} | ({"text": term.words} if term.words else {})

    def _anatomy(self, series: SaidSeries) -> Json:
        return {
            "bodySite": site_reference(concept(series.body_site), series) if series.body_site else None,
            "laterality": {"coding": [coding(series.laterality)]} if series.laterality else None,
        }


def site_reference(said: Json, series: SaidSeries) -> Json:
    """A CodeableReference: the site, and its BodyStructure where there is one (MAPPING J.7)."""
    return {"concept": said} | ({"reference": series.body_structure} if series.body_structure else {})


def _connection(said: SaidEndpoint) -> Json:
    if said.code and said.code not in _NOT_IN_TERMINOLOGY:
        return {"coding": [{"system": CONNECTION_TYPE, "code": said.code}]}
    return {"text": said.words}
