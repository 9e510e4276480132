"""The oracle: do Orthanc and the FHIR server say the same? It imports nothing of syncd and trusts nobody's bookkeeping.

    python -m tests.oracle --orthanc URL --fhir URL --dicomweb ADDRESS [--accept-missing FILE|UID=REASON …]

Orthanc is read instance by instance, each file's header by pydicom; what every ImagingStudy should say is computed anew
(`oracle_expect`, `oracle_values`), the FHIR server is read by plain GET, and the two are compared path by path. The
difficulty of an oracle is to be able to fail: `tests/oracle_itself` shows one deliberate error per compared field.
Orthanc's credentials come from the environment (ORACLE_ORTHANC_USER=name:password), never from the command line.
Values of patients appear in a report: it is for test data, or for an operator's own eyes.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests import oracle_dstu2
from tests.oracle_answers import Among, Flat, differing, in_any_case
from tests.oracle_archive import Archive, Copy, Unreadable
from tests.oracle_expect import CASES, Study, expectations, studies
from tests.oracle_people import Acquaintance, Key, Person, acquainted, contradict, issuers, patient, patient_key
from tests.oracle_server import Listed, Server

MAX_INSTANCES = 10_000
"""POLICY__MAX_INSTANCES: above it, series and counts only."""

RETRACTED = ("cancelled", "entered-in-error", "inactive")

MISMATCH = "patient-mismatch"
"""Why a study may be missing without anybody's leave: it, or it beside another one, names two people (RULES B10)."""

NOTHING_LEFT = ("started", "modality", "description", "numberOfSeries", "numberOfInstances", "series")
"""What a retracted study says no more (MAPPING F.3); of its endpoints those that are not ours may stay."""

REGISTERED = ("id", "meta.tag", "identifier", "basedOn", "started", "endpoint.address", "subject")
"""All that a study still arriving says (RULES A6)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One place where an ImagingStudy does not say what its files say."""

    study_uid: str
    path: str
    expected: Any
    found: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """`missing`: in the archive only. `extra`: ours, but not of the archive, or at another id than its UID.
    `duplicate`: a UID that several resources claim. `accepted`: missing, with the caller's reason."""

    studies: int
    instances: int
    compared: tuple[str, ...]
    differences: tuple[Difference, ...] = ()
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    duplicate: tuple[str, ...] = ()
    accepted: Mapping[str, str]

    @property
    def agrees(self) -> bool:
        return not (self.differences or self.missing or self.extra or self.duplicate)

    def lines(self) -> list[str]:
        """The report for people, the verdict last."""
        told = [f"missing    {uid}: no ImagingStudy" for uid in self.missing]
        told += [f"extra      {which}" for which in self.extra]
        told += [f"duplicate  {which}" for which in self.duplicate]
        for one in self.differences:
            told += [
                f"differs    {one.study_uid} {one.path}",
                f"    expected {one.expected!r}",
                f"    found    {one.found!r}",
            ]
        told += [f"accepted   {uid}: {reason}" for uid, reason in self.accepted.items()]
        verdict = "the two sides agree" if self.agrees else "THE TWO SIDES DIFFER"
        told.append(
            f"oracle: {self.studies} studies of {self.instances} instances in Orthanc, {len(self.compared)} compared,"
            f" {len(self.accepted)} accepted as missing, {len(self.missing)} missing, {len(self.extra)} extra,"
            f" {len(self.duplicate)} duplicate, {len(self.differences)} differences: {verdict}"
        )
        return told


