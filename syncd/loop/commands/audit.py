"""The audit: both servers' whole inventories laid side by side, straight and not from the ledger.

The daemon believes its records; that they are true is what an operator wants proved. So every study of the archives is
held against every ImagingStudy that carries our tag or names a study, and the ledger only tells what is under way, set
aside, and whose id is whose. Neither listing is of one moment, so whatever seems to differ is looked at again by the
very reconcile that would repair it, dry, before it is called a difference (RULES C9); and counts alone say little of a
study that is partly rejected or lies in two archives, where only that look can tell. Nothing is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

import structlog

from syncd.errors import ServerReset, StudyError
from syncd.ledger.inventories.audit_staging import Staging
from syncd.loop.commands.dry_run import run_dry
from syncd.loop.commands.resync import every
from syncd.loop.commands.suspicion import Case, parked_difference, suspicion
from syncd.loop.context import Context, Source
from syncd.loop.study.trace import Turn
from syncd.mapping.values.identity import resource_id
from syncd.model.audit import ArchivedStudy, Difference, DifferenceKind
from syncd.model.ids import ArchiveName
from syncd.model.study.raw import StudyListing
from syncd.model.words import WITHDRAWN, Decision
from syncd.plan.comparison import compare
from syncd.plan.decide import Found
from syncd.plan.ownership import installation_of
from syncd.publish.listing import list_naming, list_tagged

log = structlog.get_logger(__name__)

AT_ONCE = 500
"""Studies listed and counted in one step."""

COMPARED_AT_ONCE = 100
"""Studies compared in one step: one search by identifier, 25 ms on HAPI."""


@dataclass(slots=True, kw_only=True)
class Report:
    """How far the audit is, and what it found beside the differences, which lie in the staging. `pending` counts studies
    that are being worked on; `reset` says that the FHIR server lost our sentinel (RULES E3)."""

    archived: dict[ArchiveName, int] = field(default_factory=dict)
    shown: int = 0
    studies: int = 0
    compared: int = 0
    looked_at: int = 0
    pending: int = 0
    reset: bool = False
    repaired: int = 0
    at: str = "listing"
    """What is done now: `listing`, `comparing`, `repairing` or `checking`."""


Progress = Callable[[Report], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """One audit under way. `archive`: only studies of this archive (empty: all). `deep`: every study is rendered again."""

    context: Context
    staging: Staging
    report: Report
    archive: str = ""
    deep: bool = False
    progress: Progress = lambda report: None

    @property
    def sources(self) -> list[Source]:
        """The archives chosen, in the order of the settings."""
        return [source for name, source in self.context.archives.items() if self.archive in ("", name)]

    def run(self) -> None:
        """List both sides, compare them, keep the differences. Raises what the servers' failures are."""
        self._look_for_sentinel()
        for source in self.sources:
            self._list_archive(source)
        self._list_fhir()
        self.staging.know(entry.study_uid for entry in every(self.context.ledger.records.page_parked))
        self.report.at, self.report.studies = "comparing", self.staging.number_of_studies()
        after = ""
        while uids := self.staging.studies(after, limit=COMPARED_AT_ONCE):
            after = uids[-1]
            self._compare(uids)

    def judge_again(self, difference: Difference) -> list[Difference]:
        """What is left of a difference after a repair."""
        (case,) = self._cases([difference.study_uid])
        if case.standing.parked is not None:
            return [parked_difference(case)]
        if case.standing.dirty is not None:
            return [replace(difference, detail=f"still waiting: {difference.detail or case.standing.dirty.reason}")]
        return self._confirm(case, difference.kind, may_be_pending=False)

    def note_parked(self) -> None:
        """Keep every study that is set aside by now as a difference."""
        for entry in every(self.context.ledger.records.page_parked):
            (case,) = self._cases([entry.study_uid])
            if self._is_chosen(case) and case.standing.parked is not None:
                self.staging.keep([parked_difference(case)])

    def _look_for_sentinel(self) -> None:
        try:
            if self.context.ledger.facts.target() is not None:
                self.context.check_sentinel()
        except ServerReset:
            self.report.reset = True

    def _list_archive(self, source: Source) -> None:
        self.report.archived[source.name] = 0
        listed = (one for one in source.archive.inventory() if one.study_uid)
        while chunk := list(islice(listed, AT_ONCE)):
            counts = source.archive.instance_counts({one.orthanc_id: one.study_uid for one in chunk})
            self.staging.keep_archived([_archived_study(source, one, counts.get(one.orthanc_id)) for one in chunk])
            self.report.archived[source.name] += len(chunk)
            self.progress(self.report)

    def _list_fhir(self) -> None:
        context = self.context
        listed = list_tagged(context.server, installation_id=context.installation_id, fhir_version=context.fhir_version)
        while chunk := list(islice(listed, AT_ONCE)):
            self.staging.keep_shown(chunk)
            self.report.shown += len(chunk)
            self.progress(self.report)

    def _compare(self, uids: Sequence[str]) -> None:
        self.staging.keep_shown(list(list_naming(self.context.server, uids, fhir_version=self.context.fhir_version)))
        for case in self._cases(uids):
            if self._is_chosen(case):
                self.staging.keep(self._judge(case))
            self.report.compared += 1
            self.progress(self.report)

    def _cases(self, uids: Sequence[str]) -> Iterator[Case]:
        context = self.context
        archived, shown, standing = (
            self.staging.find_archived(uids),
            self.staging.find_shown(uids),
            context.ledger.overview.standing(uids),
        )
        for uid in uids:
            yield Case(
                archived=archived.get(uid, ()),
                shown=shown.get(uid, ()),
                standing=standing[uid],
                own_id=_own_id(uid, context),
                installation_id=context.installation_id,
            )

    def _is_chosen(self, case: Case) -> bool:
        record = case.standing.record
        return not self.archive or bool(case.archived) or (record is not None and record.archive == self.archive)

    def _judge(self, case: Case) -> list[Difference]:
        if case.standing.is_pending(now=self.context.clock()):
            self.report.pending += 1
            return []
        found = list(self._duplicates(case))
        if case.standing.parked is not None:
            return [*found, parked_difference(case)]
        kind = suspicion(case)
        if kind is DifferenceKind.MISSING and self.report.reset:
            return [*found, Difference(study_uid=case.study_uid, kind=kind, detail="the FHIR server lost its data")]
        if kind is None and not (self.deep and (case.archived or case.ours)):
            return found
        return [*found, *self._confirm(case, kind)]

    def _duplicates(self, case: Case) -> Iterator[Difference]:
        """Each ImagingStudy of the study but the one that is ours, confirmed by GET."""
        live = [one for one in case.shown if one.status not in WITHDRAWN]
        for one in live if len(live) > 1 else ():
            if case.ours is not None and one.resource_id == case.ours.resource_id:
                continue
            current = self.context.server.read("ImagingStudy", one.resource_id)
            if isinstance(current, Found):
                owner = installation_of(current.resource)
                yield Difference(
                    study_uid=case.study_uid,
                    kind=DifferenceKind.DUPLICATE,
                    detail=_whose(owner, self.context.installation_id),
                    resource_id=one.resource_id,
                )

    def _confirm(self, case: Case, kind: DifferenceKind | None, *, may_be_pending: bool = True) -> list[Difference]:
        """The difference as a reconcile sees it now, or none; `may_be_pending`: what is worked on meanwhile is none."""
        self.report.looked_at += 1
        found = self._look_at(case, kind)
        if not found or not may_be_pending:
            return found
        (now,) = self.context.ledger.overview.standing([case.study_uid]).values()
        if now.is_pending(now=self.context.clock()):
            self.report.pending += 1
            return []
        return found

    def _look_at(self, case: Case, kind: DifferenceKind | None) -> list[Difference]:
        held = [(one.archive, one.orthanc_id) for one in case.archived if one.archive in self.context.archives]
        try:
            seen = run_dry(self.context, case.study_uid, held=held)
        except ServerReset:
            return [case.difference(kind or DifferenceKind.MISSING, detail="the FHIR server lost its data")]
        match seen.outcome.decision:
            case Decision.SKIP:
                return self._compare_counts(case, seen) if self.deep else []
            case Decision.WAIT:
                return self._judge_waiting(case, seen, kind)
            case Decision.PARK:
                detail = f"would be parked: {seen.outcome.reason}"
                return [case.difference(kind or DifferenceKind.STALE, detail=detail)]
        return [self._describe_difference(case, seen)]

    def _judge_waiting(self, case: Case, seen: Turn, kind: DifferenceKind | None) -> list[Difference]:
        """Work that goes on is no difference; what waits for a person, or for an archive, is one."""
        if kind is None or any(not one.is_stable for one in case.archived):
            self.report.pending += 1
            return []
        return [case.difference(kind, detail=seen.outcome.reason)]

    def _describe_difference(self, case: Case, seen: Turn) -> Difference:
        weighed, record, decision = seen.trace.weighed, case.standing.record, seen.outcome.decision
        if decision is Decision.CREATE:
            return case.difference(DifferenceKind.MISSING, detail=seen.outcome.reason)
        if decision is Decision.RETRACT:
            kind = DifferenceKind.STALE if case.archived else DifferenceKind.EXTRA
            return case.difference(kind, detail=f"to be taken back: {seen.outcome.reason}")
        said = weighed is not None and record is not None and record.digest == weighed.goal.digest
        base_url = self.context.server.base_url
        names = compare(weighed.goal, weighed.current, weighed.action, base_url=base_url) if weighed else None
        return case.difference(
            DifferenceKind.DRIFTED if said else DifferenceKind.STALE,
            detail="somebody else changed it" if said else "the archive says otherwise",
            elements=names.differing if names else (),
        )

    def _compare_counts(self, case: Case, seen: Turn) -> list[Difference]:
        """MAPPING G: the instances said and those left out are all that the archive counts."""
        read, weighed = seen.trace.instances, seen.trace.weighed
        if read is None or weighed is None or len(case.archived) != 1:
            return []
        counted, said = case.archived[0].instances, weighed.goal.resource.get("numberOfInstances")
        if counted is not None and counted != read:
            detail = f"the archive counts {counted} instances and gives {read}"
        elif isinstance(said, int) and said + seen.trace.rejected != read and not seen.trace.has_left_out_note:
            detail = f"{read} instances are in the archive, {said} are said, and only {seen.trace.rejected} are rejected"
        else:
            return []
        log.warning("counts_do_not_fit", study_uid=case.study_uid)
        return [case.difference(DifferenceKind.STALE, detail=detail)]


def _archived_study(source: Source, listing: StudyListing, instances: int | None) -> ArchivedStudy:
    return ArchivedStudy(
        archive=source.name,
        orthanc_id=listing.orthanc_id,
        study_uid=listing.study_uid,
        is_stable=listing.is_stable,
        series=len(listing.series_ids),
        instances=instances,
        tags_digest=listing.tags_digest,
    )


def _own_id(study_uid: str, context: Context) -> str:
    try:
        return resource_id(study_uid, bad_uid=context.policy.bad_uid)
    except StudyError:
        return ""


def _whose(owner: str | None, installation_id: str) -> str:
    if owner is None:
        return "another writer's"
    return "carries our tag" if owner == installation_id else f"of the installation {owner}"
