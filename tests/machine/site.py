"""A whole site for the machine: `Mortal`, and everything that may happen to its two servers, its clock and its settings.

Each method is one thing that really happens to somebody's installation. The difficulty is that a fault must be able to
come at any moment of a pass, not only between two: so most are left lying in wait for the next request that they fit.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from syncd.errors import SyncdError
from syncd.loop.fhir import inventory
from syncd.loop.fhir.turned_up import look_around
from syncd.loop.steps import Step, observe
from syncd.loop.workers.pool import Workers
from syncd.model.overview import Heartbeat
from syncd.model.words import ArchiveState
from tests.crash.mortal import Killed, Mortal
from tests.fakes.http import ConnectionRefused, ReplyLost, Request, Response
from tests.fakes.orthanc_index import Entry, Resource
from tests.fakes.orthanc_tags import INSTANCE, SERIES, STUDY
from tests.loop.world import MAIN, deliver_due, refused

KO = "1.2.840.10008.5.1.4.1.1.88.59"

NOTES = 9
"""The number of the series that holds key objects."""

HUMAN_NOTE = {"text": "seen by a human"}

OTHER_TAG = {"system": "urn:somebody:else", "code": "x"}

MOST_STEPS = 20_000
"""Of one run: ten times what the longest one needs. Whoever passes more comes to no rest."""


class Restless(BaseException):
    """syncd works without end; no worker may take it for a study's fault."""


