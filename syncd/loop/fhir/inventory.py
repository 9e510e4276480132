"""The FHIR inventory: all that we published, listed and compared with the records, a few requests at a time.

It finds what no feed tells of: resources that others deleted, edited, copied, or brought back from a backup. A listing
may be cached and is old when it is complete (RULES C9), so it only marks: reconcile reads each study by GET before it
acts. It is long: a million studies take hours, so it is walked in slices that a tick of the clockwork carries out, and
where it stands lies in the ledger (RULES E8): a restart goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any

import structlog

from syncd.errors import Transient
from syncd.ledger.inventories.fhir_inventory import LISTED, RECORDS, Drift, Stranger
from syncd.ledger.ledger import Ledger
from syncd.ledger.studies.marks import NOWHERE
from syncd.loop.companions.target import keep_endpoints, probe
from syncd.loop.context import Context
from syncd.loop.fhir.asked_again import find_outdated_studies, find_outdated_subjects
from syncd.loop.steps import Step, report_step
from syncd.model.ids import is_uid
from syncd.model.inventories import (
    DRIFTED,
    LOWER,
    MISSING,
    OUTDATED,
    FindingKind,
    Inventory,
    ListedResource,
    Walk,
)
from syncd.model.words import Priority
from syncd.model.work import Mark, MarkKind
from syncd.plan.decide import Found
from syncd.plan.elements import elements
from syncd.plan.ownership import TAG_SYSTEM, installation_of
from syncd.publish.answers import is_below, second
from syncd.publish.bases import PageGone
from syncd.publish.lookups import by_uid, study_named
from syncd.publish.server import token

log = structlog.get_logger(__name__)

SLICES = 2
"""Slices of one tick: two pages of 500 resources, or two searches; with a tick per second, about half of one HAPI."""

SEARCHED_AT_ONCE = 100
"""Studies per search by identifier: 25 ms on HAPI, against 500 for a page of the listing."""

_ELEMENTS = "identifier,status,meta"
_ELEMENTS_DSTU2 = "identifier,uid,availability,meta"


_NOTHING = dict.fromkeys((MISSING, DRIFTED, LOWER, OUTDATED, *(kind.value for kind in FindingKind)), 0)


class Phase(StrEnum):
    """What a walk does, in this order."""

    TAGGED = "tagged"
    """Lists what carries our tag."""
    NAMED = "named"
    """Lists what else names our studies."""
    COMPARED = "compared"
    """Marks records whose resource is missing or another."""
    STRANGE = "strange"
    """Reports resources that are no record's."""
    UNHINDERED = "unhindered"
    """Marks studies that somebody's resource kept from being published, and keeps no more."""
    DOUBTED = "doubted"
    """Marks studies that are parked, or noted, for what a Patient, or what else they refer to, was then."""
    SUBJECTS = "subjects"
    """Marks studies whose Patient is gone, or not to be used any more."""
    REFERRED = "referred"
    """Marks studies that refer to something else that is gone, or does not stand any more."""


def tick(
    context: Context, *, interval: float, go_on: Callable[[], bool] = lambda: True, slices: int = SLICES
) -> Inventory | None:
    """Begin a FHIR inventory if one is due (`interval` seconds after the last, or wished), and go some slices further with
    the one under way. Returns it when it is finished. Raises what the FHIR server's failures are; nothing is lost then."""
    verification = context.ledger.verification
    if verification.is_quiet(interval=interval):
        return None
    walk = verification.walk()
    if walk is None:
        reason = _due(context.ledger, interval=interval)
        if not reason:
            return None
        probe(context)  # the sentinel first: on another server everything would be missing (RULES E3)
        walk = verification.begin(reason=reason, phase=Phase.TAGGED)
        report_step(Step.VERIFY_BEGUN)
        log.info("fhir_inventory_begun", reason=reason)
    for _ in range(slices):
        if not go_on():
            return None
        following = _further(context, walk)
        if following is None:
            finished = verification.finish(replace(walk, found={**_NOTHING, **walk.found}))
            report_step(Step.VERIFY_FINISHED)
            return finished
        walk = following
    return None


def _due(ledger: Ledger, *, interval: float) -> str:
    verification = ledger.verification
    wanted = verification.why_wanted()
    if wanted:
        return wanted
    last = verification.last()
    since = last.ended_at if last is not None else verification.since()
    return "it is time" if verification.now() >= since + interval else ""


