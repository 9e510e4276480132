"""A backlog's studies, a batch at a time: read, looked up, intended and kept together, each said by itself.

A batch is the unit of the calls and of the ledger's transactions; what becomes of a study is its own. Whatever is not plain
leaves the batch: a conflict, a refusal that is a question, a study that cannot be read together with others are done by
themselves, after the others were kept. Where a whole server turns out to be in trouble, what was not sent is taken back
from the ledger, so that it claims nothing (RULES C5, C7).
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import structlog

from syncd.errors import Conflict, LedgerRefused, LedgerUnavailable, StudyError, SyncdError, TargetPaused, Transient
from syncd.http import deadline
from syncd.loop.companions.patient import searched
from syncd.loop.context import Context
from syncd.loop.steps import Step, report_step
from syncd.loop.study import reconcile
from syncd.loop.study.reconcile import Drafted, Prepared
from syncd.loop.study.task import Shared, Task
from syncd.loop.study.trace import Turn
from syncd.loop.workers.attempt import Attempt, Begun, places
from syncd.loop.workers.first_look import first_look
from syncd.model.correlation import correlation_id
from syncd.model.ids import ArchiveName, OrthancId
from syncd.model.outcome import Outcome
from syncd.model.study.raw import RawStudy
from syncd.model.words import ParkedReason
from syncd.model.work import Intent
from syncd.publish.lookups import patient_hits
from syncd.publish.together import heeds_conditions, transact

log = structlog.get_logger(__name__)

MOST_TOGETHER = 40
"""Studies of a batch (RULES A7); how much of them is held at a time, `Archive.read_studies` bounds."""

MOST_INSTANCES = 500
"""Of all studies in a transaction (RULES C7): above, a server is quicker with single requests."""

Given = TypeVar("Given")
Stage = TypeVar("Stage", Drafted, Prepared)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    """One study of a batch. `task` is what it was begun with."""

    task: Task
    begun: Begun


_Sendable = tuple[_Member, Prepared]


class Batches:
    """Takes one batch after the other, from any thread. `is_halted`: nothing more may be sent. `meanwhile` is called
    between two studies: whatever is more urgent has its turn then (RULES A9)."""

    def __init__(
        self, context: Context, *, attempt: Attempt, is_halted: Callable[[], bool], meanwhile: Callable[[], None]
    ) -> None:
        self._context = context
        self._attempt = attempt
        self._is_halted = is_halted
        self._meanwhile = meanwhile
        self._one_proof = threading.Lock()
        self._heeded: bool | None = None
        """Whether the server heeds the conditions of a transaction's entries; None: not asked yet."""

    def take(self, tasks: Sequence[Task]) -> dict[str, bool]:
        """By study, whether its claim is settled; else it must be given back."""
        run = _Run(
            self._context,
            self._attempt,
            is_halted=self._is_halted,
            meanwhile=self._meanwhile,
            transactions=self._may_transact,
        )
        try:
            run.take(tasks)
        except Exception as error:  # noqa: BLE001 - a defect must neither end the daemon nor lose a study
            log.error("batch_failed", error=type(error).__name__, where=places(error))
        return {task.study_uid: run.settled.get(task.study_uid, False) for task in tasks}

    def _may_transact(self) -> bool:
        """Whether small studies are written together: where the site wants it, and the server proved that it can."""
        context = self._context
        if not context.transactions:
            return False
        with self._one_proof:
            if self._heeded is None:
                target = context.ledger.facts.target()
                try:
                    self._heeded = target is not None and heeds_conditions(context.server, target.sentinel_id)
                except SyncdError:  # it is asked again; each study goes by itself, and finds out what is the matter
                    return False
            return self._heeded


