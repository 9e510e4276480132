"""One study's turn, and whose fault a failure was: the study's, a server's, or nobody's.

Whatever happens ends as a committed outcome, or as a claim that must be given back. A server that is down opens its breaker
and costs no study an attempt; one bad study backs off alone (RULES C6).
"""

from __future__ import annotations

import math
import time
import traceback
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import structlog

from syncd.errors import LedgerRefused, LedgerUnavailable, ServerReset, StudyError, SyncdError, TargetPaused, Transient
from syncd.http import deadline
from syncd.loop.backoff import pause_after
from syncd.loop.breaker import CircuitBreaker, CircuitBreakers
from syncd.loop.companions.target import restore
from syncd.loop.context import Context
from syncd.loop.outbox.dispatcher import Dispatcher
from syncd.loop.steps import Step, report_step
from syncd.loop.strictness import rules
from syncd.loop.study.reconcile import reconcile
from syncd.loop.study.task import Task
from syncd.loop.workers.failures import IN_A_ROW, Failures
from syncd.loop.workers.neighbours import Neighbours
from syncd.model.correlation import correlation_id
from syncd.model.ids import ArchiveName
from syncd.model.outcome import Confirmed, Outcome
from syncd.model.snapshot import Note
from syncd.model.words import Decision, ParkedReason, TargetState
from syncd.model.work import ATTEMPTS, LONGEST_BACKOFF

log = structlog.get_logger(__name__)