def _further(context: Context, walk: Walk) -> Walk | None:
    """One slice; None behind the last one."""
    match walk.phase:
        case Phase.TAGGED:
            return _list_tagged(context, walk)
        case Phase.NAMED:
            return _list_named(context, walk)
        case Phase.COMPARED:
            return _compare(context, walk)
        case Phase.STRANGE:
            return _look_for_strangers(context, walk)
        case Phase.UNHINDERED:
            return _look_for_unhindered(context, walk)
        case Phase.DOUBTED:
            return _mark_doubted(context, walk)
        case Phase.SUBJECTS:
            return _ask_for_subjects(context, walk)
        case _:
            return _ask_for_references(context, walk)


def _list_tagged(context: Context, walk: Walk) -> Walk:
    params = {"_tag": token(TAG_SYSTEM, context.installation_id), "_elements": _elements_to_ask(context)}
    try:
        page = context.server.search_page("ImagingStudy", params, following=walk.after)
    except PageGone as error:
        context.ledger.verification.begin(reason=walk.reason, phase=Phase.TAGGED)
        raise Transient(str(error), server="fhir") from error
    resources = [_listed_resource(one, context=context) for one in page.resources]
    following = _next(walk, after=page.following, phase=Phase.NAMED)
    following = replace(following, listed=walk.listed + len(resources))
    context.ledger.verification.advance(following, resources=resources)
    if following.phase != walk.phase:
        report_step(Step.VERIFY_LISTED)
    return following


def _list_named(context: Context, walk: Walk) -> Walk:
    """Whoever else names one of our studies: another writer, another installation, or a copy of ours without tag."""
    verification = context.ledger.verification
    uids = verification.studies(walk.after, most=SEARCHED_AT_ONCE)
    usable = [uid for uid in uids if is_uid(uid)]
    hits: list[Mapping[str, Any]] = []
    if usable:
        params = {**by_uid(usable, fhir_version=context.fhir_version), "_elements": _elements_to_ask(context)}
        hits = list(context.server.search("ImagingStudy", params))
    # What carries our tag was listed, or is newer than the listing.
    resources = [
        one for one in (_listed_resource(hit, context=context) for hit in hits) if one.owner != context.installation_id
    ]
    following = _next(walk, after=uids[-1] if uids else "", phase=Phase.COMPARED)
    following = replace(following, listed=walk.listed + len(resources))
    verification.advance(following, resources=resources)
    return following


def _compare(context: Context, walk: Walk) -> Walk:
    verification = context.ledger.verification
    upto = verification.window_of(RECORDS, walk.after)
    if upto is None:
        following = _next(walk, after="", phase=Phase.STRANGE)
        verification.advance(following)
        report_step(Step.VERIFY_COMPARED)
        return following
    drifts = [one for one in verification.find_drifted(walk.after, upto, began=walk.began_at) if _differs(one)]
    missing = [one.study_uid for one in drifts if not one.version]
    lower = [one for one in drifts if is_below(one.version, one.record_version)]
    restored = bool(lower) and _is_restored(context, lower)
    if restored:
        _verify_everything(context)
    _mark(context, [one.study_uid for one in drifts])
    found = {MISSING: len(missing), DRIFTED: len(drifts) - len(missing), LOWER: len(lower) if restored else 0}
    following = replace(walk, after=upto, found=_sum(walk.found, found))
    verification.advance(following)
    return following


def _look_for_strangers(context: Context, walk: Walk) -> Walk:
    verification = context.ledger.verification
    upto = verification.window_of(LISTED, walk.after)
    if upto is None:
        following = _next(walk, after="", phase=Phase.UNHINDERED)
        verification.advance(following)
        return following
    strangers = verification.strangers(walk.after, upto)
    found = [
        (kind, stranger.resource.study_uid) for stranger in strangers for kind in _kinds(stranger, context.installation_id)
    ]
    # A lost ledger, or one from a backup: the study is looked at again, and what it finds there is its own (RULES E7).
    _mark(context, sorted({uid for kind, uid in found if kind is FindingKind.UNKNOWN and is_uid(uid)}))
    numbers = {kind.value: sum(one is kind for one, _ in found) for kind in FindingKind}
    following = replace(walk, after=upto, found=_sum(walk.found, numbers))
    verification.advance(following)
    return following


def _look_for_unhindered(context: Context, walk: Walk) -> Walk:
    verification = context.ledger.verification
    uids = verification.find_unhindered(walk.after, most=SEARCHED_AT_ONCE)
    _mark(context, uids)
    following = _next(walk, after=uids[-1] if uids else "", phase=Phase.DOUBTED)
    verification.advance(following)
    return following