def compare(
    orthanc_url: str,
    auth: tuple[str, str] | None,
    fhir_url: str,
    *,
    dicomweb_url: str,
    accepted: Mapping[str, str] | None = None,
    max_instances: int = MAX_INSTANCES,
    installation: str | None = None,
    session: Callable[[], requests.Session] = requests.Session,
) -> Report:
    """Reads both servers whole and compares them; raises `Unreadable` where one does not answer.

    `accepted` names the StudyInstanceUIDs that may be missing, each with a reason. Where installations share the FHIR
    server, `installation` is the id of the one that follows this archive: what another one's resources say is no
    difference, and must not be ours. `session` makes what both servers are asked through.
    """
    copies = Archive(orthanc_url, auth=auth, session=session()).copies()
    server = Server(fhir_url, installation=installation, session=session())
    held, allowed = studies(copies), dict(accepted or {})
    resources = {uid: server.imaging_study(uid) for uid in held}
    present = {uid: found for uid, found in resources.items() if found and found.get("status") not in RETRACTED}
    allowed |= {uid: MISMATCH for uid in held if uid not in allowed and _may_be_parked(uid, held=held)}
    # Registered before it was known to be of two people: it is parked as it stands.
    waiting = {uid for uid, found in present.items() if allowed.get(uid) == MISMATCH and found["status"] == "registered"}
    present = {uid: found for uid, found in present.items() if uid not in waiting}
    absent = [uid for uid in held if uid not in present]
    known = [acquainted((held[uid].sort_keys, held[uid].copies[0].in_case(case)) for uid in present) for case in CASES]
    differences = [
        difference
        for uid, resource in present.items()
        if not (uid in allowed and len(held[uid].patients) > 1)
        for difference in _differences(
            held[uid],
            server.flat(resource),
            known=known,
            dicomweb_url=dicomweb_url,
            most=max_instances,
            dstu2="dstu2" in resource,
        )
    ]
    differences += _shared_subjects({uid: (held[uid], present[uid]) for uid in present})
    listing = list(server.listing())
    differences += _still_said(server, listing, dicomweb_url=dicomweb_url)
    return Report(
        studies=len(held),
        instances=sum(len(copy.headers) for copy in copies),
        compared=tuple(present),
        differences=tuple(differences),
        missing=tuple(sorted(uid for uid in absent if uid not in allowed)),
        extra=tuple(_extra(listing, held=held)),
        duplicate=tuple(_duplicate(listing, held=held)),
        accepted={uid: allowed[uid] for uid in sorted(absent) if uid in allowed},
    )


def _may_be_parked(uid: str, *, held: Mapping[str, Study]) -> bool:
    """Whether the study, alone or beside another one of its patient, may name two people, or several issuers (B10)."""
    study = held[uid]
    if any(len(issuers(copy)) > 1 for copy in study.copies):
        return True
    return any(
        contradict(study.persons, other.persons, surely=False) for other in held.values() if study.patients & other.patients
    )


def _differences(
    study: Study,
    found: Flat,
    *,
    known: Sequence[Mapping[Key, Acquaintance]],
    dicomweb_url: str,
    most: int,
    dstu2: bool,
) -> list[Difference]:
    """Against the right answer that is nearest, where several are right."""
    if len(study.patients) > 1:
        return [
            Difference(study_uid=study.uid, path="subject", expected="one patient", found=f"{len(study.patients)} patients")
        ]
    if contradict(study.persons, study.persons, surely=True):
        return [Difference(study_uid=study.uid, path="subject", expected="one person", found="two people")]
    answers = []
    for answer in expectations(study, dicomweb_url=dicomweb_url, max_instances=most):
        expected = oracle_dstu2.sayable(answer) if dstu2 else answer
        if "subject.name" in found:
            expected |= _patient(study.copies[0], known)
        if not study.stable and found["status"] == "registered":
            expected = _registered(expected)
        if not expected.get("subject.identifier.assigner"):  # without an issuer it names the archive, as syncd calls it
            expected["subject.identifier.assigner"] = found.get("subject.identifier.assigner")
        answers.append(
            [
                Difference(study_uid=study.uid, path=path, expected=expected.get(path), found=found.get(path))
                for path in differing(expected, found)
            ]
        )
    return min(answers, key=len)


def _patient(copy: Copy, known: Sequence[Mapping[Key, Acquaintance]]) -> Flat:
    """In any case of what nobody can tell."""
    told = [patient(found[patient_key(copy.in_case(case))]) for case, found in zip(CASES, known, strict=True)]
    return in_any_case(told)


def _registered(expected: Flat) -> Flat:
    """A study that arrives says what its first image does: lists may yet be incomplete."""
    kept = {path: value for path, value in expected.items() if path.startswith(REGISTERED)} | {"status": "registered"}
    lists = {path: value for path, value in kept.items() if isinstance(value, Among)}
    return kept | {path: Among(first=one.first, most=one.least | one.most) for path, one in lists.items()}


