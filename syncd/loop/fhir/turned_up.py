"""Patients and orders that turn up later: once a day, a slice at a time, the server is asked for what was not there.

Nothing announces a Patient that another program creates beside ours, nor an order that is entered after the images
(RULES B4). So two slow rounds go over what was published: one over our own Patients, one over the studies that name a
patient or an order in words only. What they find they only mark; the study's own turn decides, as always. Size decides
how: a slice is as large as a day demands, no archive is asked, and a study's patient is asked for once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import structlog

from syncd.errors import StudyError
from syncd.ledger.inventories.rounds import Round
from syncd.loop.companions.orders import REMEMBERED
from syncd.loop.context import Context
from syncd.mapping.values.orders import order_keys
from syncd.model.ids import ArchiveName
from syncd.model.words import Priority
from syncd.model.work import Companion, Mark, MarkKind, StudyRecord
from syncd.plan.decide import Found
from syncd.plan.subject import UsePatient, choose
from syncd.publish.lookups import patients, service_requests

log = structlog.get_logger(__name__)

DAY = 86400.0
FEWEST = 20
"""Looked at per slice at least: a small site is through in minutes, and then rests until the day is over."""

PATIENTS, STUDIES = "patients", "studies"
_NOWHERE = ArchiveName("")


def look_around(context: Context, *, every: float) -> int:
    """One slice of each round, being asked `every` so many seconds; returns how many studies were marked.

    Raises `Transient` and `TargetPaused`; the slice is then repeated.
    """
    published = sum(context.ledger.overview.counts(context.clock()).published.values())
    size = max(FEWEST, math.ceil(published * every / DAY))
    marked = 0
    if context.policy.patient != "logical":
        marked += _slice(context, PATIENTS, lambda after: _patients(context, after=after, size=size))
    if context.policy.patient == "match" or context.policy.service_request == "match":
        marked += _slice(context, STUDIES, lambda after: _studies(context, after=after, size=size))
    if marked:
        log.info("turned_up", studies_marked=marked)
    return marked


def _slice(context: Context, name: str, looked: Callable[[str], tuple[str, int]]) -> int:
    """The next slice of a round, unless it is over for today. `looked` returns the last key (empty: the end)."""
    now, position = context.clock(), context.ledger.rounds.position(name)
    began = min(position.began, now)  # a clock set back does not stop the rounds (RULES E5)
    if position.over and now - began < DAY:
        return 0
    if position.over or not position.began:
        position = Round(began=now)
    last, marked = looked(position.after)
    context.ledger.rounds.move(name, Round(after=last, began=position.began, over=not last))
    return marked


def _patients(context: Context, *, after: str, size: int) -> tuple[str, int]:
    page = context.ledger.rounds.companions("Patient", after=after, limit=size)
    marked = sum(context.ledger.marks.add_subject(f"Patient/{one.resource_id}") for one in page if _gives_way(context, one))
    return (page[-1].resource_id if len(page) == size else ""), marked


def _gives_way(context: Context, ours: Companion) -> bool:
    """Whether the studies of our Patient belong to another one now; of a replaced one, those that came later still."""
    if ours.replaced_by:
        return True
    current = context.server.read("Patient", ours.resource_id)
    if not isinstance(current, Found):
        return False
    return any(
        _one_foreign(context, current.resource, system=str(one["system"]), value=str(one["value"]))
        for one in current.resource.get("identifier", ())
        if one.get("use") == "usual" and one.get("system") and one.get("value")
    )


def _one_foreign(context: Context, ours: Mapping[str, Any], *, system: str, value: str) -> bool:
    try:
        candidates = patients(context.server, system=system, value=value)
    except StudyError:
        return False  # the server does not take this identifier for a search; the study's own turn says so
    return isinstance(choose(candidates, ours, own_id=str(ours.get("id", ""))), UsePatient)


def _studies(context: Context, *, after: str, size: int) -> tuple[str, int]:
    page = context.ledger.records.page(after, size)
    asked: dict[tuple[str, str, str], bool] = {}
    found = [one.study_uid for one in page if any(_ask_for_named(context, one, asked))]
    marks = [
        Mark(study_uid=uid, kind=MarkKind.VERIFY, archive=_NOWHERE, priority=Priority.REPAIR, read_fhir=True)
        for uid in found
    ]
    if marks:
        context.ledger.marks.add(marks, settle_after=context.settle_after)
    return (page[-1].study_uid if len(page) == size else ""), len(marks)


def _ask_for_named(context: Context, record: StudyRecord, asked: dict[tuple[str, str, str], bool]) -> Iterator[bool]:
    """Whether the server now holds what the study names in words: its patient, then each of its orders."""
    awaited = {digest for digest, resource_id in record.raw.get(REMEMBERED, {}).items() if not resource_id}
    logical = context.policy.patient == "match" and not record.subject
    if not logical and not awaited:
        return
    current = context.server.read("ImagingStudy", record.resource_id)
    if not isinstance(current, Found):
        return
    identifier = current.resource.get("subject", {}).get("identifier") or {}
    if logical and identifier.get("system") and identifier.get("value"):
        patient = (PATIENTS, str(identifier["system"]), str(identifier["value"]))
        if patient not in asked:
            asked[patient] = _one_foreign(context, {}, system=patient[1], value=patient[2])
        yield asked[patient]
    for key in order_keys(current.resource):
        if key.digest in awaited:
            yield len(service_requests(context.server, system=key.system, value=key.value)) == 1
