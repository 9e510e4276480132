"""What each ImagingStudy should say, as flat paths and values (MAPPING.md A, B, E and J.1 for R4).

`{"started": "2026-03-01", "series[1.2.3].number": 4, …}`: the oracle compares two such dictionaries, so a forgotten
element shows as a path that only one side has. `None` and an absent path are the same. Where two copies of one study are
equally large, MAPPING.md leaves open which one speaks: then there are several right answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

from pydicom.dataset import Dataset

from tests import oracle_values as values
from tests.oracle_archive import Copy, Instance, Series, by_number

UID_SYSTEM = "urn:dicom:uid"
OPAQUE = "urn:ietf:rfc:3986"

Flat = dict[str, Any]

_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """One StudyInstanceUID: its copies, and whether they are of one patient."""

    uid: str
    copies: tuple[Copy, ...]

    @property
    def stable(self) -> bool:
        return all(copy.stable for copy in self.copies)

    @property
    def patients(self) -> set[tuple[str, ...]]:
        return {patient_key(copy) for copy in self.copies}

    @property
    def sort_key(self) -> tuple[str, str, str]:
        """RULES B4: the greatest study of a patient writes the Patient."""
        copy = self.copies[0]
        return _digits(copy, 0x00080020), _digits(copy, 0x00080030), self.uid


def studies(copies: Iterable[Copy]) -> dict[str, Study]:
    grouped: dict[str, list[Copy]] = {}
    for copy in copies:
        grouped.setdefault(copy.uid, []).append(copy)
    return {uid: Study(uid=uid, copies=tuple(found)) for uid, found in grouped.items()}


def patient_key(copy: Copy) -> tuple[str, ...]:
    """Who the patient is: (system, assigner, value); of the study alone where there is no PatientID (I case 11)."""
    value = _first(copy, 0x00100020)
    return (*_patient_issuer(copy.headers[0]), value) if value else ("noid", copy.uid)


def greatest(found: Iterable[Study]) -> dict[tuple[str, ...], Study]:
    """The study that writes each patient's Patient."""
    chosen: dict[tuple[str, ...], Study] = {}
    for study in sorted(found, key=lambda one: one.sort_key):
        chosen.update(dict.fromkeys(study.patients, study))
    return chosen


def expectations(study: Study, *, dicomweb_url: str, max_instances: int) -> Iterator[Flat]:
    """Every right answer for the study, mostly one."""
    for order in permutations(study.copies):
        ordered = sorted(order, key=lambda copy: -len(copy.headers))
        yield _study(study, ordered, dicomweb_url=dicomweb_url, max_instances=max_instances)


def _study(study: Study, copies: list[Copy], *, dicomweb_url: str, max_instances: int) -> Flat:
    main = copies[0]
    series = _union(copies)
    counted = sum(len(one.instances) for one in series)
    accessions = list(_accessions(main))
    flat: Flat = {
        "id": study.uid,
        "meta.tag": True,
        "status": "available",
        "identifier": (
            ("official", "", UID_SYSTEM, f"urn:oid:{study.uid}"),
            *(("", "ACSN", system, value) for system, value in accessions),
        ),
        "basedOn": tuple(accessions),
        "started": _moment(main, 0x00080020, 0x00080030),
        "description": values.free_text(main.first_stored(0x00081030)),
        "modality": tuple(dict.fromkeys(_modality(one) for one in series if _modality(one) != values.ABSENT)),
        "numberOfSeries": len(series),
        "numberOfInstances": counted,
        "endpoint.address": (dicomweb_url,),
        "series": tuple(one.uid for one in series),
        **_subject(main),
    }
    for one in series:
        flat |= _series(one, listed=counted <= max_instances)
    return flat


def _union(copies: list[Copy]) -> list[Series]:
    """Each series whole from the copy that has most of it (RULES C8)."""
    best: dict[str, Series] = {}
    for series in (one for copy in copies for one in copy.series):
        known = best.get(series.uid)
        if known is None or len(series.instances) > len(known.instances):
            best[series.uid] = series
    return sorted(filter(None, map(_encodable, best.values())), key=by_number)


def _encodable(series: Series) -> Series | None:
    """Without what FHIR cannot carry as an id; nothing of a series of which nothing is left (A.2 `uid`)."""
    kept = tuple(one for one in series.instances if _ID.fullmatch(one.uid))
    return replace(series, instances=kept) if kept and _ID.fullmatch(series.uid) else None