def _shared_subjects(present: Mapping[str, tuple[Study, dict[str, Any]]]) -> Iterable[Difference]:
    """Two patients must never share a Patient, nor one patient have two."""
    by_patient: dict[Key, str] = {}
    by_reference: dict[str, Key] = {}
    people: dict[str, set[Person]] = {}
    for uid, (study, resource) in sorted(present.items()):
        reference = resource.get("subject", {}).get("reference")
        if reference is None or len(study.patients) > 1:
            continue
        key = next(iter(study.patients))
        if by_patient.setdefault(key, reference) != reference:
            yield Difference(study_uid=uid, path="subject.reference", expected=by_patient[key], found=reference)
        if by_reference.setdefault(reference, key) != key:
            yield Difference(study_uid=uid, path="subject.reference", expected="a Patient of its own", found=reference)
        if contradict(study.persons, people.setdefault(reference, set()), surely=True):
            yield Difference(study_uid=uid, path="subject", expected="one person", found="two people")
        people[reference] |= study.persons


def _still_said(server: Server, listing: Iterable[Listed], *, dicomweb_url: str) -> Iterable[Difference]:
    """A study that was taken back names its patient and itself, and shows nothing."""
    for one in listing:
        resource = server.imaging_study(one.id) if one.ours and one.status in RETRACTED else None
        if resource is None:
            continue
        for path in NOTHING_LEFT:
            if path in resource:
                yield Difference(study_uid=one.id, path=path, expected=None, found=resource[path])
        if not (one.uids and resource.get("subject")):
            yield Difference(study_uid=one.id, path="identifier, subject", expected="kept", found=None)
        if dicomweb_url in server.flat(resource).get("endpoint.address", ()):
            yield Difference(study_uid=one.id, path="endpoint.address", expected=None, found=dicomweb_url)


def _extra(listing: Iterable[Listed], *, held: Mapping[str, Study]) -> Iterable[str]:
    for one in listing:
        if one.ours and one.status not in RETRACTED and one.id not in held:
            yield f"ImagingStudy/{one.id} ({one.status}; {', '.join(one.uids) or 'no UID'})"


def _duplicate(listing: Collection[Listed], *, held: Mapping[str, Study]) -> Iterable[str]:
    """Of the studies that the archive holds or that we published; two strangers of one UID are theirs to settle."""
    concerned = {*held, *(uid for one in listing if one.ours for uid in one.uids)}
    claims: dict[str, list[str]] = {}
    for one in listing:
        for uid in concerned.intersection(one.uids):
            claims.setdefault(uid, []).append(one.id)
    return (f"{uid}: ImagingStudy/{', ImagingStudy/'.join(sorted(ids))}" for uid, ids in claims.items() if len(ids) > 1)


def accepted_from(texts: Iterable[str]) -> dict[str, str]:
    """`UID=reason` as it stands; anything else is a JSON file `{UID: reason}`."""
    found: dict[str, str] = {}
    for one in texts:
        uid, equals, reason = one.partition("=")
        found |= {uid: reason} if equals else json.loads(Path(one).read_text(encoding="utf-8"))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """0: the two sides agree; 1: they differ; 3: a server could not be read."""
    parser = argparse.ArgumentParser(prog="python -m tests.oracle", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--orthanc", required=True, help="Orthanc's REST root")
    parser.add_argument("--fhir", required=True, help="the FHIR server's base address")
    parser.add_argument("--dicomweb", required=True, help="what the Endpoint must say")
    parser.add_argument("--accept-missing", action="append", default=[], metavar="FILE|UID=REASON")
    parser.add_argument("--max-instances", type=int, default=MAX_INSTANCES)
    given = parser.parse_args(arguments)
    name, colon, password = os.environ.get("ORACLE_ORTHANC_USER", "").partition(":")
    try:
        report = compare(
            given.orthanc,
            (name, password) if colon else None,
            given.fhir,
            dicomweb_url=given.dicomweb,
            accepted=accepted_from(given.accept_missing),
            max_instances=given.max_instances,
        )
    except Unreadable as unreadable:
        print(f"oracle: {unreadable}")
        return 3
    print("\n".join(report.lines()))
    return 0 if report.agrees else 1


if __name__ == "__main__":
    sys.exit(main())
