"""`StudySnapshot` → ImagingStudy: what is to be said, decided once for every FHIR version (MAPPING A).

A dialect writes it down (`dialects`). Some things cannot be said at all: a series or instance whose UID is no FHIR id
is left out and not counted, one without any instance left goes with it, and a study of which nothing is left is refused
rather than published as empty (RULES A7).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace

from syncd.errors import StudyError
from syncd.mapping.dialects.registry import dialect as dialect_of
from syncd.mapping.dialects.statement import Json, Said, SaidSeries
from syncd.mapping.policy import MappingPolicy
from syncd.mapping.profiles.profiles import apply_profile
from syncd.mapping.resources.body_structure import body_structure_id
from syncd.mapping.resources.device import device_id
from syncd.mapping.resources.practitioner import practitioner_id
from syncd.mapping.resources.procedure import procedure_ids
from syncd.mapping.values.identifiers import accession_identifiers, encounter, order_references, study_identifiers
from syncd.mapping.values.identity import resource_id
from syncd.mapping.values.moments import date_time
from syncd.mapping.values.people import complete_performers, device, performer, practitioner
from syncd.mapping.values.systems import DCM
from syncd.mapping.values.terms import ACQUISITION, Term, body_site, laterality, modality, procedures, reasons
from syncd.model.snapshot import PatientFacts, Person, SeriesFacts, StudySnapshot

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
"""What FHIR allows in `series.uid` and `instance.uid` (MAPPING A.6): leading zeros pass, underscores do not."""


_MANIFESTS = frozenset({("DCM", "113030"), ("DCM", "113031"), ("99IHE", "MADOTEMP001")})
"""Titles of manifests: plain, signed, and IHE MADO's for the time being (MAPPING D.1)."""


def available_study(
    snapshot: StudySnapshot,
    *,
    subject: Json,
    policy: MappingPolicy,
    summary: bool = False,
    dialect: str = "r4",
    there: Collection[str] = frozenset(),
) -> Json:
    """The whole ImagingStudy of a stable study; above `max_instances`, or on request, in summary form (MAPPING F.6).

    `dialect` is a FHIR version of `registry.VERSIONS`; `there` are the companions (`Type/id`) that it may refer to
    (MAPPING J). Raises `StudyError` (`uid-not-oid`, `unmappable`).
    """
    said = whole(snapshot, subject=subject, policy=policy, summary=summary, there=there)
    return _in_dialect(said, dialect)


def registered_study(snapshot: StudySnapshot, *, subject: Json, policy: MappingPolicy, dialect: str = "r4") -> Json:
    """What is known of a study that still arrives: who, when, for which order, where (RULES A6).

    Only for a version that `writes_registered`.
    """
    return _in_dialect(_head(snapshot, status="registered", subject=subject, policy=policy), dialect)


def withdrawn_study(
    snapshot: StudySnapshot, *, subject: Json, policy: MappingPolicy, status: str, dialect: str = "r4"
) -> Json:
    """A study of which nothing may be shown any more: identifiers, subject and `status`; no series, modality, count or
    endpoint (MAPPING F.3). DSTU2, which has no status, says `UNAVAILABLE` and zero counts."""
    head = _head(snapshot, status=status, subject=subject, policy=policy)
    return _in_dialect(replace(head, orders=(), started="", reachable=False), dialect)


def listed_series(snapshot: StudySnapshot, *, policy: MappingPolicy) -> tuple[SeriesFacts, ...]:
    """The series that are shown: what FHIR can carry, without manifests where the site does not want them listed. A study
    of nothing else keeps them (MAPPING D.2, RULES A7: never publish zero)."""
    shown = encodable(snapshot.series)
    hidden = frozenset() if policy.list_manifest else manifests(snapshot)
    if not hidden:
        return shown
    kept = [
        replace(one, instances=tuple(instance for instance in one.instances if instance.uid not in hidden)) for one in shown
    ]
    return tuple(one for one in kept if one.instances) or shown


def manifests(snapshot: StudySnapshot) -> frozenset[str]:
    """The key objects that are no one's choice of images but an archive's list of all (MAPPING D.1)."""
    return frozenset(one.instance_uid for one in snapshot.key_objects if (one.title.scheme, one.title.value) in _MANIFESTS)


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


def _in_dialect(said: Said, version: str) -> Json:
    """What the version says, and what the site's profile adds."""
    return apply_profile(dialect_of(version).imaging_study(said), said, version=version)


