"""Workers: due studies are claimed, looked up in batches, reconciled in parallel, and their outcomes committed.

A worker never sleeps and never retries by itself; waiting is a due time in the ledger. The difficulty is telling whose
fault a failure is: a server that is down closes its gate and costs no study an attempt, one bad study backs off alone.
"""

from __future__ import annotations

import math
import random
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import structlog

from syncd.errors import LedgerUnavailable, ServerReset, StudyError, SyncdError, TargetPaused, Transient
from syncd.ledger.ledger import Claim
from syncd.loop.gate import Gate
from syncd.loop.reconcile import reconcile
from syncd.loop.rooms import Rooms
from syncd.loop.steps import Step, reached
from syncd.loop.target import restore
from syncd.loop.task import Task
from syncd.mapping.identity import resource_id
from syncd.model.correlation import correlation_id
from syncd.model.words import Decision, ParkedReason, TargetState
from syncd.model.work import LONGEST_BACKOFF, Outcome
from syncd.publish.lookups import BATCH, imaging_studies

log = structlog.get_logger(__name__)

ATTEMPTS = 20
"""Transient failures of one study, the server being well otherwise, before it is parked `server-error` (RULES C6)."""

_LATELY = 300.0
"""Seconds within which another study's write shows that we may write at all."""

_IDLE_WAIT = 0.5
"""Seconds after which the ledger is asked anew although nobody woke us: another process may have marked something."""


