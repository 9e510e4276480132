"""What is sent after a study's write, in the notation of `r4`: R4's Provenance, and what R5 changed (MAPPING J.2, J.5).

R6 is as R5 as far as syncd writes it, and closed; DSTU2 has none of it, and nothing is written there.
"""

from __future__ import annotations

from collections.abc import Mapping

from syncd.mapping.check.r4 import Table

_WHO = "Reference:Practitioner|PractitionerRole|RelatedPerson|Patient|Device|Organization!"

R4: Table = {
    "Provenance": {
        "resourceType": "code!",
        "id": "id",
        "meta": "Meta",
        "extension": "Extension*",
        "target": "Reference*!",
        "recorded": "instant!",
        "activity": "CodeableConcept",
        "agent": "ProvenanceAgent*!",
        "entity": "ProvenanceEntity*",
    },
    "ProvenanceAgent": {"type": "CodeableConcept", "who": _WHO},
    "ProvenanceEntity": {"role": "code:provenance-entity-role!", "what": "Reference!"},
}

R5: Table = {
    "Provenance": {"recorded": "instant"},
    "ProvenanceEntity": {"role": "code:provenance-entity-role-r5!"},
}

_RESOURCE = "implicitRules language text contained modifierExtension"

R6_FURTHER: Mapping[str, str] = {
    "Provenance": (
        f"{_RESOURCE} occurredPeriod occurredDateTime policy location authorization why basedOn patient encounter signature"
    ),
    "ProvenanceAgent": "id extension modifierExtension role onBehalfOf",
    "ProvenanceEntity": "id extension modifierExtension agent",
}
"""Elements that R6 defines and we never write."""