def _mark_doubted(context: Context, walk: Walk) -> Walk:
    """Whom the Patient kept out, or left in doubt, is asked again: another program may have corrected it, and nothing told
    of that."""
    uids = context.ledger.references.find_doubted(walk.after, most=SEARCHED_AT_ONCE)
    _mark(context, uids)
    following = _next(walk, after=uids[-1] if uids else "", phase=Phase.SUBJECTS)
    context.ledger.verification.advance(following)
    return following


def _ask_for_subjects(context: Context, walk: Walk) -> Walk:
    subjects = context.ledger.references.subjects(walk.after, most=SEARCHED_AT_ONCE)
    marked = sum(context.ledger.marks.add_subject(one) for one in find_outdated_subjects(context, subjects))
    following = _next(walk, after=subjects[-1] if subjects else "", phase=Phase.REFERRED)
    following = replace(following, found=_sum(walk.found, {OUTDATED: marked}))
    context.ledger.verification.advance(following)
    return following


def _ask_for_references(context: Context, walk: Walk) -> Walk | None:
    verification = context.ledger.verification
    upto = verification.window_of(RECORDS, walk.after)
    if upto is None:
        return None
    uids = find_outdated_studies(context, context.ledger.references.find_referring(walk.after, upto))
    _mark(context, uids)
    following = replace(walk, after=upto, found=_sum(walk.found, {OUTDATED: len(uids)}))
    verification.advance(following)
    return following


def _next(walk: Walk, *, after: str, phase: str) -> Walk:
    """The same phase from `after` on, or the next one where there is nothing more."""
    return replace(walk, after=after) if after else replace(walk, after="", phase=phase)


def _elements_to_ask(context: Context) -> str:
    return _ELEMENTS_DSTU2 if context.fhir_version == "dstu2" else _ELEMENTS


def _listed_resource(resource: Mapping[str, Any], *, context: Context) -> ListedResource:
    meta = resource.get("meta", {})
    return ListedResource(
        resource_id=str(resource.get("id", "")),
        study_uid=study_named(resource),
        version=str(meta.get("versionId", "")),
        last_updated=second(str(meta.get("lastUpdated", ""))),
        status=elements(context.fhir_version).status_of(resource),
        owner=installation_of(resource) or "",
    )


def _differs(drift: Drift) -> bool:
    """Whether the listing really says something else: older records hold a moment in another form, or none."""
    if not drift.version or drift.version != drift.record_version:
        return True
    return bool(drift.last_updated) and second(drift.record_last_updated) != drift.last_updated


def _is_restored(context: Context, lower: Sequence[Drift]) -> bool:
    """Whether the server really fell behind what it confirmed: asked by GET, of the record as it is now (RULES C9, E3)."""
    for one in lower:
        current, record = context.server.read("ImagingStudy", one.resource_id), context.ledger.records.find(one.study_uid)
        if isinstance(current, Found) and record is not None and record.resource_id == one.resource_id:
            return is_below(current.version, record.version)
    return False


def _verify_everything(context: Context) -> None:
    """A restored backup: nothing that was confirmed is believed, Patients and Endpoints neither (RULES E3)."""
    marked = context.ledger.marks.forget_target_state()
    keep_endpoints(context)
    log.warning("fhir_server_restored", studies_to_verify=marked)


def _kinds(stranger: Stranger, installation_id: str) -> tuple[FindingKind, ...]:
    resource = stranger.resource
    if not resource.owner:
        kinds: tuple[FindingKind, ...] = (FindingKind.FOREIGN,)
    elif resource.owner != installation_id:
        kinds = (FindingKind.ELSEWHERE,)
    else:
        kinds = () if stranger.published else (FindingKind.UNKNOWN,)
    return (*kinds, FindingKind.DUPLICATE) if stranger.published else kinds


def _mark(context: Context, uids: Sequence[str]) -> None:
    """Hints, which reconcile proves by GET (RULES C5, C9); the mark is kept before the walk goes on."""
    marks = [
        Mark(study_uid=uid, kind=MarkKind.VERIFY, archive=NOWHERE, priority=Priority.REPAIR, read_fhir=True) for uid in uids
    ]
    if marks:
        context.ledger.marks.add(marks, settle_after=0.0)


def _sum(before: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    return {kind: before.get(kind, 0) + more.get(kind, 0) for kind in {**before, **more}}