class Workers:
    """Reconciles due studies until told to stop. `on_outcome` hears every committed outcome (progress, history)."""

    def __init__(
        self,
        rooms: Rooms,
        *,
        fhir: Gate,
        archive: Gate,
        concurrency: int,
        on_outcome: Callable[[Outcome], None] = lambda outcome: None,
    ) -> None:
        self._rooms = rooms
        self._fhir = fhir
        self._archive = archive
        self._concurrency = concurrency
        self._on_outcome = on_outcome
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="reconcile")
        self._changed = threading.Condition()
        self._in_flight = 0
        self._stopping = False
        self._owed: set[str] = set()
        self._restoring = threading.Lock()
        self._restored_at = self._succeeded_at = -math.inf

    def wake(self) -> None:
        """Something may be due now."""
        with self._changed:
            self._changed.notify_all()

    def run(self, *, until_idle: bool = False) -> None:
        """Work until `stop`; with `until_idle`, until nothing is due and nothing in flight, or a gate is closed."""
        while not self._stopping:
            if not (self._fhir.ask() and self._archive.ask()):
                if until_idle and self._settled():
                    return
                self._rest()
                continue
            try:
                claims = self._claimed()
                if claims:
                    self._start(claims)
                elif until_idle and self._settled() and not self._due_soon():
                    return
                else:
                    self._rest()
            except LedgerUnavailable as error:
                if until_idle:
                    raise
                log.error("ledger_unavailable", reason=str(error))
                self._rest()

    def stop(self, *, grace: float) -> None:
        """Claim nothing more; what runs ends within `grace` seconds, what has not begun goes back."""
        self._stopping = True
        self._pool.shutdown(wait=False, cancel_futures=True)
        deadline = time.monotonic() + grace
        with self._changed:
            self._changed.notify_all()
            while self._in_flight and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)

    def _claimed(self) -> list[Claim]:
        owed = tuple(self._owed)
        if owed:  # claims that could not be given back when the ledger did not take it
            self._rooms.ledger.release(*owed)
            self._owed.difference_update(owed)
        room = self._room()
        return self._rooms.ledger.claim(room, now=self._rooms.clock()) if room > 0 else []

    def _room(self) -> int:
        """How many more to claim: enough for one batched first look, never so many that an urgent study waits long."""
        return BATCH - self._in_flight if self._in_flight <= 2 * self._concurrency else 0

    def _rest(self) -> None:
        with self._changed:
            if not self._stopping:
                self._changed.wait(_IDLE_WAIT)

    def _settled(self) -> bool:
        with self._changed:
            return self._in_flight == 0

    def _due_soon(self) -> bool:
        """Whether a study backs off only for a moment: a one-shot run waits for its first few attempts."""
        return self._rooms.ledger.backing_off(most_attempts=3) > 0

    def _start(self, claims: Sequence[Claim]) -> None:
        try:
            hits = self._first_look(claims)
        except (Transient, TargetPaused) as error:
            self._owed.update(claim.row.study_uid for claim in claims)
            if not self._outage(error):
                self._rest()
            return
        except Exception as error:  # noqa: BLE001 - the batch is a shortcut: without it each study asks, and fails, for itself
            log.warning("first_look_failed", error=type(error).__name__, where=_places(error))
            hits = {}
        for claim in claims:
            task = Task(claim=claim, rooms=self._rooms, hits=hits.get(claim.row.study_uid))
            with self._changed:
                self._in_flight += 1
            try:
                self._pool.submit(self._turn, task).add_done_callback(lambda future: self._ended())
            except RuntimeError:  # the pool was shut down meanwhile
                self._ended()

    def _ended(self) -> None:
        with self._changed:
            self._in_flight -= 1
            self._changed.notify_all()

    def _first_look(self, claims: Sequence[Claim]) -> dict[str, frozenset[str]]:
        """One search for all studies of which we remember nothing (RULES C2)."""
        ids: dict[str, str] = {}
        for claim in claims:
            if claim.record is None and claim.intent is None:
                try:
                    ids[claim.row.study_uid] = resource_id(claim.row.study_uid, bad_uid=self._rooms.policy.bad_uid)
                except StudyError:
                    continue  # reconcile parks it
        return imaging_studies(self._rooms.server, ids) if ids else {}

    def _turn(self, task: Task) -> None:
        """One study, in a worker: whatever happens ends as a committed outcome or a released claim."""
        correlation = str(uuid.uuid4())
        correlation_id.set(correlation)
        began = time.monotonic()
        with structlog.contextvars.bound_contextvars(study_uid=task.study_uid, correlation_id=correlation):
            try:
                outcome = self._attempt(task)
                if outcome is None:
                    self._owed.add(task.study_uid)
                    return
                outcome = replace(outcome, correlation_id=correlation)
                self._rooms.ledger.commit(outcome)
                reached(Step.COMMITTED)
            except SyncdError as error:
                # Not the study's fault: the ledger did not take it, or the server could not be restored.
                log.error("study_put_back", error=str(error))
                self._owed.add(task.study_uid)
                if not isinstance(error, LedgerUnavailable):
                    self._fhir.close(TargetState.PAUSED, str(error))
                return
            except Exception as error:  # noqa: BLE001 - a defect must neither end the daemon nor lose the study
                # Only where it happened is told: the message may hold a patient's data (RULES S1).
                log.error("study_failed_unexpectedly", error=type(error).__name__, where=_places(error))
                self._put_off(task, Transient(type(error).__name__))
                return
            self._rooms.observer.decided(outcome.decision, time.monotonic() - began)
            log.info("study_decided", decision=outcome.decision.value, reason=outcome.reason)
            self._on_outcome(outcome)

    def _put_off(self, task: Task, error: Transient) -> None:
        try:
            self._rooms.ledger.commit(self._backed_off(task, error))
        except SyncdError as refused:
            log.error("study_put_back", error=str(refused))
            self._owed.add(task.study_uid)

    def _attempt(self, task: Task) -> Outcome | None:
        """The outcome, or None when the study is not to blame and simply goes back."""
        began = time.monotonic()
        try:
            outcome = reconcile(task)
        except ServerReset:
            with self._restoring:
                if self._restored_at < began:  # else another worker met the same reset and dealt with it
                    restore(self._rooms)
                    self._restored_at = time.monotonic()
            return None
        except TargetPaused as error:
            self._fhir.close(TargetState.PAUSED, str(error))
            log.error("target_paused", reason=str(error))
            return None
        except Transient as error:
            return None if self._outage(error) else self._backed_off(task, error)
        if outcome.parked is not None and outcome.parked.reason == ParkedReason.FORBIDDEN and not self._others_succeed():
            self._fhir.close(TargetState.PAUSED, "the FHIR server forbids writing (403): check SYNCD_FHIR__AUTH__*")
            return None
        if outcome.decision in (Decision.CREATE, Decision.UPDATE):
            self._succeeded_at = time.monotonic()
        return outcome

    def _others_succeed(self) -> bool:
        """Whether the server took another write lately: then a 403 is about this study alone (RULES C6)."""
        return time.monotonic() - self._succeeded_at < _LATELY

    def _outage(self, error: SyncdError) -> bool:
        """Whether a whole server is in trouble; its gate is closed then."""
        if isinstance(error, TargetPaused):
            self._fhir.close(TargetState.PAUSED, str(error))
            return True
        gate = self._archive if getattr(error, "server", "") == self._rooms.archive_name else self._fhir
        if gate.blames(error):
            log.warning("server_in_trouble", reason=gate.reason)
            return True
        return False

    def _backed_off(self, task: Task, error: Transient) -> Outcome:
        attempts = task.claim.row.attempts + 1
        if attempts >= ATTEMPTS:
            return task.parked(StudyError(ParkedReason.SERVER_ERROR, f"{attempts} attempts failed"))
        longest = min(LONGEST_BACKOFF, 2.0 ** (attempts - 1))
        pause = max(random.uniform(longest / 2, longest), error.retry_after or 0.0)  # noqa: S311 - jitter, no secret
        until = self._rooms.clock() + min(pause, LONGEST_BACKOFF)
        return replace(
            task.waiting(f"attempt {attempts} failed: {error}", due=until),
            decision=Decision.WAIT,
            attempts=attempts,
            not_before=until,
        )


def _places(error: BaseException) -> list[str]:
    return [f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