class _Run:
    """One batch on its way. `settled` says of each study that is over whether the ledger took its outcome."""

    def __init__(
        self,
        context: Context,
        attempt: Attempt,
        *,
        is_halted: Callable[[], bool],
        meanwhile: Callable[[], None],
        transactions: Callable[[], bool],
    ) -> None:
        self._context = context
        self._attempt = attempt
        self._is_halted = is_halted
        self._meanwhile = meanwhile
        self._transactions = transactions
        self._gave_up = False
        self._ended: list[tuple[Outcome, Begun]] = []
        self._forbidden: list[tuple[_Member, Outcome]] = []
        self._alone: list[tuple[Task, bool]] = []
        """What is done by itself in the end; and whether that is after a conflict."""
        self.settled: dict[str, bool] = {}

    def take(self, tasks: Sequence[Task]) -> None:
        members = [_Member(task=task, begun=self._attempt.begin()) for task in self._read(tasks)]
        drafted = self._each([(member, member.task) for member in members], reconcile.draft)
        prepared = self._each(self._find_patients(drafted), reconcile.prepare)
        self._send(prepared)
        self._keep()
        self._judge_forbidden()
        for task, again in self._alone:
            self._meanwhile()
            if self._halts():
                return
            self.settled[task.study_uid] = self._attempt.take(task, again=again)

    def _halts(self) -> bool:
        return self._gave_up or self._is_halted()

    def _read(self, tasks: Sequence[Task]) -> list[Task]:
        """Those of which every copy could be read together with others'; the rest is done by itself."""
        at, raws = self._context.clock(), dict[tuple[ArchiveName, OrthancId], RawStudy]()
        try:
            with self._asking():
                for name, ids in _copies(tasks).items():
                    found = self._context.archives[name].archive.read_studies(ids)
                    raws |= {(name, orthanc_id): raw for orthanc_id, raw in found.items()}
        except Transient as error:
            self._note_outage(error)
        if self._gave_up:
            return []
        hits, shared = self._look_up(tasks), Shared(raws=raws, at=at)
        tasks = [replace(task, hits=hits.get(task.study_uid, task.hits)) for task in tasks]
        self._alone += [(task, False) for task in tasks if not _is_read(task, raws)]
        return [replace(task, shared=shared) for task in tasks if _is_read(task, raws)]

    def _look_up(self, tasks: Sequence[Task]) -> dict[str, frozenset[str]]:
        """One search for all studies of which nothing is remembered (RULES C2)."""
        try:
            with self._asking():
                return first_look([task.claim for task in tasks if task.hits is None], self._context)
        except SyncdError as error:  # a shortcut: each asks, and fails, for itself
            self._note_outage(error)
            return {}

    def _note_outage(self, error: SyncdError) -> None:
        if isinstance(error, Transient | TargetPaused) and self._attempt.outage(error):
            self._gave_up = True

    def _find_patients(self, drafted: list[tuple[_Member, Drafted]]) -> list[tuple[_Member, Drafted]]:
        """One search for the Patients of all who need one (RULES B4)."""
        wanted = {
            pair
            for _, one in drafted
            if (one.task.record is None or one.task.resolves)
            and (pair := searched(one.draft.applied.snapshot, context=self._context)) is not None
        }
        if not wanted:
            return drafted
        try:
            with self._asking():
                found = patient_hits(self._context.server, wanted)
        except SyncdError as error:  # a shortcut: each asks, and fails, for itself
            self._note_outage(error)
            return drafted
        return [(member, one.with_patients(found)) for member, one in drafted]

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """While something is asked for all of them, under an id of its own."""
        token = correlation_id.set(str(uuid.uuid4()))
        try:
            with deadline.turn(self._context.longest_turn):
                yield
        finally:
            correlation_id.reset(token)

    def _each(
        self, members: Sequence[tuple[_Member, Given]], step: Callable[[Given], Turn | Stage]
    ) -> list[tuple[_Member, Stage]]:
        """The next stage of each that has one."""
        further = []
        for member, given in members:
            if self._halts():
                break
            self._meanwhile()
            result = self._advance(member, partial(step, given))
            if result is not None:
                further.append((member, result))
        return further

    def _advance(self, member: _Member, step: Callable[[], Turn | Stage]) -> Stage | None:
        """The study's next stage; None where its turn is over, or goes on by itself."""
        task, begun = member.task, member.begun
        with self._attempt.attend(task, begun):
            try:
                with deadline.turn(self._context.longest_turn):
                    result = step()
            except Conflict:
                self._alone.append((task, True))
                return None
            except Exception as error:  # noqa: BLE001 - whose failure it was, is judged as for one by itself
                self._end(self._attempt.after_failure(task, error, begun), begun)
                return None
            if not isinstance(result, Turn):
                return result
            if _is_forbidden(result.outcome):
                self._forbidden.append((member, result.outcome))
            else:
                self._end(self._attempt.after_turn(task, result.outcome), begun)
            return None

    def _end(self, outcome: Outcome | None, begun: Begun) -> None:
        """Where the study was not to blame, a server is, and the rest of the batch waits for it, too."""
        if outcome is None:
            self._gave_up = True
        else:
            self._ended.append((outcome, begun))

    def _send(self, prepared: Sequence[tuple[_Member, Prepared]]) -> None:
        """All intents in one transaction, before the first of them is sent; those that are not sent are taken back."""
        if not prepared or self._halts():
            return
        current, unsent = self._intend(prepared)
        for group in self._groups(current):
            self._meanwhile()
            if self._halts():
                break
            for member, _ in group:
                del unsent[member.task.study_uid]
            if len(group) > 1:
                self._send_together(group)
            else:
                self._send_singly(*group[0])
        if unsent:
            self._withdraw(unsent)

    def _intend(self, prepared: Sequence[_Sendable]) -> tuple[list[_Sendable], dict[str, Intent | None]]:
        """Those that may be sent now; and of all of them, what was intended before."""
        try:
            concerning = self._context.ledger.claims.save_intents([one.intent for _, one in prepared])
        except (LedgerUnavailable, LedgerRefused) as error:
            log.error("study_put_back", error=str(error))
            self._gave_up = True
            return [], {}
        report_step(Step.INTENT_SAVED)
        current = [(member, one) for member, one in prepared if one.is_current(concerning[member.task.study_uid])]
        kept = {member.task.study_uid for member, _ in current}
        self._alone += [(member.task, True) for member, _ in prepared if member.task.study_uid not in kept]
        return current, {member.task.study_uid: member.task.claim.intent for member, _ in prepared}

    def _groups(self, prepared: Sequence[_Sendable]) -> Iterator[list[_Sendable]]:
        """What goes in one request: small studies together, where the server can; others by themselves (RULES C7)."""
        together = len(prepared) > 1 and self._transactions()
        group: list[_Sendable] = []
        for member, one in prepared:
            if not together or one.instances > MOST_INSTANCES or one.intent.resource_id in _ids(group):
                yield [(member, one)]
                continue
            if sum(other.instances for _, other in group) + one.instances > MOST_INSTANCES:
                yield group
                group = []
            group.append((member, one))
        if group:
            yield group

    def _send_singly(self, member: _Member, one: Prepared) -> None:
        other = self._advance(member, partial(reconcile.transmit, one))
        if other is not None:
            self._advance(member, partial(reconcile.finish, other))

    def _send_together(self, group: Sequence[_Sendable]) -> None:
        """One transaction. Refused, it is never sent again: each goes on singly. Lost, it may have been carried out: then
        each is read before (RULES C5, C7)."""
        try:
            with self._asking():
                written = transact(self._context.server, [one.wanted for _, one in group])
        except (Conflict, StudyError):
            for member, one in group:
                if self._halts():  # its intent stays, although nothing was written: the next turn reads FHIR first
                    return
                self._send_singly(member, one)
        except SyncdError as error:
            log.warning("transaction_failed", error=str(error), studies=len(group))
            if isinstance(error, LedgerUnavailable | LedgerRefused) or self._attempt.outage(error):
                self._gave_up = True
            else:
                self._alone += [(member.task, True) for member, _ in group]
        else:
            report_step(Step.SENT)
            for (member, one), confirmed in zip(group, written, strict=True):
                self._advance(member, partial(reconcile.receive, one, confirmed))

    def _withdraw(self, unsent: Mapping[str, Intent | None]) -> None:
        """What was intended and not sent claims nothing; where that cannot be kept, the next turn reads FHIR first."""
        try:
            self._context.ledger.claims.withdraw_intents(unsent)
        except (LedgerUnavailable, LedgerRefused) as error:
            log.error("study_put_back", error=str(error))
            self._gave_up = True
            return
        report_step(Step.INTENTS_WITHDRAWN)

    def _keep(self) -> None:
        self.settled |= self._attempt.settle(self._ended) if self._ended else {}

    def _judge_forbidden(self) -> None:
        """A 403 is the study's own only while others succeed: so after them (RULES C6)."""
        for member, outcome in self._forbidden:
            with self._attempt.attend(member.task, member.begun):
                judged = self._attempt.after_turn(member.task, outcome)
                if judged is not None:
                    self.settled |= self._attempt.settle([(judged, member.begun)])


def _ids(group: Sequence[_Sendable]) -> set[str]:
    return {one.intent.resource_id for _, one in group}


def _copies(tasks: Sequence[Task]) -> dict[ArchiveName, list[OrthancId]]:
    """The known copies of those that may be read together, by archive."""
    found: dict[ArchiveName, list[OrthancId]] = {}
    for task in tasks:
        if _may_share(task):
            for copy in task.claim.copies:
                found.setdefault(copy.archive, []).append(copy.orthanc_id)
    return found


def is_plain(task: Task) -> bool:
    """Whether nothing failed before; else it may have a trouble of its own, and is done by itself."""
    return not task.claim.row.attempts and task.claim.parked is None


def _may_share(task: Task) -> bool:
    archives, copies = task.context.archives, task.claim.copies
    return all(one.archive in archives and one.archive not in task.away for one in copies)


def _is_read(task: Task, raws: Mapping[tuple[ArchiveName, OrthancId], RawStudy]) -> bool:
    copies = task.claim.copies
    return bool(copies) and all((one.archive, one.orthanc_id) in raws for one in copies)


def _is_forbidden(outcome: Outcome) -> bool:
    return outcome.parked is not None and outcome.parked.reason == ParkedReason.FORBIDDEN
