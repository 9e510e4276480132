"""Where an ImagingStudy says what the plan must know, per FHIR version (RULES C3, MAPPING M).

R4 to R6 say it alike. DSTU2 calls the subject `patient`, the identifier `uid` and the Endpoints `url`, and it has no
status: only whether the study can be had. The ledger and the decisions speak of statuses all the same, so a status is
read from a resource here and nowhere else: what is UNAVAILABLE was withdrawn. What else a resource of ours refers to is
remembered, to be asked for again (RULES B12).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Elements:
    """One version's names. `whole`: elements that are ours whatever they say. `claimed`: ours where the archive has
    something to say there, else whoever wrote them keeps them."""

    whole: frozenset[str]
    subject: str
    claimed: frozenset[str] = frozenset()
    has_status: bool = True

    def status_of(self, resource: Mapping[str, Any]) -> str:
        """The status in R4's words; empty where the resource says none."""
        if self.has_status:
            return str(resource.get("status", ""))
        return "cancelled" if resource.get("availability") == "UNAVAILABLE" else "available"

    def subject_of(self, resource: Mapping[str, Any]) -> str:
        """The literal reference to the patient, or nothing."""
        return str(resource.get(self.subject, {}).get("reference", ""))


_SHARED = frozenset({"started", "numberOfSeries", "numberOfInstances", "description"})
_R4 = Elements(whole=_SHARED | {"status", "subject", "modality"}, subject="subject")
_DSTU2 = Elements(
    whole=_SHARED | {"uid", "_uid", "patient", "modalityList", "availability", "url"},
    claimed=frozenset({"accession"}),
    subject="patient",
    has_status=False,
)

_ELSEWHERE = frozenset({"subject", "patient", "instance"})
"""The subject is the record's own; instances refer to nothing, and are many."""

_OURS = "Endpoint"


def elements(fhir_version: str) -> Elements:
    """The names in that version; `fhir_version` as in the settings."""
    return _DSTU2 if fhir_version == "dstu2" else _R4


def references_in(resource: Mapping[str, Any]) -> tuple[str, ...]:
    """`Type/id` of each literal reference beside the subject and the Endpoints, sorted, each once."""
    return tuple(sorted({one for one in _references(resource) if one.partition("/")[0] != _OURS}))


def _references(value: object) -> Iterator[str]:
    if isinstance(value, str):  # most values are; whether something is a Mapping is asked slowly
        return
    if isinstance(value, Mapping):
        for name, item in value.items():
            if name == "reference" and isinstance(item, str):
                if item.count("/") == 1 and ":" not in item:
                    yield item
            elif name not in _ELSEWHERE:
                yield from _references(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _references(item)
