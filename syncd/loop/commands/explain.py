"""Why a study is as it is: what each side says of it, what the ledger knows, and what would be decided now.

Whoever asks has a study that is not where it should be, and often a server that does not answer. So every question is asked
for itself: what could not be asked is said, and the rest is told all the same. The decision is not described but made, by
the very reconcile that a mark would start, dry. Nothing is written, and nothing of a patient is in what comes out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from syncd.errors import ConfigurationError, StudyError, StudyGone, SyncdError
from syncd.ledger.ledger import Ledger
from syncd.loop.commands.dry_run import run_dry
from syncd.loop.connect import Site, connect_dry
from syncd.loop.context import Context
from syncd.loop.study.trace import Turn
from syncd.mapping.values.identity import resource_id
from syncd.model.audit import Standing
from syncd.model.ids import ArchiveName, OrthancId, is_orthanc_id
from syncd.model.outbox import EntryState, OutboxEntry
from syncd.model.study.raw import StudyHeader
from syncd.model.study.rejection import Rejection
from syncd.model.words import Decision
from syncd.model.work import HistoryLine
from syncd.plan.comparison import Comparison, compare
from syncd.plan.decide import Current

HISTORY = 20
"""Decisions told, the latest first."""


@dataclass(slots=True, kw_only=True)
class Explanation:
    """Everything that is known of one study. `unasked` says of each server that could not be asked why; `current` is None
    where the FHIR server was not asked or could not be, `fingerprint` empty where today's is not known."""

    study_uid: str
    standing: Standing
    fingerprint: str = ""
    copies: tuple[StudyHeader, ...] = ()
    instances: Mapping[OrthancId, int] = field(default_factory=dict)
    unasked: dict[str, str] = field(default_factory=dict)
    resource_id: str = ""
    current: Current | None = None
    comparison: Comparison = field(default_factory=Comparison)
    rehearsed: Turn | None = None
    undecided: str = ""
    """Why no decision can be told."""
    rejections: tuple[Rejection, ...] = ()
    owed: tuple[OutboxEntry, ...] = ()
    """What waits to be sent of its writes, and what was given up of that."""
    history: tuple[HistoryLine, ...] = ()

    @property
    def is_known(self) -> bool:
        known = self.standing
        anything = (known.record, known.intent, known.parked, known.dirty, known.planned, known.unselected, self.history)
        return bool(self.copies) or any(anything)

    @property
    def in_sync(self) -> bool:
        """Nothing is left to do for it, as far as everybody could be asked."""
        known = self.standing
        told = known.parked is not None and not known.parked.dropped  # of a dropped one nobody wants to hear (RULES E2)
        left = told or known.dirty or known.planned or self.undecided
        done = self.rehearsed is not None and self.rehearsed.outcome.decision is Decision.SKIP
        return self.is_known and done and not left


def explain(site: Site, ledger: Ledger, study: str) -> Explanation:
    """`study` is a StudyInstanceUID or an Orthanc id. Raises `StudyGone` for an Orthanc id that nobody knows, and
    `ConfigurationError`; a server that is away is told in the answer."""
    unasked: dict[str, str] = {}
    uid = _uid_of(site, ledger, study, unasked)
    told = Explanation(
        study_uid=uid,
        standing=ledger.overview.standing([uid])[uid],
        unasked=unasked,
        rejections=ledger.rejections.find_concerning(uid),
        owed=tuple(entry for state in EntryState for entry in ledger.outbox.of_study(uid, state=state)),
        history=tuple(ledger.overview.history(uid)[:HISTORY]),
    )
    _ask_archives(site, told)
    context = _context(site, ledger, told)
    _ask_fhir(site, told)
    if context is not None:
        told.fingerprint = context.fingerprint
        _decide(context, told)
    return told


def _uid_of(site: Site, ledger: Ledger, study: str, unasked: dict[str, str]) -> str:
    if not is_orthanc_id(study):
        return study
    orthanc_id = OrthancId(study)
    for name, source in site.archives.items():
        try:
            return source.archive.study(orthanc_id).study_uid
        except StudyGone:
            known = ledger.records.study_of(name, [orthanc_id]).get(orthanc_id)
        except SyncdError as error:
            unasked[name] = str(error)
            known = ledger.records.study_of(name, [orthanc_id]).get(orthanc_id)
        if known:
            return known
    raise StudyGone(f"No archive holds a study {study}, and the ledger knows none")


def _ask_archives(site: Site, told: Explanation) -> None:
    copies: list[StudyHeader] = []
    counts: dict[OrthancId, int] = {}
    for name, source in site.archives.items():
        try:
            held = source.archive.lookup(told.study_uid)
            copies += [source.archive.study(one) for one in held]
            counts |= source.archive.instance_counts(dict.fromkeys(held, told.study_uid))
        except StudyGone:
            continue  # it went between the two questions
        except SyncdError as error:
            told.unasked[name] = str(error)
    told.copies, told.instances = tuple(copies), counts


def _context(site: Site, ledger: Ledger, told: Explanation) -> Context | None:
    try:
        return connect_dry(site, ledger)
    except ConfigurationError:
        raise
    except SyncdError as error:
        told.undecided = str(error)
        return None


def _ask_fhir(site: Site, told: Explanation) -> None:
    known = told.standing.record or told.standing.intent
    try:
        told.resource_id = known.resource_id if known else resource_id(told.study_uid, bad_uid=site.policy.bad_uid)
        told.current = site.server.read("ImagingStudy", told.resource_id)
    except StudyError:
        return  # it can have no id, so there is nothing to ask for
    except SyncdError as error:
        told.unasked["fhir"] = str(error)


def _decide(context: Context, told: Explanation) -> None:
    held: list[tuple[ArchiveName, OrthancId]] = [(one.archive, one.orthanc_id) for one in told.copies]
    try:
        seen = run_dry(context, told.study_uid, held=held)
    except SyncdError as error:
        told.undecided = str(error)
        return
    told.rehearsed = seen
    weighed = seen.trace.weighed
    if weighed is not None:
        told.current = weighed.current or told.current
        told.comparison = compare(weighed.goal, told.current, weighed.action, base_url=context.server.base_url)
        told.resource_id = str(weighed.goal.resource["id"])
