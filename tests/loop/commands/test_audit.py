"""The audit on the fakes: each way in which a study can differ is made, found, and put right (README.md, `audit`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from syncd.ledger.inventories.audit_staging import Staging
from syncd.ledger.ledger import Ledger
from syncd.loop.commands.audit import Audit, Report
from syncd.loop.commands.repair import context_for, repair
from syncd.loop.commands.suspicion import Case, suspicion
from syncd.model.audit import ArchivedStudy, DifferenceKind, ShownStudy, Standing
from syncd.model.ids import OrthancId
from syncd.model.words import ArchiveState, Decision, Tombstone
from syncd.model.work import DirtyRow, StudyRecord
from tests.ledger.made import copies_of
from tests.loop.world import MAIN, OTHER, SECOND, STUDY, World, puts, refused

THIRD = "1.2.276.3"
COPY = "copy-of-it"

Auditing = Callable[..., Audit]


@pytest.fixture
def auditing(world: World) -> Iterator[Auditing]:
    """`auditing(deep=True)`: one audit of the world, run."""
    opened: list[Staging] = []

    def run(**wanted: object) -> Audit:
        opened.append(Staging())
        audit = Audit(context=world.context, staging=opened[-1], report=Report(), **wanted)  # type: ignore[arg-type]
        audit.run()
        return audit

    yield run
    for staging in opened:
        staging.close()


def found(audit: Audit) -> set[tuple[str, str]]:
    return {(one.study_uid, one.kind.value) for one in audit.staging.differences()}


def repaired(world: World, audit: Audit) -> Audit:
    repair(world.site, audit, beside=False)
    return audit


def missing(world: World) -> None:
    world.store(THIRD, PatientID="P3")
    world.settle()


def deleted_in_fhir(world: World) -> None:
    world.remove(f"ImagingStudy/{STUDY}")


def stale(world: World) -> None:
    world.store(STUDY, instance=2)
    world.settle()


def reconstructed(world: World) -> None:
    """Other words, no event, the same LastUpdate, the same counts."""
    (copy,) = copies_of(world.ledger, STUDY)
    for instance in world.orthanc.index.below(world.orthanc.index.resources[copy.orthanc_id], "Instance"):
        instance.tags["0008,1030"] = "Corrected words"
    world.orthanc.handle("POST", f"/studies/{copy.orthanc_id}/reconstruct")


def extra(world: World) -> None:
    (copy,) = copies_of(world.ledger, STUDY)
    world.delete(copy.orthanc_id)


def drifted(world: World) -> None:
    world.put({**world.study(), "description": "somebody else's words"})


def untagged(world: World) -> None:
    resource = world.study()
    world.put({**resource, "numberOfInstances": 7, "meta": {"tag": []}})


def duplicate(world: World) -> None:
    resource = {name: value for name, value in world.study().items() if name != "meta"}
    world.put({**resource, "id": COPY})


DIFFERENCES = [
    (missing, THIRD, DifferenceKind.MISSING),
    (deleted_in_fhir, STUDY, DifferenceKind.MISSING),
    (stale, STUDY, DifferenceKind.STALE),
    (reconstructed, STUDY, DifferenceKind.STALE),
    (extra, STUDY, DifferenceKind.EXTRA),
    (drifted, STUDY, DifferenceKind.DRIFTED),
    (untagged, STUDY, DifferenceKind.DRIFTED),
]


@pytest.fixture
def synchronous(world: World) -> World:
    """Two studies, published; the archive was listed."""
    world.published(STUDY)
    world.published(OTHER, PatientID="P2")
    world.ledger.feed.finish_bootstrap(MAIN)
    return world


def test_nothing_differs_and_nothing_is_written(synchronous: World, auditing: Auditing) -> None:
    """README.md, `audit`: read-only, and quick: where the listings agree nothing is looked at again."""
    written = len(synchronous.writes())
    audit = auditing()
    assert found(audit) == set()
    assert (audit.report.archived, audit.report.shown, audit.report.studies) == ({MAIN: 2}, 2, 2)
    assert (audit.report.looked_at, audit.report.pending) == (0, 0)
    assert len(synchronous.writes()) == written
    assert auditing(deep=True).report.looked_at == 2
    assert synchronous.ledger.overview.counts(0.0).dirty == 0


@pytest.mark.parametrize(("change", "study", "kind"), DIFFERENCES, ids=lambda one: getattr(one, "__name__", None))
def test_each_difference_is_found_and_repaired(
    synchronous: World, auditing: Auditing, change: Callable[[World], None], study: str, kind: DifferenceKind
) -> None:
    """docs/cases.md, Convergence: edited, deleted, missing is found by `audit` and repaired; read-only until then."""
    change(synchronous)
    written = len(synchronous.writes())
    audit = auditing()
    assert found(audit) == {(study, kind.value)}
    assert found(auditing(deep=True)) == {(study, kind.value)}
    assert len(synchronous.writes()) == written
    assert synchronous.ledger.marks.find(study) is None
    repaired(synchronous, audit)
    assert (found(audit), audit.report.repaired) == (set(), 1)
    assert len(synchronous.writes()) == written + 1
    assert found(auditing(deep=True)) == set()


def test_what_was_changed_is_named(synchronous: World, auditing: Auditing) -> None:
    """README.md, `audit`, RULES S1: elements by name, no value."""
    drifted(synchronous)
    (one,) = auditing().staging.differences()
    assert (one.elements, one.resource_id) == (("description",), STUDY)
    assert "somebody else's words" not in repr(one)


def test_a_duplicate_is_reported_and_not_touched(synchronous: World, auditing: Auditing) -> None:
    """docs/cases.md, Convergence: a duplicated resource is found; RULES D2: it is not ours to take back."""
    duplicate(synchronous)
    audit = auditing()
    assert [(one.study_uid, one.kind, one.resource_id) for one in audit.staging.differences()] == [
        (STUDY, DifferenceKind.DUPLICATE, COPY)
    ]
    written = len(synchronous.writes())
    repaired(synchronous, audit)
    assert found(audit) == {(STUDY, "duplicate")}
    assert len(synchronous.writes()) == written
    synchronous.remove(f"ImagingStudy/{COPY}")
    assert found(auditing()) == set()


def test_what_others_add_is_no_difference(synchronous: World, auditing: Auditing) -> None:
    """RULES C3: foreign elements survive, so they do not differ."""
    synchronous.put({**synchronous.study(), "note": [{"text": "seen"}]})
    assert found(auditing(deep=True)) == set()


def test_work_under_way_is_no_difference(synchronous: World, auditing: Auditing) -> None:
    """README.md, `audit`: studies dirty for less than 2 minutes are pending."""
    stale(synchronous)
    synchronous.mark(STUDY)
    audit = auditing()
    assert (found(audit), audit.report.pending) == (set(), 1)
    synchronous.clock.advance(121.0)
    late = auditing()
    assert (found(late), late.report.pending) == ({(STUDY, "stale")}, 0)


def test_a_study_that_arrives_is_no_difference(synchronous: World, auditing: Auditing) -> None:
    """RULES A5, A6: `registered` is all that is said until it is stable."""
    synchronous.store(THIRD, PatientID="P3")
    synchronous.poll()
    assert synchronous.turn(THIRD).decision is Decision.CREATE
    synchronous.clock.advance(10.0)
    assert found(auditing()) == set()
    synchronous.settle()
    synchronous.clock.advance(121.0)
    assert found(auditing()) == {(THIRD, "stale")}


def test_a_parked_study_is_told_as_such(synchronous: World, auditing: Auditing) -> None:
    """README.md, `audit`: parked, with its reason, and not missing besides; a repair leaves it."""
    synchronous.store("not-a-uid", PatientID="P3")
    synchronous.settle()
    synchronous.poll()
    synchronous.turn("not-a-uid")
    audit = auditing()
    (one,) = audit.staging.differences()
    assert (one.kind, one.detail.partition(":")[0]) == (DifferenceKind.PARKED, "uid-not-oid")
    assert found(repaired(synchronous, audit)) == {("not-a-uid", "parked")}


def test_what_is_refused_in_a_repair_is_left_as_parked(synchronous: World, auditing: Auditing) -> None:
    """README.md, `audit --repair`: then tells what is left."""
    drifted(synchronous)
    audit = auditing()
    synchronous.fhir.rules.append(lambda request: refused(422) if puts()(request) else None)
    assert found(repaired(synchronous, audit)) == {(STUDY, "parked")}
    assert audit.report.repaired == 0


def test_a_study_withdrawn_by_its_notes_is_no_difference(synchronous: World, auditing: Auditing) -> None:
    """RULES B7: withdrawn although the archive holds it, because we said so; not so by somebody else's hand."""
    synchronous.put({**synchronous.study(), "status": "cancelled"})
    audit = auditing()
    assert found(audit) == {(STUDY, "drifted")}
    (one,) = audit.staging.differences()
    assert "withdrawn-by-other" in one.detail


