"""One study as FHIR would say it, without asking or telling the FHIR server anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from syncd.archive.interface import Archive
from syncd.errors import StudyGone
from syncd.loop.connect import Site, public_policy
from syncd.loop.hooks import finish_resource, load_hooks
from syncd.loop.strictness import odd, require_plain
from syncd.loop.study.read import require_one_patient, require_one_person
from syncd.mapping.profiles.guides import require_guide
from syncd.mapping.resources.companions import companions, references_to
from syncd.mapping.resources.imagingstudy import available_study, withdrawn_study
from syncd.mapping.resources.patient import subject
from syncd.mapping.resources.retracted import retracted_status
from syncd.mapping.values.identity import patient_key, resource_id
from syncd.model.ids import OrthancId, is_orthanc_id
from syncd.model.snapshot import Note
from syncd.snapshot.build import build
from syncd.snapshot.instances.rejection import rejections_in, without_rejected
from syncd.snapshot.union import union


def render(chosen: Site, study: str, *, version: str, tell: Callable[[Note], None]) -> list[dict[str, object]]:
    """What would be sent, the ImagingStudy last. Notes are told first, so that they are there where the study would be
    parked for them."""
    hooks = load_hooks()
    require_guide(chosen.policy.profile, fhir_version=version)
    roots: dict[str, str] = {name: source.archive.info().dicomweb_root for name, source in chosen.archives.items()}
    policy = public_policy(chosen, roots)
    snapshots = [build(archive.read_study(one), reading=policy.reading) for archive, one in _copies(chosen, study)]
    require_one_patient(snapshots, policy=policy)
    snapshot = union(snapshots, order=tuple(chosen.archives))
    before = patient_key(snapshot, policy=policy)
    said = rejections_in(snapshot, patient=before.resource_id)
    left = without_rejected(snapshot, said, patient=before.resource_id, quality=policy.rejected_quality)
    if not left.nothing:
        left = replace(left, snapshot=require_one_person(left.snapshot, policy=policy))
    snapshot = left.snapshot
    key = patient_key(snapshot, policy=policy)
    literal = None if policy.patient == "logical" else f"Patient/{key.resource_id}"
    who = subject(key, snapshot, literal=literal, fhir_version=version)
    found = odd(left.snapshot, policy=policy, fhir_version=version)
    for note in found:
        tell(note)
    beside: tuple[dict[str, object], ...] = ()
    if left.nothing:
        status = retracted_status(in_error=left.in_error, fhir_version=version)
        resource = withdrawn_study(snapshot, subject=who, policy=policy, status=status, dialect=version)
    else:
        require_plain(found, policy=policy)
        beside = companions(left.snapshot, subject=who, policy=policy, fhir_version=version)
        there = references_to(beside)
        resource = available_study(left.snapshot, subject=who, policy=policy, dialect=version, there=there)
    resource["id"] = resource_id(snapshot.study_uid, bad_uid=policy.bad_uid)
    return [*beside, finish_resource(left.snapshot, resource, hooks=hooks, fhir_version=version)]


def _copies(chosen: Site, study: str) -> list[tuple[Archive, OrthancId]]:
    """The Orthanc studies meant, in the archives that hold them."""
    archives = [source.archive for source in chosen.archives.values()]
    if is_orthanc_id(study):
        named = OrthancId(study)
        copies = [(archive, named) for archive in archives if len(archives) == 1 or _holds(archive, named)]
    else:
        copies = [(archive, one) for archive in archives for one in archive.lookup(study)]
    if not copies:
        who = "The archive holds" if len(archives) == 1 else "The archives hold"
        raise StudyGone(f"{who} no study {study}")
    return copies


def _holds(archive: Archive, orthanc_id: OrthancId) -> bool:
    try:
        archive.study(orthanc_id)
    except StudyGone:
        return False
    return True
