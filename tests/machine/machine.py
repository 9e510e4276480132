"""The machine: everything that can happen to a site, in any order, and what must be true after it is quiet again.

Each rule is one happening; syncd runs between them, or dies at any step. What must be true is in `agree`: the FHIR side
equals what the archive holds, with what others wrote beside it, without a duplicate of ours, and another full look at
both sides writes nothing. The difficulty is to let the machine do what it likes and still know what is right: `truth`
reads the archive's index, and what only an operator can settle (a human withdrew a study) is remembered here.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from syncd.loop.steps import Step
from syncd.model.work import Mark, MarkKind
from tests.fakes.http import ConnectionRefused
from tests.fakes.orthanc_tags import INSTANCE, SERIES
from tests.loop.world import MAIN, SETTLE, puts
from tests.machine.site import HUMAN_NOTE, OTHER_TAG, Site
from tests.machine.truth import EXPIRED, QUALITY, SAFETY, WORKLIST, Expected, expected

STUDIES = ("1.2.276.1", "1.2.276.2", "1.2.276.3")
PATIENTS = {"1.2.276.1": "P1", "1.2.276.2": "P1", "1.2.276.3": "P3"}

MODALITIES = {2: "US", 3: "SR"}
"""By the number of the series; every other one is CT."""

WITHDRAWN = ("cancelled", "entered-in-error")

MORE = tuple(f"1.2.276.900.{number}" for number in range(1, 12))
"""Studies that only lie there, so that there are enough of them to know an archive by (RULES A4)."""

LATER = frozenset(
    {
        Step.VERIFY_BEGUN,
        Step.VERIFY_LISTED,
        Step.VERIFY_COMPARED,
        Step.VERIFY_FINISHED,
        Step.RETRACTION_CLAIMED,
        Step.DELETED,
        Step.AGENT_SENT,
        Step.DELIVERED,
        Step.INTENTS_WITHDRAWN,
    }
)
"""Steps that a new installation does not pass before something is published."""

studies = st.sampled_from(STUDIES)
few = st.integers(1, 3)

fired: Counter[str] = Counter()
"""How often each rule did what it says, over all runs of this process."""
reached: Counter[Step] = Counter()
killed: Counter[Step] = Counter()

Rule = TypeVar("Rule", bound=Callable[..., Any])


def counted(happening: Rule) -> Rule:
    """Counts the times that a rule really did something (it returns False where it could not)."""

    @wraps(happening)
    def count(self: Any, *args: Any, **kwargs: Any) -> None:
        if happening(self, *args, **kwargs) is not False:
            fired[happening.__name__] += 1

    return count  # type: ignore[return-value]


class Convergence(RuleBasedStateMachine):
    """One site, from an empty ledger to quiet."""

    empty_ledger: Path
    """The file of a ledger that knows nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
        self.site = Site(self.folder, empty_ledger=self.empty_ledger)
        self.happenings = 0
        self.edited: set[str] = set()
        """Studies with something of somebody else in their resource, which must survive."""
        self.withdrawn_by_other: set[str] = set()

    @initialize(
        first=st.lists(studies, min_size=1, max_size=3, unique=True),
        many=st.sampled_from([False, False, True]),
        dies_at=st.sampled_from(Step),
    )
    def begin(self, first: list[str], many: bool, dies_at: Step) -> None:
        """Every history knows one death early, so that over all of them syncd dies at every step."""
        if dies_at not in LATER:
            self.site.die_at(dies_at, nth=1)
        if many:
            self._fill()
        for uid in first:
            self.site.store(uid, PatientID=PATIENTS[uid])
        self.site.settle()
        self.site.run()
        if dies_at in LATER:
            self._lead_to(dies_at, first[0])
            self.site.die_at(dies_at, nth=1)
            self.site.run()
            self.site.fhir.away = False

    # -- syncd runs, or dies ---------------------------------------------------------------------------------------

    @rule()
    @counted
    def syncd_runs(self) -> None:
        self.site.run()

    @rule()
    @counted
    def all_is_quiet_for_a_while(self) -> None:
        self.site.settle()
        self.site.run()

    @rule(step=st.sampled_from(Step), nth=st.sampled_from([1, 1, 2]), uid=studies)
    @counted
    def syncd_dies(self, step: Step, nth: int, uid: str) -> None:
        """kill -9 at a step, which something leads to; the next process starts from what lasts."""
        self._lead_to(step, uid)
        self.site.die_at(step, nth=nth)
        self.site.run()
        self.site.fhir.away = False

    @rule(after=st.integers(1, 25))
    @counted
    def syncd_dies_after_some_changes(self, after: int) -> None:
        self.site.dies_after = after
        self.site.run()
        self.site.dies_after = None

    @rule()
    @counted
    def syncd_restarts(self) -> None:
        self.site.restart()
        self.site.run()

    @rule()
    @counted
    def a_sweep(self) -> None:
        self.site.take_inventory()

    # -- the archive -----------------------------------------------------------------------------------------------

    @rule(uid=studies, series=few, instance=few)
    @counted
    def store(self, uid: str, series: int, instance: int) -> None:
        self.happenings += 1
        self._store(uid, series=series, instance=instance)

    @rule(uid=studies, series=few)
    @counted
    def many_stream_in(self, uid: str, series: int) -> None:
        self.happenings += 1
        for instance in range(4, 9):
            self._store(uid, series=series, instance=instance)
            self.site.clock.advance(0.4)
            self.site.run()

    @precondition(lambda self: self._in_archive())
    @rule(data=st.data())
    @counted
    def delete_study(self, data: st.DataObject) -> None:
        self.happenings += 1
        self.site.remove_study(data.draw(st.sampled_from(self._in_archive())))

    @precondition(lambda self: self._in_archive())
    @rule(data=st.data(), level=st.sampled_from([SERIES, INSTANCE]), number=st.integers(0, 9))
    @counted
    def delete_part(self, data: st.DataObject, level: str, number: int) -> None:
        self.happenings += 1
        self.site.remove_part(data.draw(st.sampled_from(self._in_archive())), level, number)

    @precondition(lambda self: self._in_archive())
    @rule(data=st.data())
    @counted
    def send_again(self, data: st.DataObject) -> None:
        """Deleted and sent again under the same ids (OverwriteInstances)."""
        self.happenings += 1
        uid = data.draw(st.sampled_from(self._in_archive()))
        patient = self._patient(uid)
        self.site.remove_study(uid)
        self.site.store(uid, PatientID=patient)

    @precondition(lambda self: self._in_archive())
    @rule(data=st.data(), patient=st.sampled_from(["P1", "P3", "P7"]))
    @counted
    def correct_patient(self, data: st.DataObject, patient: str) -> None:
        self.happenings += 1
        self.site.correct_patient(data.draw(st.sampled_from(self._in_archive())), patient)

    @rule(uid=studies)
    @counted
    def store_under_another_patient(self, uid: str) -> None:
        """The same StudyInstanceUID under two PatientIDs."""
        self.happenings += 1
        self.site.store(uid, series=4, PatientID="P8")

    @precondition(lambda self: self._in_archive())
    @rule(data=st.data())
    @counted
    def anonymise(self, data: st.DataObject) -> bool:
        if len(self._truth()) > 16:
            return False
        self.happenings += 2
        self.site.anonymise(data.draw(st.sampled_from(self._in_archive())))
        return True

    @rule(
        uid=studies,
        of=studies,
        title=st.sampled_from([QUALITY, SAFETY, WORKLIST, EXPIRED]),
        numbers=st.sets(st.integers(1, 3), min_size=1),
        note=few,
    )
    @counted
    def reject(self, uid: str, of: str, title: str, numbers: set[int], note: int) -> None:
        """A rejection note, which may come before what it names and lie in another study."""
        self.happenings += 2
        named = frozenset(f"{of}.1.{number}" for number in numbers)
        self.site.reject(uid, title=title, named=named, of=of, number=note, patient=self._patient(uid))

    @rule(uid=studies, number=few, seen=st.booleans())
    @counted
    def delete_note(self, uid: str, number: int, seen: bool) -> bool:
        """The newest rejection note goes; where there is none, one comes first, and syncd may have seen it."""
        self.happenings += 2
        if not self._noted():
            patient = self._patient(uid)
            self.site.reject(uid, title=QUALITY, named=frozenset({f"{uid}.1.1"}), of=uid, number=number, patient=patient)
        if seen:
            self.site.settle()
            self.site.run()
        noted = self._noted()
        if noted:  # what was to happen meanwhile may have taken it away
            self.site.by_hand("DELETE", f"/instances/{noted[-1]}")
        return bool(noted)

    @precondition(lambda self: self._in_archive())
    @rule(data=st.data(), label=st.sampled_from(["research", "teaching"]))
    @counted
    def label(self, data: st.DataObject, label: str) -> None:
        for study in self.site.studies(data.draw(st.sampled_from(self._in_archive()))):
            self.site.by_hand("PUT", f"/studies/{study.id}/labels/{label}")

    @rule()
    @counted
    def archive_restarts(self) -> None:
        """Killed inside StableAge: no StableStudy will ever come."""
        self.site.orthanc.restart()

    @rule()
    @counted
    def archive_empties_its_log(self) -> None:
        self.site.empty_log()

    @rule()
    @counted
    def archive_is_indexed_anew(self) -> None:
        self.site.index_anew()

    @rule(restarts=st.booleans(), sweeps=st.booleans())
    @counted
    def archive_is_exchanged(self, restarts: bool, sweeps: bool) -> bool:
        """A test archive stands behind the address for a while: nothing of it reaches FHIR, nothing is taken back (A4)."""
        if self._published() < 10:
            self._fill()
        if self._published() < 10:
            return False
        before = {one["id"]: one["status"] for one in self.site.fhir.resources("ImagingStudy")}
        self.site.exchange()
        if restarts:
            self.site.restart()
        if sweeps:
            self.site.take_inventory()
        self.site.run()
        self.site.settle()
        self.site.run()
        after = {one["id"]: one["status"] for one in self.site.fhir.resources("ImagingStudy")}
        assert after.keys() <= before.keys(), "a test archive landed in FHIR"
        taken = [uid for uid, status in after.items() if status in WITHDRAWN and before[uid] not in WITHDRAWN]
        assert not taken, f"taken back because of a test archive: {taken}"
        self.site.exchange_back()
        return True

    @rule()
    @counted
    def archive_is_away(self) -> None:
        self.site.orthanc.away = True
        self.site.run()
        self.site.orthanc.away = False

    # -- the feed --------------------------------------------------------------------------------------------------

    @rule()
    @counted
    def event_comes_twice(self) -> None:
        self.site.repeat_event()

    @rule(uid=studies)
    @counted
    def events_come_in_another_order(self, uid: str) -> None:
        self.happenings += 1
        self._store(uid, series=2)
        self.site.reorder_events()

    @rule(number=few)
    @counted
    def events_are_visible_late(self, number: int) -> None:
        self.site.hold_back_events(number)

    @rule()
    @counted
    def late_events_are_visible(self) -> None:
        self.site.show_held_back()
        self.site.run()

    @rule(uid=studies, number=few)
    @counted
    def events_are_missing(self, uid: str, number: int) -> None:
        self.happenings += 1
        self._store(uid, series=3)
        self.site.lose_events(number)

    # -- torn reads and lost requests ------------------------------------------------------------------------------

    @rule(uid=studies, instance=few)
    @counted
    def instance_comes_while_the_study_is_read(self, uid: str, instance: int) -> None:
        self.happenings += 1
        patient = self._patient(uid)
        self.site.meanwhile_in_archive(
            lambda request: request.path.startswith("/tools/") and request.path != "/tools/lookup",
            lambda: self.site.store(uid, series=5, instance=instance, PatientID=patient),
        )
        self.site.run()

    @precondition(lambda self: self._in_archive())
    @rule(data=st.data())
    @counted
    def study_goes_while_it_is_read(self, data: st.DataObject) -> None:
        self.happenings += 1
        uid = data.draw(st.sampled_from(self._in_archive()))
        self.site.meanwhile_in_archive(
            lambda request: request.path.startswith("/studies/") and request.method == "GET",
            lambda: self.site.remove_study(uid),
        )
        self.site.run()

    @rule(times=few)
    @counted
    def archive_does_not_answer(self, times: int) -> None:
        self.site.archive_trouble(times)
        self.site.run()

    @rule(
        kind=st.sampled_from(
            ["400", "408", "409", "412", "413", "422", "429", "500", "503", "refused connection", "lost reply"]
        ),
        times=few,
        writes_only=st.booleans(),
    )
    @counted
    def fhir_server_fails(self, kind: str, times: int, writes_only: bool) -> None:
        self.happenings += 1 if kind == "lost reply" else 0
        self.site.trouble(kind, times=times, writes_only=writes_only)
        self.site.run()

    @rule()
    @counted
    def fhir_server_is_away(self) -> None:
        self.site.fhir.away = True
        self.site.run()
        self.site.fhir.away = False

    # -- others at the FHIR server ---------------------------------------------------------------------------------

    @rule()
    @counted
    def fhir_server_is_wiped(self) -> None:
        self.happenings += 20
        self.site.fhir.wipe()
        self.edited.clear()
        self.withdrawn_by_other.clear()

    @rule(uid=studies, series=few, edits=st.booleans())
    @counted
    def fhir_backup_is_restored(self, uid: str, series: int, edits: bool) -> None:
        """What was written after the backup is as if it had never been."""
        self.happenings += 20
        backup, edited, withdrawn = self.site.fhir.backup(), set(self.edited), set(self.withdrawn_by_other)
        self._store(uid, series=series, instance=7)
        self.site.settle()
        self.site.run()
        if edits:
            self.site.edit(uid, _with_note)
        self.site.fhir.restore(backup)
        self.edited, self.withdrawn_by_other = edited, withdrawn

    @rule(uid=studies)
    @counted
    def human_adds_a_note(self, uid: str) -> bool:
        self.happenings += 1
        if uid in self.withdrawn_by_other or not self.site.edit(uid, _with_note):
            return False
        if not self._looks_like_ours(uid):
            self.edited.add(uid)
        return True

    def _looks_like_ours(self, uid: str) -> bool:
        """A restored backup counts its versions anew: until that was noticed, a human's may have the number that we
        recorded, and no If-Match can tell them apart (docs/guarantees.md)."""
        held, record = self.site.held(uid), self.site.ledger.records.find(uid)
        return held is not None and record is not None and held["meta"]["versionId"] == record.version

    @rule(uid=studies)
    @counted
    def human_adds_a_note_just_before_we_write(self, uid: str) -> None:
        """A second writer between our read and our write: our If-Match fails, and the note survives."""
        self.happenings += 1

        def edit() -> None:
            wanted = uid not in self.withdrawn_by_other and self.site.edit(uid, _with_note)
            if wanted and not self._looks_like_ours(uid):
                self.edited.add(uid)

        self.site.meanwhile(puts("ImagingStudy", uid), edit)
        self.site.run()

    @rule(uid=studies)
    @counted
    def another_program_changes_what_is_ours(self, uid: str) -> bool:
        self.happenings += 1
        return self.site.edit(uid, lambda resource: resource.update(description="somebody else's"))

    @rule(uid=studies)
    @counted
    def another_program_deletes_the_resource(self, uid: str) -> bool:
        if self.site.held(uid) is None:
            return False
        self.happenings += 1
        self.site.delete_resource(uid)
        self.edited.discard(uid)
        self.withdrawn_by_other.discard(uid)
        return True

    @rule(uid=studies)
    @counted
    def another_program_doubles_the_resource(self, uid: str) -> bool:
        return self.site.duplicate(uid)

    # -- time and settings -----------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([-3600.0, -90.0, 90.0, 3600.0, 90_000.0]), runs=st.booleans())
    @counted
    def clock_steps(self, seconds: float, runs: bool) -> None:
        """While syncd runs, its watchdog tells the ledger (RULES E5); while it does not, its last heartbeat tells it."""
        self.site.step_clock(seconds, while_it_runs=runs)
        self.site.run()

    @rule(scope=st.sampled_from(["all", "acquisition"]), on_delete=st.sampled_from(["cancelled", "delete"]))
    @counted
    def settings_change(self, scope: str, on_delete: str) -> None:
        self.happenings += len(self._truth())
        self.site.set_policy(modality_scope=scope, on_delete=on_delete)
        self.site.run()

    @rule()
    @counted
    def fhir_inventory(self) -> None:
        self.site.look_at_everything()
        self.site.run()

    # -- what must be true -----------------------------------------------------------------------------------------

    def teardown(self) -> None:
        try:
            self.agree()
        finally:
            reached.update(self.site.steps)
            killed.update(self.site.deaths)
            self.site.close()
            shutil.rmtree(self.folder)

    def agree(self) -> None:
        """Nothing happens any more: both sides become equal, and stay so without a write."""
        site = self.site
        site.calm()
        site.restart()
        for _ in range(3):
            self._everything_is_looked_at()
        for uid, truth in self._truth().items():
            self._check(uid, truth)
        self._check_what_is_gone()
        self._check_bookkeeping()
        before = len(site.writes())
        assert before <= 30 + 4 * self.happenings + 6 * sum(site.errors.values()), "many more writes than happenings"
        self._everything_is_looked_at()
        assert len(site.writes()) == before, "both sides are equal, and something was written"

    def _everything_is_looked_at(self) -> None:
        """A sweep, a FHIR inventory, an operator who lets parked studies try again, and time for every grace to pass."""
        site = self.site
        site.clock.advance(1000.0)
        site.orthanc.tick()
        site.take_inventory()
        site.look_at_everything()
        uids, accepted = site.ledger.retractions.show_plan(MAIN)
        if uids:
            site.ledger.retractions.accept(MAIN, accepted)
        for entry in site.ledger.records.page_parked():
            site.ledger.parking.allow_retry(entry.study_uid)
            site.ledger.marks.add([Mark(study_uid=entry.study_uid, kind=MarkKind.RESYNC, archive=MAIN)], settle_after=SETTLE)
        site.live()
        site.clock.advance(1000.0)
        site.live()

    def _check(self, uid: str, truth: Expected) -> None:
        held, parked = self.site.held(uid), self.site.ledger.records.find_parked(uid)
        if truth.conflict:
            assert parked is not None and parked.reason == "patient-conflict", f"{uid}: two patients, not parked: {parked}"
            return
        if truth.nothing:
            assert held is None or held["status"] in WITHDRAWN, f"{uid}: all is rejected, and it is {held['status']}"
            return
        if parked is not None and parked.reason in ("withdrawn-by-other", "contested"):
            return
        assert parked is None, f"{uid}: parked {parked.reason}: {parked.detail}"
        assert held is not None, f"{uid}: missing in FHIR"
        assert held["status"] == "available", f"{uid}: {held['status']}"
        shown = {
            series["uid"]: frozenset(one["uid"] for one in series.get("instance", ())) for series in held.get("series", ())
        }
        summary = any("summary" in one["url"] for one in held.get("extension", ()))
        assert shown.keys() == truth.series.keys(), f"{uid}: other series: {sorted(shown)}, not {sorted(truth.series)}"
        assert summary or shown == truth.series, f"{uid}: other instances"
        assert held["numberOfInstances"] == sum(len(one) for one in truth.series.values()), uid
        codes = {one["code"] for one in held.get("modality", ())}
        scope = self.site.policy.modality_scope
        assert codes == {one for one in truth.modalities if scope == "all" or one not in ("SR", "KO")}, uid
        assert held.get("description", "") in truth.descriptions, uid
        (patient,) = truth.patients
        assert self._subject(held) == patient, f"{uid}: another subject"
        if uid in self.edited:
            assert HUMAN_NOTE in held.get("note", ()), f"{uid}: a human's note is lost"
            assert OTHER_TAG in held["meta"]["tag"], f"{uid}: somebody's tag is lost"

    def _check_what_is_gone(self) -> None:
        truth = self._truth()
        for held in self.site.fhir.resources("ImagingStudy"):
            if held["id"] in truth or not _is_ours(held):
                continue
            if held["id"].isdigit():
                continue  # another program's copy of ours: reported, and left alone
            assert held["status"] in WITHDRAWN, f"{held['id']}: gone from the archive, and {held['status']}"

    def _check_bookkeeping(self) -> None:
        for row in self.site.ledger.marks.page():
            parked = self.site.ledger.records.find_parked(row.study_uid)
            assert parked is not None, f"{row.study_uid}: dirty for ever"
        for uid in self._truth():
            copies = [one for one in self.site.fhir.resources("ImagingStudy") if _is_ours(one) and one["id"] == uid]
            assert len(copies) <= 1

    def _lead_to(self, step: Step, uid: str) -> None:
        """Something for which syncd passes this step when it runs next."""
        self.happenings += 1
        if step in (Step.SENTINEL_PROVED, Step.ENDPOINT_SENT):
            self.fhir_server_is_wiped()
            self.site.restart()
        elif step in (Step.BOOTSTRAP_BEGUN, Step.BOOTSTRAP_FINISHED, Step.INVENTORY_MARKED):
            self.site.index_anew()
            self.site.restart()
        elif step in (Step.RETRACTION_CLAIMED, Step.DELETED):
            self._lead_to_retraction(uid, delete=step is Step.DELETED)
        elif step in (Step.AGENT_SENT, Step.DELIVERED):
            if step is Step.AGENT_SENT:
                self.fhir_server_is_wiped()
            self._lead_to_retraction(uid, delete=False)
        elif step in (Step.VERIFY_BEGUN, Step.VERIFY_LISTED, Step.VERIFY_COMPARED, Step.VERIFY_FINISHED):
            self.site.edit(uid, lambda resource: resource.update(description="somebody else's"))
            self.site.looks_at_everything = True
        elif step is Step.INTENTS_WITHDRAWN:
            self._lead_to_an_outage()
        elif step is Step.PATIENT_SENT:
            self.happenings += 1
            self.site.remove_study(uid)
            self.site.store(uid, PatientID=f"N{self.happenings}")
            self.site.settle()
        else:
            self._store(uid, series=6, instance=self.happenings)
            self.site.settle()

    def _lead_to_an_outage(self) -> None:
        """More studies changed than there are threads, and the FHIR server is away when the first of them is sent."""

        def go_away() -> None:
            self.site.fhir.away = True
            raise ConnectionRefused

        for uid in STUDIES:
            self._store(uid, series=6, instance=self.happenings)
        self.happenings += len(STUDIES)
        self.site.settle()
        self.site.meanwhile(puts("ImagingStudy"), go_away)

    def _lead_to_retraction(self, uid: str, *, delete: bool) -> None:
        """A published study is gone, and the sweep has noticed."""
        self.site.set_policy(on_delete="delete" if delete else "cancelled")
        self._store(uid, series=1)
        self.site.settle()
        self.site.run()
        for _ in self.site.studies(uid):
            self.site.remove_study(uid)
        self.happenings += 3
        self.site.clock.advance(5.0)
        self.site.take_inventory()

    # -- what is there ---------------------------------------------------------------------------------------------

    def _truth(self) -> dict[str, Expected]:
        return expected([self.site.orthanc.index])

    def _in_archive(self) -> list[str]:
        return [uid for uid in STUDIES if self.site.studies(uid)]

    def _published(self) -> int:
        """Studies by which the archive is known again (RULES A4)."""
        return len(self.site.ledger.records.sample_copies(MAIN, 20))

    def _noted(self) -> list[str]:
        index = self.site.orthanc.index
        return sorted(one.id for one in index.resources.values() if one.tags.get("0008,0060") == "KO")

    def _fill(self) -> None:
        """So many studies that an archive is known by them."""
        self.happenings += len(MORE)
        for uid in MORE:
            self.site.store(uid, PatientID="P9")
        self.site.settle()
        self.site.run()

    def _store(self, uid: str, *, series: int, instance: int = 1) -> None:
        modality = MODALITIES.get(series, "CT")
        self.site.store(uid, series=series, instance=instance, modality=modality, PatientID=self._patient(uid))

    def _patient(self, uid: str) -> str:
        """The patient under whom the archive holds the study, else the usual one."""
        index = self.site.orthanc.index
        for study in self.site.studies(uid):
            return str(next(index.below(study, INSTANCE)).tags["0010,0020"])
        return PATIENTS[uid]

    def _subject(self, held: dict[str, Any]) -> str:
        kind, _, resource_id = held["subject"]["reference"].partition("/")
        (found,) = (one for one in self.site.fhir.resources(kind) if one["id"] == resource_id)
        return str(found["identifier"][0]["value"])


def _with_note(resource: dict[str, Any]) -> None:
    if HUMAN_NOTE not in resource.get("note", ()):
        resource.setdefault("note", []).append(HUMAN_NOTE)
    if OTHER_TAG not in resource["meta"].get("tag", ()):
        resource["meta"].setdefault("tag", []).append(OTHER_TAG)


def _is_ours(resource: dict[str, Any]) -> bool:
    return any(tag.get("system") == "urn:syncd:installation" for tag in resource.get("meta", {}).get("tag", ()))


RULES = tuple(name for name, value in vars(Convergence).items() if hasattr(value, "hypothesis_stateful_rule"))
"""The names of all rules."""
