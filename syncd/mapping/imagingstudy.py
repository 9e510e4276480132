"""`StudySnapshot` → ImagingStudy: what every FHIR version says alike is assembled here, element by element (MAPPING A).

A dialect supplies what a version says in its own way (`DIALECTS`). The difficulty is what cannot be said at all: a
series or instance whose UID is no FHIR id is left out and not counted, one without any instance left goes with it, and a
study of which nothing is left is refused rather than published as empty (RULES A7).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from syncd.errors import StudyError
from syncd.mapping import dialect_r4
from syncd.mapping.endpoints import endpoint_references, installation_meta
from syncd.mapping.identifiers import based_on, encounter, study_identifiers
from syncd.mapping.identity import resource_id
from syncd.mapping.moments import date_time
from syncd.mapping.people import practitioner, practitioners
from syncd.mapping.policy import MappingPolicy
from syncd.mapping.systems import PARTICIPATION_TYPE, SUMMARY_EXTENSION
from syncd.mapping.terms import ACQUISITION, Term, body_site, laterality, modality
from syncd.model.snapshot import InstanceFacts, Person, SeriesFacts, StudySnapshot

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
"""What FHIR allows in `series.uid` and `instance.uid` (MAPPING A.6): leading zeros pass, underscores do not."""


class Dialect(Protocol):
    """What one FHIR version says differently: terms, instances, and elements that only it has."""

    @property
    def ACCESSIONS_AS_IDENTIFIER(self) -> bool:  # noqa: N802 - a constant of the dialect's module
        """Whether the accession is an identifier of the study too, beside `basedOn`."""

    def modality(self, term: Term | None) -> dict[str, Any]: ...

    def body_site(self, term: Term) -> dict[str, Any]: ...

    def laterality(self, term: Term) -> dict[str, Any]: ...

    def instances(self, instances: Sequence[InstanceFacts]) -> list[dict[str, Any]]: ...

    def study_elements(self, snapshot: StudySnapshot) -> dict[str, Any]: ...


DIALECTS: Mapping[str, Dialect] = {"r4": dialect_r4}


def available(
    snapshot: StudySnapshot,
    *,
    subject: dict[str, Any],
    policy: MappingPolicy,
    summary: bool = False,
    dialect: str = "r4",
) -> dict[str, Any]:
    """The whole ImagingStudy of a stable study; above `max_instances`, or on request, in summary form (MAPPING F.6).

    Raises `StudyError` (`uid-not-oid`, `unmappable`).
    """
    say = DIALECTS[dialect]
    listed = encodable(snapshot.series)
    if not listed:
        raise StudyError("unmappable", "no series with an instance has UIDs that FHIR can carry")
    instances = sum(len(series.instances) for series in listed)
    summary = summary or instances > policy.max_instances
    head = _head(snapshot, status="available", subject=subject, policy=policy, say=say)
    return _filled(
        head
        | {
            "extension": [{"url": SUMMARY_EXTENSION, "valueBoolean": True}] if summary else [],
            "modality": _study_modalities(listed, policy=policy, say=say),
            "encounter": encounter(snapshot, policy=policy),
            "referrer": practitioner(snapshot.referrer) if snapshot.referrer else None,
            "numberOfSeries": len(listed),
            "numberOfInstances": instances,
            "location": {"display": snapshot.location_text} if snapshot.location_text else None,
            "description": snapshot.description,
            "series": [_series(series, summary=summary, policy=policy, say=say) for series in listed],
        }
        | say.study_elements(snapshot)
    )


def registered(
    snapshot: StudySnapshot, *, subject: dict[str, Any], policy: MappingPolicy, dialect: str = "r4"
) -> dict[str, Any]:
    """What is known of a study that still arrives: who, when, for which order, where (RULES A6)."""
    return _filled(_head(snapshot, status="registered", subject=subject, policy=policy, say=DIALECTS[dialect]))


def encodable(series: Sequence[SeriesFacts]) -> tuple[SeriesFacts, ...]:
    """The series and instances whose UIDs FHIR can carry, without series of which nothing is left."""
    kept = []
    for one in series:
        if _ID.fullmatch(one.uid) is None:
            continue
        instances = tuple(instance for instance in one.instances if _ID.fullmatch(instance.uid) is not None)
        if instances:
            kept.append(one if len(instances) == len(one.instances) else replace(one, instances=instances))
    return tuple(kept)


def _head(
    snapshot: StudySnapshot, *, status: str, subject: dict[str, Any], policy: MappingPolicy, say: Dialect
) -> dict[str, Any]:
    return {
        "resourceType": "ImagingStudy",
        "id": resource_id(snapshot.study_uid, bad_uid=policy.bad_uid),
        "meta": installation_meta(policy),
        "identifier": study_identifiers(snapshot, policy=policy, accessions=say.ACCESSIONS_AS_IDENTIFIER),
        "status": status,
        "subject": subject,
        "started": date_time(snapshot.started, timezone=policy.archive.timezone),
        "basedOn": based_on(snapshot, policy=policy),
        "endpoint": list(endpoint_references(policy)),
    }


def _study_modalities(listed: Sequence[SeriesFacts], *, policy: MappingPolicy, say: Dialect) -> list[dict[str, Any]]:
    """Every modality of the listed series once, in their order; CID 29 only with `acquisition`; unknown ones are not
    said here."""
    tokens = dict.fromkeys(series.modality for series in listed)
    if policy.modality_scope == "acquisition":
        tokens = {token: None for token in tokens if token in ACQUISITION}
    return [say.modality(term) for term in map(modality, tokens) if term is not None]


def _series(series: SeriesFacts, *, summary: bool, policy: MappingPolicy, say: Dialect) -> dict[str, Any]:
    site, side = body_site(series), laterality(series.laterality)
    return _filled(
        {
            "uid": series.uid,
            "number": series.number,
            "modality": say.modality(modality(series.modality)),
            "description": series.description,
            "numberOfInstances": len(series.instances),
            "bodySite": say.body_site(site) if site else None,
            "laterality": say.laterality(side) if side else None,
            "started": date_time(series.started, timezone=policy.archive.timezone),
            "performer": [
                *_performers(series.performing_physicians, function="PRF"),
                *_performers(series.operators, function="SPRF"),
            ],
            "instance": [] if summary else say.instances(series.instances),
        }
    )


def _performers(persons: Sequence[Person], *, function: str) -> list[dict[str, Any]]:
    return [
        {"function": {"coding": [{"system": PARTICIPATION_TYPE, "code": function}]}, "actor": actor}
        for actor in practitioners(persons)
    ]


def _filled(elements: Mapping[str, Any]) -> dict[str, Any]:
    """Without the elements that say nothing: FHIR knows no empty values."""
    return {name: value for name, value in elements.items() if value is not None and value not in ("", [], {})}