def test_the_server_that_lost_everything(synchronous: World, auditing: Auditing) -> None:
    """RULES E3: told from the sentinel; the studies are missing without a look at each, and the repair restores."""
    synchronous.fhir.wipe()
    audit = auditing()
    assert audit.report.reset
    assert (found(audit), audit.report.looked_at) == ({(STUDY, "missing"), (OTHER, "missing")}, 0)
    synchronous.connect()
    fresh = auditing()
    assert not fresh.report.reset
    assert found(repaired(synchronous, fresh)) == set()
    assert {one["id"] for one in synchronous.fhir.resources("ImagingStudy")} == {STUDY, OTHER}


def test_one_archive_of_several(synchronous: World, auditing: Auditing, tmp_path: Path) -> None:
    """README.md, `--archive`; RULES C8: copies in two archives are counted together, and only a look can tell."""
    world = synchronous.with_second()
    world.store(THIRD, PatientID="P3", at=SECOND)
    world.store(STUDY, series=2, at=SECOND)
    world.settle()
    world.poll_all()
    world.work()
    world.clock.advance(121.0)
    assert found(auditing()) == set()
    world.store(THIRD, PatientID="P3", instance=2, at=SECOND)
    world.settle()
    assert found(auditing(archive=MAIN)) == set()
    only = auditing(archive=SECOND)
    assert (found(only), only.report.archived) == ({(THIRD, "stale")}, {SECOND: 2})


