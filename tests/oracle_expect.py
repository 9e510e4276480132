"""What each ImagingStudy should say, as flat paths and values (MAPPING A, B, E and J.1 for R4).

`{"started": "2026-03-01", "series[1.2.3].number": 4, …}`: the oracle compares two such dictionaries, so a forgotten
element shows as a path that only one side has. `None` and an absent path are the same. Where several answers are right
(`oracle_answers`), each is: bytes that nobody can tell, two copies of one size, what the archive shows of a study.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

from tests import oracle_agree as agree
from tests import oracle_orders as orders
from tests import oracle_people as people
from tests import oracle_values as values
from tests.oracle_answers import Either, Flat, either, exactly, in_any_case
from tests.oracle_archive import NOTHING, Copy, Header, Instance, Series, by_number

UID_SYSTEM = "urn:dicom:uid"
OPAQUE = "urn:ietf:rfc:3986"
SortKey = tuple[str, str, str]
CASES = (0, 1, 2, 3, NOTHING)

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
    def patients(self) -> set[people.Key]:
        return {people.patient_key(copy) for copy in self.copies}

    @property
    def persons(self) -> set[people.Person]:
        return people.people(self.copies)

    @property
    def sort_keys(self) -> list[SortKey]:
        """RULES B4: the greatest study of a patient writes the Patient. Several where its images differ, or only some of
        them say when: the archive shows what came first."""
        headers = self.copies[0].headers
        dates, times = (
            [*(said[0] for said in agree.carried(headers, tag)), *[""][: not all(one.texts(tag) for one in headers)]]
            for tag in (0x00080020, 0x00080030)
        )
        return sorted((day.replace(".", ""), time.replace(":", ""), self.uid) for day in dates for time in times)


def studies(copies: Iterable[Copy]) -> dict[str, Study]:
    grouped: dict[str, list[Copy]] = {}
    for copy in copies:
        grouped.setdefault(copy.uid, []).append(copy)
    return {uid: Study(uid=uid, copies=tuple(found)) for uid, found in grouped.items()}


def expectations(study: Study, *, dicomweb_url: str, max_instances: int) -> Iterator[Flat]:
    """Every right answer for the study, mostly one; each tells what it leaves open."""
    for order in permutations(study.copies):
        copies = sorted(order, key=lambda copy: -len(copy.headers))
        found: list[Flat] = []
        for case in CASES:
            said = [copy.in_case(case) for copy in copies]
            found.append(_study(study, said, dicomweb_url=dicomweb_url, max_instances=max_instances))
            if not any(header.doubts for copy in said for header in copy.headers):
                break  # nothing is open: the other cases say the same
        yield in_any_case(found)


def _study(study: Study, copies: list[Copy], *, dicomweb_url: str, max_instances: int) -> Flat:
    main, series = copies[0], _union(copies)
    headers, counted = main.headers, sum(len(one.instances) for one in series)
    ordered = orders.orders(headers)
    flat: Flat = {
        "id": study.uid,
        "meta.tag": True,
        "status": "available",
        "identifier": orders.accessions(ordered, uid=("official", "", UID_SYSTEM, f"urn:oid:{study.uid}")),
        "basedOn": ordered,
        "started": _started(headers),
        "description": _description(main),
        "modality": agree.study_modalities(series),
        "numberOfSeries": len(series),
        "numberOfInstances": counted,
        "endpoint.address": (dicomweb_url,),
        "series": _in_order(series),
        "referrer": orders.referrer(headers),
        "interpreter": orders.interpreters(headers),
        "procedureCode": orders.procedures(headers),
        "reasonCode": orders.reasons(headers),
        "location": orders.location(headers),
        "encounter": orders.encounter(headers),
        **people.subject(main),
    }
    for one in series:
        flat |= _series(one, listed=counted <= max_instances)
    return flat


def _in_order(series: list[Series]) -> Any:
    """By number, then UID; in any order where a number may be left out."""
    uids = [one.uid for one in series]
    return tuple(uids) if all(one.sure_of_number for one in series) else exactly(uids)


def _started(headers: list[Header]) -> Any:
    """What all agree on; else nothing, or what the archive shows, which is one image's (I-62)."""
    told = agree.moment(headers, 0x00080020, 0x00080030)
    if all(one.texts(tag) for one in headers for tag in (0x00080020, 0x00080030)) and not any(
        agree.disagree(headers, tag) for tag in (0x00080020, 0x00080030, 0x00080201)
    ):
        return told
    shown = [values.moment(*(one.text(tag) for tag in (0x00080020, 0x00080030, 0x00080201))) for one in headers]
    return either(None, told, *shown, *(one[:10] for one in shown))


def _description(copy: Copy) -> Any:
    """What all agree on; else the one that the archive shows, where it tells which (I-62)."""
    said = agree.shown(copy.headers, 0x00081030, values.free_text)
    told = values.free_text([part for raw in copy.described.split("\\") if (part := values.clean(raw))])
    doubted = any(0x00081030 in header.doubts for header in copy.headers)
    return told if isinstance(said, Either) and told and told in said.options and not doubted else said


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
    at, headers = f"series[{series.uid}]", series.headers
    flat = {
        f"{at}.number": series.number if series.sure_of_number else either(None, series.number),
        f"{at}.modality": agree.modality(series),
        f"{at}.description": agree.description(headers),
        f"{at}.started": agree.started(headers),
        f"{at}.bodySite": agree.body_site(headers),
        f"{at}.laterality": agree.laterality(headers),
        **{f"{at}.performer[{function}]": told for function, told in agree.performers(headers).items()},
        f"{at}.numberOfInstances": len(series.instances),
        f"{at}.instance": tuple(one.uid for one in series.instances) if listed else (),
    }
    for one in series.instances if listed else ():
        flat[f"{at}.instance[{one.uid}].sopClass"] = f"{OPAQUE}|urn:oid:{one.sop_class}" if one.sop_class else values.ABSENT
        flat[f"{at}.instance[{one.uid}].number"] = one.number
        flat[f"{at}.instance[{one.uid}].title"] = _title(one)
    return flat


def _title(instance: Instance) -> str:
    """SR and KO: the concept name; PR: the label; encapsulated: the document's title, else its concept name; images:
    nothing (A.3)."""
    header = instance.header
    family = instance.sop_class.removeprefix("1.2.840.10008.5.1.4.1.1.").split(".")[0]
    concept = next((item.text(0x00080104) for item in header.items(0x0040A043)), "")
    return {"88": concept, "11": header.text(0x00700080), "104": header.text(0x00420010) or concept}.get(family, "")