class Site(Mortal):
    """`steps` counts the steps that syncd reached, `deaths` those at which it was killed."""

    def __init__(self, folder: Path, *, empty_ledger: Path | None = None, **policy: Any) -> None:
        super().__init__(folder, empty_ledger=empty_ledger, **policy)
        self.steps: Counter[Step] = Counter()
        self.deaths: Counter[Step] = Counter()
        self.errors: Counter[str] = Counter()
        self._fatal: tuple[Step, int] | None = None
        self._last_steps: deque[Step] = deque(maxlen=60)
        self._steps_before_run = 0
        self._held_back: list[Entry] = []
        self._own_index = self.orthanc.index
        self.exchanged = False
        self.looks_at_everything = False
        """The next run begins with a FHIR inventory."""
        observe(self._reached)

    def close(self) -> None:
        observe(None)
        self.ledger.close()
        self.archive.close()

    # -- syncd -----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """What a daemon does until nothing is due; what it cannot do now is left for the next time, as a daemon does."""
        try:
            if self.looks_at_everything:
                self.looks_at_everything = False
                self.look_at_everything()
            self.live()
            self.pay()
        except Killed:
            self.restart()
        except SyncdError as error:
            self.errors[type(error).__name__] += 1
        finally:
            self._fatal = None

    def live(self) -> None:
        self._steps_before_run = self.steps.total()
        try:
            super().live()
        except Restless:
            raise AssertionError(f"syncd comes to no rest: {[step.value for step in self._last_steps]}") from None

    def workers(self, **wanted: Any) -> Workers:
        """Workers that wait for nothing: the clock stands still while they work."""
        workers = super().workers(**wanted)
        workers._due_soon = lambda readable: False  # type: ignore[method-assign]
        return workers

    def work_here(self) -> None:
        """Nothing is worked on while the archive is paused: in the daemon its breaker is open then (RULES A4)."""
        position = self.ledger.feed.position(MAIN)
        if position is None or position.state is not ArchiveState.PAUSED:
            super().work_here()

    def die_at(self, step: Step, *, nth: int) -> None:
        """The next process dies when it reaches `step` for the `nth` time."""
        self._fatal = (step, nth)

    def _reached(self, step: Step) -> None:
        self.steps[step] += 1
        self._last_steps.append(step)
        if self.steps.total() > self._steps_before_run + MOST_STEPS:
            raise Restless
        if self.dies_after is not None and self.dies_after <= 0:
            raise Killed("dead already")
        if self._fatal is None or self._fatal[0] is not step:
            return
        self._fatal = (step, self._fatal[1] - 1)
        if self._fatal[1] <= 0:
            self.deaths[step] += 1
            self.dies_after = 0
            raise Killed(step)

    def step_clock(self, seconds: float, *, while_it_runs: bool) -> None:
        """Somebody sets the clock. The FHIR server's is the same one here; what is stable in the archive, Orthanc tells by
        time passed."""
        unstable = self.orthanc.index.unstable
        unstable.update({one: touched + seconds for one, touched in unstable.items()})
        if while_it_runs:
            self.clock.advance(seconds)
            self.ledger.clock_steps.follow(seconds)
        else:
            self.ledger.overview.beat(Heartbeat(pid=1, at=self.clock(), started_at=self.clock(), version="1"))
            self.clock.advance(seconds)
            self.restart()

    def set_policy(self, **changes: Any) -> None:
        """The operator changes settings and starts syncd again."""
        self.on_delete = changes.pop("on_delete", self.on_delete)
        self.policy = replace(self.policy, **changes)
        self.restart()

    # -- the archive -----------------------------------------------------------------------------------------------

    def studies(self, uid: str) -> list[Resource]:
        index = self.orthanc.index
        return [one for one in index.all(STUDY) if one.main.get("StudyInstanceUID") == uid]

    def by_hand(self, method: str, path: str, *, body: bytes = b"") -> None:
        """Somebody else speaks to the archive; no fault that lies in wait for syncd meets them."""
        self.orthanc.answer(Request(method=method, path=path, body=body))

    def remove_study(self, uid: str) -> None:
        for one in self.studies(uid)[:1]:
            self.by_hand("DELETE", f"/studies/{one.id}")

    def remove_part(self, uid: str, level: str, number: int) -> None:
        """A series or an instance is deleted; nothing is logged for it."""
        folder = {SERIES: "series", INSTANCE: "instances"}[level]
        found = [part for study in self.studies(uid) for part in self.orthanc.index.below(study, level)]
        if found:
            self.by_hand("DELETE", f"/{folder}/{found[number % len(found)].id}")

    def correct_patient(self, uid: str, patient: str) -> None:
        """1.12: PatientID changed while the UIDs are kept: another Orthanc id, and no event for the old one."""
        for one in self.studies(uid)[:1]:
            asked = {
                "Replace": {"PatientID": patient},
                "Keep": ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"],
                "Force": True,
                "KeepSource": False,
            }
            self.by_hand("POST", f"/studies/{one.id}/modify", body=json.dumps(asked).encode())

    def anonymise(self, uid: str) -> None:
        """A second study under new UIDs, of another patient (`modify` keeps the source)."""
        for one in self.studies(uid)[:1]:
            asked = {"Replace": {"PatientID": "ANON", "PatientName": "Anon"}, "Force": True, "KeepSource": True}
            self.by_hand("POST", f"/studies/{one.id}/modify", body=json.dumps(asked).encode())

    def reject(self, uid: str, *, title: str, named: frozenset[str], of: str, number: int, patient: str) -> None:
        """A rejection note lies in `uid` and names instances of the study `of`."""
        by_series: dict[str, list[str]] = {}
        for one in sorted(named):
            by_series.setdefault(one.rpartition(".")[0], []).append(one)
        evidence = {
            "StudyInstanceUID": of,
            "ReferencedSeriesSequence": [
                {
                    "SeriesInstanceUID": series,
                    "ReferencedSOPSequence": [{"ReferencedSOPInstanceUID": instance} for instance in instances],
                }
                for series, instances in by_series.items()
            ],
        }
        code = {"CodeValue": title, "CodingSchemeDesignator": "DCM", "CodeMeaning": "A title"}
        self.store(
            uid,
            series=NOTES,
            instance=number,
            modality="KO",
            SOPClassUID=KO,
            PatientID=patient,
            ConceptNameCodeSequence=[code],
            CurrentRequestedProcedureEvidenceSequence=[evidence],
        )

    def empty_log(self) -> None:
        self.by_hand("DELETE", "/changes")

    def index_anew(self) -> None:
        """The index is lost and filled again from the same files: the same ids, numbers from 1."""
        held = [one for one in self.orthanc.index.resources.values() if one.level == INSTANCE]
        self.orthanc.wipe()
        for one in held:
            self.orthanc.index.add(dict(one.tags), now=self.clock(), file=None, metadata=dict(one.metadata))
        self._own_index = self.orthanc.index
        self._held_back.clear()

    def exchange(self) -> None:
        """A test archive stands behind the address; what lay in wait for the other one happens to nobody."""
        self.orthanc.rules.clear()
        self._own_index = self.orthanc.index
        self._held_back.clear()
        self.orthanc.wipe()
        self.exchanged = True
        for number in range(3):
            self.store(f"1.2.276.666.{number}", PatientID="TEST")
        self.clock.advance(2)
        self.orthanc.tick()

    def exchange_back(self) -> None:
        self.orthanc.index = self._own_index
        self.exchanged = False

    # -- the feed --------------------------------------------------------------------------------------------------

    def repeat_event(self) -> None:
        index = self.orthanc.index
        if index.log:
            last = index.log[-1]
            if last.id in index.resources:
                index.write(last.change_type, index.resources[last.id], self.clock())

    def reorder_events(self) -> None:
        """The two newest entries in the other order, as long as nobody has read them."""
        log, position = self.orthanc.index.log, self.ledger.feed.position(MAIN)
        if len(log) >= 2 and position is not None and log[-2].seq > position.high_water:
            one, two = log[-2], log[-1]
            log[-2:] = [replace(two, seq=one.seq), replace(one, seq=two.seq)]

    def hold_back_events(self, number: int) -> None:
        """Transactions that are not over: their numbers are taken, and not to be seen yet."""
        log = self.orthanc.index.log
        self._held_back += log[-number:]
        del log[-number:]

    def show_held_back(self) -> None:
        index = self.orthanc.index
        known = [one for one in self._held_back if one.id in index.resources]
        index.log = sorted([*index.log, *known], key=lambda entry: entry.seq)
        self._held_back.clear()

    def lose_events(self, number: int) -> None:
        """Entries that nobody will ever see."""
        del self.orthanc.index.log[-number:]

    # -- trouble with requests -------------------------------------------------------------------------------------

    def trouble(self, kind: str, *, times: int, writes_only: bool) -> None:
        """The next `times` requests to the FHIR server end as `kind` says."""
        left = [times]

        def rule(request: Request) -> Response | None:
            is_write = request.method in ("PUT", "DELETE") and "/Endpoint/" not in request.path
            if left[0] <= 0 or (writes_only and not is_write) or request.path.endswith("/metadata"):
                return None
            left[0] -= 1
            if kind == "refused connection":
                raise ConnectionRefused
            if kind == "lost reply":
                # Not `answer`: a crash after the server took the write must still be counted.
                self.fhir.answer(request)
                raise ReplyLost
            return refused(int(kind))

        self.fhir.rules.insert(0, rule)

    def meanwhile(self, matches: Callable[[Request], bool], happens: Callable[[], object]) -> None:
        """`happens` just before the next request to the FHIR server that matches."""
        self._once(self.fhir.rules, matches, happens)

    def meanwhile_in_archive(self, matches: Callable[[Request], bool], happens: Callable[[], object]) -> None:
        """`happens` just before the next request to the archive that matches (a torn read)."""
        self._once(self.orthanc.rules, matches, happens)

    def archive_trouble(self, times: int) -> None:
        left = [times]

        def rule(request: Request) -> Response | None:
            if left[0] <= 0 or request.method == "DELETE" or request.path.endswith("/modify"):
                return None
            left[0] -= 1
            raise ConnectionRefused

        self.orthanc.rules.append(rule)

    def calm(self) -> None:
        """Whatever still lies in wait happens no more; both servers answer."""
        self.fhir.rules[:] = [self._written]
        self.orthanc.rules.clear()
        self.fhir.away = self.orthanc.away = False
        self.show_held_back()
        if self.exchanged:
            self.exchange_back()
        self.dies_after, self._fatal = None, None

    @staticmethod
    def _once(rules: list[Any], matches: Callable[[Request], bool], happens: Callable[[], object]) -> None:
        done = [False]

        def rule(request: Request) -> Response | None:
            if not done[0] and matches(request):
                done[0] = True
                happens()
            return None

        rules.insert(0, rule)

    # -- others at the FHIR server ---------------------------------------------------------------------------------

    def held(self, uid: str) -> dict[str, Any] | None:
        """The ImagingStudy under our id as the server holds it."""
        found = [one for one in self.fhir.resources("ImagingStudy") if one["id"] == uid]
        return json.loads(json.dumps(found[0])) if found else None

    def edit(self, uid: str, change: Callable[[dict[str, Any]], None]) -> bool:
        """Another program reads, changes and writes the resource."""
        resource = self.held(uid)
        if resource is None:
            return False
        change(resource)
        answer = self.fhir.answer(
            Request(method="PUT", path=f"/fhir/ImagingStudy/{uid}", body=json.dumps(resource).encode())
        )
        return answer.status in (200, 201)

    def delete_resource(self, uid: str) -> None:
        self.fhir.answer(Request(method="DELETE", path=f"/fhir/ImagingStudy/{uid}"))

    def duplicate(self, uid: str) -> bool:
        """Another program creates a second ImagingStudy that names the study."""
        resource = self.held(uid)
        if resource is None:
            return False
        copy = {name: value for name, value in resource.items() if name not in ("id", "meta")}
        answer = self.fhir.answer(Request(method="POST", path="/fhir/ImagingStudy", body=json.dumps(copy).encode()))
        return answer.status == 201

    def take_inventory(self) -> None:
        """A sweep of the archive, as far as it answers."""
        try:
            self.sweep()
        except SyncdError as error:
            self.errors[type(error).__name__] += 1

    def look_at_everything(self) -> None:
        """The FHIR inventory, from its beginning to its end."""
        self.ledger.verification.want("the machine")
        try:
            slices = itertools.count(1)
            while inventory.tick(self.context, interval=86_400.0) is None:
                assert next(slices) < MOST_STEPS, "a FHIR inventory without end"
        except SyncdError as error:
            self.errors[type(error).__name__] += 1

    def pay(self) -> None:
        """What idle workers do beside: Provenances that are owed, Patients and orders that turned up (RULES B4, B8)."""
        deliver_due(self.context)
        look_around(self.context, every=3600.0)