def test_counts_that_do_not_fit_are_found_by_the_deep_audit(
    synchronous: World, auditing: Auditing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MAPPING G: what is said and what is left out is all that the archive counts."""
    archive = synchronous.archives[MAIN]
    honest = archive.instance_counts
    monkeypatch.setattr(
        archive, "instance_counts", lambda studies: {one: number + 1 for one, number in honest(studies).items()}
    )
    (one, *_) = auditing(deep=True).staging.differences()
    assert (one.kind, one.detail) == (DifferenceKind.STALE, "the archive counts 2 instances and gives 1")


def test_a_repair_beside_a_daemon_only_marks(
    synchronous: World, auditing: Auditing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """README.md: beside a live daemon only marks are written, FHIR to be read, before the backfill."""
    drifted(synchronous)
    written = len(synchronous.writes())
    with Ledger.open_guest(synchronous.ledger_url, clock=synchronous.clock) as guest:
        context = context_for(synchronous.site, guest, beside=True)
        with Staging() as staging:
            audit = Audit(context=context, staging=staging, report=Report())
            audit.run()
            watched: list[DirtyRow | None] = []

            def await_daemon(*_: object, **__: object) -> None:
                watched.append(synchronous.ledger.marks.find(STUDY))
                assert len(synchronous.writes()) == written
                synchronous.work()

            monkeypatch.setattr("syncd.loop.commands.repair.await_daemon", await_daemon)
            repair(synchronous.site, audit, beside=True)
            (row,) = watched
            assert row is not None and (row.read_fhir, row.priority, row.reason) == (True, 1, "verify")
            assert found(audit) == set()


def test_the_other_archive_is_not_repaired(synchronous: World, auditing: Auditing) -> None:
    """RULES A4: nothing is judged by an archive that is paused."""
    extra(synchronous)
    audit = auditing()
    synchronous.ledger.feed.set_state(MAIN, ArchiveState.PAUSED, "another one")
    with pytest.raises(Exception, match="syncd archive accept"):
        repair(synchronous.site, audit, beside=True)
    assert synchronous.ledger.marks.find(STUDY) is None


def _case(*, copies: int = 1, stable: bool = True, record: StudyRecord | None = None, **shown: object) -> Case:
    archived = [
        ArchivedStudy(
            archive=MAIN, orthanc_id=OrthancId(str(number)), study_uid=STUDY, is_stable=stable, series=2, instances=10
        )
        for number in range(copies)
    ]
    facts = {"owner": "syncd", "version": "1", "status": "available", "series": 2, "instances": 10, **shown}
    one = ShownStudy(resource_id=STUDY, study_uid=STUDY, **facts)  # type: ignore[arg-type]
    return Case(
        archived=tuple(archived),
        shown=(one,) if facts["status"] else (),
        standing=Standing(study_uid=STUDY, record=record),
        own_id=STUDY,
        installation_id="syncd",
    )


def _record(**facts: object) -> StudyRecord:
    said = {"version": "1", "status": "available", "retracted": "", **facts}
    return StudyRecord(
        study_uid=STUDY,
        resource_id=STUDY,
        last_updated="",
        digest="",
        fingerprint="",
        raw={},
        **said,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("case", "kind"),
    [
        (_case(record=_record()), None),
        (_case(), DifferenceKind.DRIFTED),
        (_case(record=_record(), version="2"), DifferenceKind.DRIFTED),
        (_case(record=_record(), status=""), DifferenceKind.MISSING),
        (_case(record=_record(), instances=9), DifferenceKind.STALE),
        (_case(record=_record(), series=3), DifferenceKind.STALE),
        (_case(record=_record(), instances=None), DifferenceKind.STALE),
        (_case(record=_record(), copies=2, series=3, instances=15), None),
        (_case(record=_record(), copies=2, instances=21), DifferenceKind.STALE),
        (_case(record=_record(status="registered"), status="registered"), DifferenceKind.STALE),
        (_case(record=_record(status="registered"), status="registered", stable=False), None),
        (_case(record=_record(status="cancelled", retracted="withdrawn"), status="cancelled"), None),
        (_case(record=_record(), status="cancelled"), DifferenceKind.DRIFTED),
        (_case(record=_record(), copies=0), DifferenceKind.EXTRA),
        (_case(copies=0), DifferenceKind.EXTRA),
        (_case(record=_record(retracted=Tombstone.KEPT.value), copies=0), None),
        (_case(record=_record(status="cancelled", retracted="withdrawn"), copies=0, status="cancelled"), None),
        (_case(record=_record(), copies=0, status=""), None),
    ],
)
def test_what_two_listings_suggest(case: Case, kind: DifferenceKind | None) -> None:
    """README.md, `audit`: counts, status and version, straight from both servers."""
    assert suspicion(case) is kind