_LATELY = 300.0
"""Seconds within which another study's write shows that we may write at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """When a turn began, by the monotonic clock and in seconds since the epoch, and the id that its requests carry."""

    correlation: str
    monotonic: float
    at: float


class Attempt:
    """Takes one task after the other, from any thread. `on_outcome` hears every committed outcome."""

    def __init__(
        self,
        context: Context,
        *,
        fhir: CircuitBreaker,
        archives: CircuitBreakers,
        dispatcher: Dispatcher,
        on_outcome: Callable[[Outcome], None],
    ) -> None:
        self._context = context
        self._dispatcher = dispatcher
        self._fhir = fhir
        self._archives = archives
        self._on_outcome = on_outcome
        self._restored_at = self._succeeded_at = -math.inf
        self._met_reset: set[str] = set()
        """Studies whose last turn looked as if the server had lost what it confirmed."""
        self._failures = Failures()
        self._neighbours = Neighbours()

    def take(self, task: Task, *, again: bool = False) -> bool:
        """Reconcile and commit; returns whether the claim is settled, else it must be given back. `again`: after a
        conflict."""
        begun = self.begin()
        with self.attend(task, begun):
            try:
                with deadline.turn(self._context.longest_turn):
                    turn = reconcile(task.again() if again else task)
            except Exception as error:  # noqa: BLE001 - a defect must neither end the daemon nor lose the study
                outcome = self.after_failure(task, error, begun)
            else:
                outcome = self.after_turn(task, turn.outcome)
            return outcome is not None and self.settle([(outcome, begun)])[task.study_uid]

    def begin(self) -> Begun:
        """A turn that begins now."""
        return Begun(correlation=str(uuid.uuid4()), monotonic=time.monotonic(), at=self._context.clock())

    @contextmanager
    def attend(self, task: Task, begun: Begun) -> Iterator[None]:
        """While the study is under way: both servers and the log are told its correlation id, and others may wait for it."""
        token = correlation_id.set(begun.correlation)
        try:
            with (
                structlog.contextvars.bound_contextvars(study_uid=task.study_uid, correlation_id=begun.correlation),
                self._neighbours.attend(task.study_uid),
            ):
                yield
        finally:
            correlation_id.reset(token)

    @property
    def number_given_up(self) -> int:
        """Studies for which a one-shot run need not wait any longer."""
        return self._failures.number_given_up

    def outage(self, error: SyncdError) -> bool:
        """Whether a whole server is in trouble; its breaker is open then."""
        if isinstance(error, TargetPaused):
            self._fhir.trip(TargetState.PAUSED, str(error))
            log.error("target_paused", reason=str(error))
            return True
        breaker = self._breaker(error)
        if breaker is not self._fhir and not breaker.is_closed:
            return True
        if breaker.blames():
            log.warning("server_in_trouble", reason=breaker.reason)
            return True
        return False

    def settle(self, ended: Sequence[tuple[Outcome, Begun]]) -> dict[str, bool]:
        """Commit them together and tell everybody; by study, whether the ledger took it.

        The clock may show less than when a turn began (RULES E5): it was set back, and what is to be done in a minute must
        not wait for an hour. One set forward makes it due, which is early enough."""
        now = self._context.clock()
        timed = [
            (replace(one, turn=one.turn.set_back(max(0.0, begun.at - now)), correlation_id=begun.correlation), begun)
            for one, begun in ended
        ]
        kept = self._commit([outcome for outcome, _ in timed])
        for outcome, begun in timed:
            if kept[outcome.study_uid]:
                self._tell(outcome, begun)
        return kept

    def _tell(self, outcome: Outcome, begun: Begun) -> None:
        self._context.observer.count_decision(outcome.decision, time.monotonic() - begun.monotonic)
        noted, doubts = _said_oddly(outcome)
        self._context.observer.count_notes(noted, safety=rules(doubts))
        log.info(
            "study_decided",
            study_uid=outcome.study_uid,
            correlation_id=begun.correlation,
            decision=outcome.decision.value,
            reason=outcome.reason,
        )
        self._on_outcome(outcome)
        self._deliver(outcome)

    def _deliver(self, outcome: Outcome) -> None:
        """What this write owes, at once; whatever becomes of it, the study is settled (RULES B8)."""
        if outcome.owed:
            try:
                self._dispatcher.deliver(outcome.owed)
            except (LedgerUnavailable, LedgerRefused) as error:
                log.error("delivery_failed", error=str(error))

    def after_failure(self, task: Task, error: Exception, begun: Begun) -> Outcome | None:
        """Whose failure it was: the outcome, or None when the study is not to blame and simply goes back."""
        match error:
            case ServerReset():
                return self._after_reset(task, begun.monotonic)
            case LedgerUnavailable() | LedgerRefused():
                log.error("study_put_back", error=str(error))
                return None
            case TargetPaused() | Transient():
                return None if self.outage(error) else self._handle_failure(task, error)
            case _:
                # Only where it happened is told: the message may hold a patient's data (RULES S1).
                log.error("study_failed_unexpectedly", error=type(error).__name__, where=places(error))
                return self._back_off(task, Transient(type(error).__name__))

    def after_turn(self, task: Task, outcome: Outcome) -> Outcome | None:
        """What it tells of the servers; None when the study is not to blame after all."""
        self._met_reset.discard(task.study_uid)
        if outcome.parked is not None and outcome.parked.reason == ParkedReason.FORBIDDEN and not _was_forbidden(task):
            return self._forbidden(task, outcome)
        if outcome.decision in (Decision.CREATE, Decision.UPDATE, Decision.RETRACT):
            self._succeeded_at = time.monotonic()
            self._failures.note_write(task.study_uid)
            self._fhir.note_success()
        elif outcome.turn.attempts:
            self._failures.note_torn_read(task.study_uid, attempts=outcome.turn.attempts)
        else:
            self._failures.forget(task.study_uid)
        for copy in outcome.copies.found:  # named only where the archive answered to the end
            breaker = self._archives.of(copy.archive)
            if breaker is not None:
                breaker.note_success()
        return outcome

    def _forbidden(self, task: Task, outcome: Outcome) -> Outcome | None:
        """A 403 is the study's own only while the probe and others succeed (RULES C6)."""
        if self._fhir.blames():
            return None
        if self._neighbours.wait_for_others(task.study_uid, until=self._others_succeed):
            return outcome
        if outcome.parked is not None and outcome.parked.digest:
            self._fhir.trip(TargetState.PAUSED, "the FHIR server forbids writing (403): check SYNCD_FHIR__AUTH__*")
            return None
        # Reading something else works, as the probe shows: whether this alone is hidden, the next write of another tells.
        return self._handle_failure(task, Transient(f"The FHIR server answered 403 ({outcome.reason})", server="fhir"))

    def _handle_failure(self, task: Task, error: SyncdError) -> Outcome | None:
        """The server is well, so the study is to blame, unless several fail in a row: then no row is touched."""
        breaker = self._breaker(error)
        server = "" if breaker is self._fhir else str(getattr(error, "server", ""))
        served = self._serves_others(task, server)
        if served:
            return self._back_off(task, error, own=True)
        if served is False:
            breaker.trip(TargetState.OPEN, f"it serves no other study either; the last trouble: {error}")
            log.warning("server_in_trouble", reason=breaker.reason)
            return None
        if self._failures.in_a_row(task.study_uid, server=server):
            breaker.trip(TargetState.OPEN, f"{IN_A_ROW} studies failed in a row; the last: {error}")
            log.warning("server_in_trouble", reason=breaker.reason)
            return None
        return self._back_off(task, error)

    def _serves_others(self, task: Task, server: str) -> bool | None:
        """Whether that archive serves the study's neighbours to the bottom of their files: then its trouble is its own
        (RULES C6). None if nobody can tell, as for the FHIR server."""
        source = self._context.archives.get(ArchiveName(server))
        if source is None:
            return None
        return source.archive.serves_others({one.orthanc_id for one in task.claim.copies if one.archive == server})

    def _breaker(self, error: SyncdError) -> CircuitBreaker:
        """That of the archive which failed, else the FHIR server's."""
        return self._archives.of(getattr(error, "server", "")) or self._fhir

    def _commit(self, outcomes: Sequence[Outcome]) -> dict[str, bool]:
        """By study, whether the ledger took it; whatever it says, no claim leaks."""
        try:
            endings = self._context.ledger.outcomes.commit_many(outcomes)
        except Exception as error:  # noqa: BLE001 - whatever the ledger's library says
            _log_put_back(error)
            return {one.study_uid: False for one in outcomes}
        for ending in endings.values():
            if isinstance(ending, Exception):
                _log_put_back(ending)
        report_step(Step.COMMITTED)
        return {uid: not isinstance(ending, Exception) for uid, ending in endings.items()}

    def _after_reset(self, task: Task, began: float) -> Outcome | None:
        """Everything is restored, once: who meets the same again, when nothing is believed that was not read, has a trouble
        of its own (its updates are answered as creations), and must not make the others be verified for ever."""
        if task.study_uid in self._met_reset:
            return self._handle_failure(
                task, Transient("the FHIR server answers as if it had lost everything", server="fhir")
            )
        self._met_reset.add(task.study_uid)
        self._restore(began)
        return None

    def _restore(self, began: float) -> None:
        """Sentinel and Endpoints anew, once for all the workers that met the same reset."""
        try:
            with self._context.locks.hold("restore"):
                if self._restored_at < began:
                    restore(self._context)
                    self._restored_at = time.monotonic()
        except SyncdError as error:
            log.error("restore_failed", error=str(error))
            self._fhir.trip(TargetState.OPEN, str(error))

    def _others_succeed(self) -> bool:
        """Whether the server took another write lately: then a 403 is about this study alone (RULES C6)."""
        return time.monotonic() - self._succeeded_at < _LATELY

    def _back_off(self, task: Task, error: SyncdError, *, own: bool = False) -> Outcome:
        """`own`: its neighbours are served, so that the failure counts in any case."""
        failure = self._failures.count_failure(task.study_uid, attempts=task.claim.row.attempts, own=own)
        parked = task.claim.parked
        if failure.attempts >= ATTEMPTS or (parked is not None and parked.reason == ParkedReason.SERVER_ERROR):
            self._failures.forget(task.study_uid)
            detail = f"{ATTEMPTS} attempts failed; the last: {error}"
            return task.outcome(task.park(StudyError(ParkedReason.SERVER_ERROR, detail)))
        asked = getattr(error, "retry_after", None) or 0.0
        pause = max(pause_after(failure.tries), asked)
        until = self._context.clock() + min(pause, LONGEST_BACKOFF)
        return task.back_off(f"try {failure.tries} failed: {error}", until=until, attempts=failure.attempts)


def _log_put_back(error: Exception) -> None:
    """Its words only where they are our own: others may hold a patient's data (RULES S1)."""
    if isinstance(error, LedgerUnavailable | LedgerRefused):
        log.error("study_put_back", error=str(error))
    else:
        log.error("study_put_back", error=type(error).__name__, where=places(error))


def _said_oddly(outcome: Outcome) -> tuple[tuple[str, ...], tuple[Note, ...]]:
    """What was odd of what was published just now, by its rules, and what of it leaves something in doubt."""
    ended = outcome.ended
    if not isinstance(ended, Confirmed) or not ended.noted:
        return (), ()
    return ended.noted, ended.safety or ()


def _was_forbidden(task: Task) -> bool:
    """It was the study's own before: that it still is says nothing about us."""
    return task.claim.parked is not None and task.claim.parked.reason == ParkedReason.FORBIDDEN


def places(error: BaseException) -> list[str]:
    """Where an error happened, file and line, without its message (RULES S1)."""
    return [f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