def _series(series: Series, *, listed: bool) -> Flat:
    at = f"series[{series.uid}]"
    headers = [one.header for one in series.instances]
    flat = {
        f"{at}.number": series.number,
        f"{at}.modality": _modality(series),
        f"{at}.description": values.free_text(series.first_stored(0x0008103E) or series.first_stored(0x00181030)),
        f"{at}.started": _moment(series, 0x00080021, 0x00080031)
        or _moment_of(series.representative, 0x00080022, 0x00080032),
        f"{at}.bodySite": values.body_site(series.representative),
        f"{at}.laterality": values.laterality(series.representative, headers),
        f"{at}.numberOfInstances": len(series.instances),
        f"{at}.instance": tuple(one.uid for one in series.instances) if listed else (),
    }
    for one in series.instances if listed else ():
        flat[f"{at}.instance[{one.uid}].sopClass"] = f"{OPAQUE}|urn:oid:{one.sop_class}" if one.sop_class else values.ABSENT
        flat[f"{at}.instance[{one.uid}].number"] = one.number
        flat[f"{at}.instance[{one.uid}].title"] = _title(one)
    return flat


def _title(instance: Instance) -> str:
    """SR and KO: the concept name; PR: the label; encapsulated: the document's title; images: nothing (A.3)."""
    family = instance.sop_class.removeprefix("1.2.840.10008.5.1.4.1.1.").split(".")[0]
    if family == "88":
        return next((values.text(item, 0x00080104) for item in values.items(instance.header, 0x0040A043)), "")
    return values.text(instance.header, {"11": 0x00700080, "104": 0x00420010}[family]) if family in ("11", "104") else ""


def _modality(series: Series) -> str:
    return values.modality(next(iter(series.first_stored(0x00080060)), ""), series.instances[0].sop_class)


def _accessions(copy: Copy) -> Iterator[tuple[str, str]]:
    found = copy.first_stored(0x00080050)
    if found:
        system, _ = values.issuer(values.items(copy.headers[0], 0x00080051))
        yield from ((system, value) for value in dict.fromkeys(found))
        return
    representatives = [series.representative for series in copy.series]
    requests = (item for one in representatives for tag in (0x0040A370, 0x00400275) for item in values.items(one, tag))
    named = ((values.issuer(values.items(item, 0x00080051))[0], values.text(item, 0x00080050)) for item in requests)
    yield from dict.fromkeys(pair for pair in named if pair[1])


def _subject(copy: Copy) -> Flat:
    value = _first(copy, 0x00100020)
    system, assigner = _patient_issuer(copy.headers[0])
    kind = values.text(copy.headers[0], 0x00400035) or "MR"
    return {
        "subject.identifier": (kind, system, value) if value else None,
        "subject.identifier.assigner": assigner if value else None,
    }


def patient(copy: Copy) -> Flat:
    """What our own Patient says, of the study that writes it (J.1)."""
    others = (item for item in values.items(copy.headers[0], 0x00101002))
    ids = ((_patient_issuer(item)[0], values.text(item, 0x00100020)) for item in others)
    primary = (_patient_issuer(copy.headers[0])[0], _first(copy, 0x00100020))
    return {
        "subject.identifier.secondary": tuple(sorted({pair for pair in ids if pair[1] and pair != primary})),
        "subject.name": tuple(values.names(_first(copy, 0x00100010))),
        "subject.gender": values.gender(_first(copy, 0x00100040)),
        "subject.birthDate": values.birth_date(_first(copy, 0x00100030)),
    }


def _patient_issuer(header: Dataset) -> tuple[str, str]:
    return values.issuer(values.items(header, 0x00100024), values.text(header, 0x00100021))


def _moment(one: Copy | Series, day: int, clock: int) -> str:
    zone = next(iter(one.first_stored(0x00080201)), "")
    return values.moment(_first(one, day), _first(one, clock), zone)


def _moment_of(header: Dataset, day: int, clock: int) -> str:
    return values.moment(*(values.text(header, tag) for tag in (day, clock, 0x00080201)))


def _first(one: Copy | Series, tag: int) -> str:
    return next(iter(one.first_stored(tag)), "")


def _digits(copy: Copy, tag: int) -> str:
    return _first(copy, tag).replace(".", "").replace(":", "")


def differing(expected: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """The paths at which the two say something else; absent, empty and `None` are one."""
    paths = [*expected, *(path for path in found if path not in expected)]
    return [path for path in paths if _said(expected.get(path)) != _said(found.get(path))]


def _said(value: Any) -> Any:
    return None if value in ("", ()) else value