def _head(snapshot: StudySnapshot, *, status: str, subject: Json, policy: MappingPolicy) -> Said:
    uid, *study_ids = study_identifiers(snapshot, policy=policy)
    return Said(
        resource_id=resource_id(snapshot.study_uid, bad_uid=policy.bad_uid),
        facts=StudySnapshot(archive=snapshot.archive, study_uid=snapshot.study_uid, patient=PatientFacts()),
        policy=policy,
        status=status,
        subject=subject,
        uid_identifier=uid,
        study_ids=tuple(study_ids),
        accessions=tuple(accession_identifiers(snapshot, policy=policy)),
        orders=tuple(order_references(snapshot, policy=policy)),
        archive=policy.of(snapshot.at_home),
        started=date_time(snapshot.started, timezone=policy.of(snapshot.archive).timezone),
    )


def whole(
    snapshot: StudySnapshot,
    *,
    subject: Json,
    policy: MappingPolicy,
    summary: bool = False,
    there: Collection[str] = frozenset(),
) -> Said:
    """What is to be said of a stable study, in no version's words; `there` as for `available_study`. Raises `StudyError`
    (`uid-not-oid`, `unmappable`)."""
    shown = listed_series(snapshot, policy=policy)
    if not shown:
        raise StudyError("unmappable", "no series with an instance has UIDs that FHIR can carry")
    done = procedure_ids(replace(snapshot, series=shown)) if there else ()
    head = _head(snapshot, status="available", subject=subject, policy=policy)
    return replace(
        head,
        facts=snapshot,
        counted=True,
        summary=summary or sum(len(one.instances) for one in shown) > policy.max_instances,
        modalities=_study_modalities(shown, policy=policy),
        encounter=encounter(snapshot, policy=policy),
        referrer=_person(snapshot.referrer, there) if snapshot.referrer else None,
        interpreters=tuple(_people(snapshot.interpreters, there)),
        procedures=procedures(snapshot),
        procedures_done=tuple(found for one in done if (found := _literal("Procedure", one, there))),
        reasons=reasons(snapshot),
        borrowed=any(instance.modality for one in shown for instance in one.instances),
        series=tuple(_series(one, snapshot, policy=policy, there=there) for one in shown),
        titles={one.instance_uid: one.title for one in snapshot.key_objects},
    )


def modality_of(series: SeriesFacts, *, policy: MappingPolicy) -> Term | None:
    """The series' modality as the site wants it said (MAPPING C.7)."""
    return _modality(series.modality, policy=policy)


def _modality(token: str, *, policy: MappingPolicy) -> Term | None:
    return modality(token, map_retired=policy.map_retired, site_system=policy.site_modality_system)


def _study_modalities(shown: Sequence[SeriesFacts], *, policy: MappingPolicy) -> tuple[Term, ...]:
    """Every modality of the listed series and of what lies in them, once, in their order; CID 29 only with `acquisition`;
    unknown ones are not said here."""
    tokens = dict.fromkeys(token for series in shown for token in series.modalities)
    terms = dict.fromkeys(term for token in tokens if (term := _modality(token, policy=policy)) is not None)
    if policy.modality_scope == "acquisition":
        return tuple(term for term in terms if term.system == DCM and term.code in ACQUISITION)
    return tuple(terms)


def _series(series: SeriesFacts, snapshot: StudySnapshot, *, policy: MappingPolicy, there: Collection[str]) -> SaidSeries:
    structure = body_structure_id(series, snapshot, policy=policy) if there else ""
    holder = policy.of(series.elsewhere or snapshot.at_home)
    machine = _device(series, there)
    people = [
        *(performer(one, function="PRF") for one in _people(series.performing_physicians, there)),
        *(performer(one, function="SPRF") for one in _people(series.operators, there)),
    ]
    return SaidSeries(
        facts=series,
        modality=modality_of(series, policy=policy),
        body_site=body_site(series),
        body_structure=_literal("BodyStructure", structure, there),
        laterality=laterality(series.laterality),
        started=date_time(series.started, timezone=holder.timezone),
        performers=tuple(complete_performers(people, [("DEV", machine)] if policy.write_devices else [])),
        device=machine,
        elsewhere=holder if series.elsewhere else None,
    )


def _people(persons: Sequence[Person], there: Collection[str]) -> list[Json]:
    """References to all who can be shown."""
    return [found for person in persons if (found := _person(person, there)) is not None]


def _person(person: Person, there: Collection[str]) -> Json | None:
    """To their Practitioner where there is one; else logical, or in words (MAPPING J.2)."""
    found = _literal("Practitioner", practitioner_id(person), there) if there else None
    return found or practitioner(person)


def _device(series: SeriesFacts, there: Collection[str]) -> Json | None:
    """To the machine's Device where there is one; else logical, or in words."""
    if series.equipment is None:
        return None
    found = _literal("Device", device_id(series.equipment), there) if there else None
    return found or device(series.equipment)


def _literal(resource_type: str, resource_id: str, there: Collection[str]) -> Json | None:
    """A reference to a companion, if it is there."""
    named = f"{resource_type}/{resource_id}"
    return {"reference": named} if named in there else None
