"""The dispatcher, with a kind and receivers that only the tests know: another kind needs no other mechanism (RULES B8)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from syncd.errors import LedgerUnavailable, Transient, Unreachable
from syncd.ledger.ledger import Ledger
from syncd.loop.breaker import LONGEST_PAUSE
from syncd.loop.connect import connect
from syncd.loop.delivery import Refused
from syncd.loop.outbox.breaker import Breaker
from syncd.loop.outbox.couriers import Couriers
from syncd.loop.outbox.dispatcher import ATTEMPTS, Dispatcher
from syncd.model.correlation import correlation_id
from syncd.model.outbox import FHIR, EntryState, OutboxEntry, Queue
from tests.loop.outbox.postcards import POSTCARD, Postcards, Receiver, register
from tests.loop.world import OTHER, STUDY, World

RIS, DESK = "ris", "desk"


@pytest.fixture
def ris() -> Receiver:
    return Receiver()


@pytest.fixture
def desk() -> Receiver:
    return Receiver()


@pytest.fixture
def world(world: World, monkeypatch: pytest.MonkeyPatch, ris: Receiver, desk: Receiver) -> World:
    """Every write owes a postcard to RIS and one to DESK."""
    register(monkeypatch, {RIS: ris, DESK: desk})
    return world


def dispatcher(world: World) -> Dispatcher:
    return Dispatcher(world.context, monotonic=world.clock)


def change(world: World, instance: int, study: str = STUDY) -> None:
    """One more image, published; what that owes is committed with it, and not sent yet."""
    world.store(study, instance=instance)
    world.settle()
    world.mark(study)
    world.turn(study)


def three_changes(world: World) -> list[str]:
    """A study that was written three times; the keys of its postcards in the order of the writes."""
    world.published()
    for instance in (2, 3):
        change(world, instance)
    return [f"{STUDY}|{version}" for version in (1, 2, 3)]


def down(entry: OutboxEntry) -> None:
    raise Unreachable(server="ris")


def grumbling(entry: OutboxEntry) -> None:
    raise Transient("503")


def send_all(world: World, among: Dispatcher, *sinks: str) -> None:
    """Time passes until nothing more is sent."""
    for _ in range(20):
        world.clock.advance(LONGEST_PAUSE + 1)
        for sink in sinks:
            among.deliver_due(sink)


def waiting(world: World, sink: str = RIS, study: str = STUDY) -> list[OutboxEntry]:
    return [entry for entry in world.ledger.outbox.of_study(study) if entry.sink == sink]


def test_entries_are_sent_in_the_order_of_the_writes(world: World, ris: Receiver, desk: Receiver) -> None:
    """RULES B8: of each study, kind and sink; with the words of their write."""
    wanted = three_changes(world)
    assert dispatcher(world).deliver_due(RIS) == 3
    assert (ris.keys, desk.keys) == (wanted, [])
    assert [entry.payload["word"] for entry in ris.taken] == ["new", "changed", "changed"]
    assert not waiting(world) and len(waiting(world, DESK)) == 3


def test_nothing_overtakes_what_failed(world: World, ris: Receiver) -> None:
    """RULES B8: the later ones wait, other studies do not."""
    wanted = three_changes(world)
    ris.answer = lambda entry: grumbling(entry) if entry.key == wanted[0] else None
    sending = dispatcher(world)
    assert sending.deliver_due(RIS) == 0
    world.published(OTHER, PatientID="P-9")
    send_all(world, sending, RIS)
    assert ris.keys == [f"{OTHER}|1"]
    assert [entry.key for entry in waiting(world)] == wanted
    ris.answer = lambda entry: None
    world.clock.advance(300.0)
    send_all(world, sending, RIS)
    assert ris.keys[1:] == wanted


def test_a_dead_receiver_holds_up_nobody_else(world: World, ris: Receiver, desk: Receiver) -> None:
    """RULES B8, C6: not the other receiver, not the FHIR server; it is asked by one probe at a time, at longer and longer
    intervals; what nobody was asked for has not failed; all of it arrives at last, in order."""
    ris.answer = down
    wanted = three_changes(world)
    for number in range(30):
        world.published(f"1.2.99.{number}", PatientID=f"P-{number}")
    sending = dispatcher(world)
    for _ in range(60):
        sending.deliver_due(RIS)
        sending.deliver_due(DESK)
        world.clock.advance(1.0)
    assert (len(desk.keys), len(world.fhir.resources("ImagingStudy"))) == (33, 31)
    assert len(ris.asked) <= 12, "a probe now and then, not each of 33 entries"
    assert {entry.attempts for entry in waiting(world)} == {0}
    ris.answer = lambda entry: None
    send_all(world, sending, RIS)
    assert len(ris.keys) == 33
    assert [key for key in ris.keys if key.startswith(f"{STUDY}|")] == wanted


def test_a_refusal_costs_the_entry(world: World, ris: Receiver, desk: Receiver) -> None:
    """RULES B8: it is told in the history and counted; what comes after it is sent."""
    wanted = three_changes(world)

    def picky(entry: OutboxEntry) -> None:
        if entry.key == wanted[1]:
            raise Refused("400")

    ris.answer = picky
    assert dispatcher(world).deliver_due(RIS) == 3
    assert ris.keys == [wanted[0], wanted[2]]
    (line,) = (one for one in world.ledger.overview.history(STUDY) if one.decision == POSTCARD)
    assert line.reason == "400"
    (kept,) = world.ledger.outbox.of_study(STUDY, state=EntryState.GIVEN_UP)
    assert (kept.key, kept.sink) == (wanted[1], RIS)
    assert world.ledger.records.find_parked(STUDY) is None
    assert world.ledger.overview.counts(world.clock()).outbox == (
        Queue(kind=POSTCARD, sink=DESK, waiting=3),
        Queue(kind=POSTCARD, sink=RIS, given_up=1),
    )


def reopen(world: World) -> None:
    """The process is dead, the next one begins."""
    world.ledger.close()
    world.ledger = Ledger.open(world.ledger_url, clock=world.clock)
    world._context = None


def test_killed_between_commit_and_send_it_is_sent_by_the_next(world: World, ris: Receiver) -> None:
    """RULES B8: it is owed from the transaction of the record on."""
    wanted = three_changes(world)
    reopen(world)
    dispatcher(world).deliver_due(RIS)
    assert ris.keys == wanted


def test_killed_between_send_and_settle_it_is_sent_again(
    world: World, ris: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RULES B8: at least once; the receiver knows it by its key, and nothing is out of order."""
    wanted = three_changes(world)

    def killed(entry: OutboxEntry) -> None:
        raise LedgerUnavailable

    monkeypatch.setattr(world.ledger.outbox, "settle", killed)
    with pytest.raises(LedgerUnavailable):
        dispatcher(world).deliver_due(RIS)
    monkeypatch.undo()
    register(monkeypatch, {RIS: ris})
    reopen(world)
    dispatcher(world).deliver_due(RIS)
    assert ris.keys == [wanted[0], *wanted]
    assert ris.taken[0] == replace(ris.taken[1], due=ris.taken[0].due)


@pytest.mark.parametrize(
    ("answer", "counted"), [(down, 0), (grumbling, 1), (lambda entry: [][entry.seq], 1)], ids=["away", "503", "defect"]
)
def test_what_may_yet_succeed_is_put_off(
    world: World, ris: Receiver, answer: Callable[[OutboxEntry], None], counted: int
) -> None:
    """RULES B8, C6: with growing pauses by chance, of five minutes at most; at last once a day."""
    world.published()
    ris.answer = answer
    dispatcher(world).deliver_due(RIS)
    (entry,) = waiting(world)
    assert (entry.attempts, bool(entry.reason)) == (counted, True)
    assert 1.0 <= entry.due - world.clock() <= 2.0
    world.ledger.outbox.put_off(replace(entry, attempts=10, due=0.0))
    dispatcher(world).deliver_due(RIS)
    assert 1.0 <= waiting(world)[0].due - world.clock() <= 300.0
    world.ledger.outbox.put_off(replace(entry, attempts=ATTEMPTS, due=0.0))
    dispatcher(world).deliver_due(RIS)
    assert waiting(world)[0].due == world.clock() + 86400.0


def test_a_receiver_that_asks_for_a_pause_gets_it(world: World, ris: Receiver) -> None:
    """RULES C6: Retry-After, for the entry and for the receiver."""

    def busy(entry: OutboxEntry) -> None:
        raise Transient("429", retry_after=60.0)

    wanted = three_changes(world)
    world.published(OTHER, PatientID="P-9")
    ris.answer, sending = busy, dispatcher(world)
    sending.deliver_due(RIS)
    ris.answer = lambda entry: None
    world.clock.advance(59.0)
    assert sending.deliver_due(RIS) == 0
    world.clock.advance(2.0)
    assert sending.deliver_due(RIS) == 4
    assert ris.asked == [wanted[0], f"{OTHER}|1", *wanted] or ris.asked[1:] == [*wanted, f"{OTHER}|1"]


def test_what_the_fhir_server_is_owed_goes_at_once_unless_something_waits_before_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RULES B8: by whoever made it, in the order of its lane."""
    fhir = Receiver()
    register(monkeypatch, {FHIR: fhir})
    fhir.answer = grumbling
    world.published()
    sending = dispatcher(world)
    sending.deliver(waiting(world, FHIR))
    assert (fhir.asked, waiting(world, FHIR)[0].attempts) == ([f"{STUDY}|1"], 1)
    fhir.answer = lambda entry: None
    change(world, 2)
    other = dispatcher(world)
    other.deliver(waiting(world, FHIR)[1:])
    assert not fhir.keys, "the first one still waits"
    world.clock.advance(30.0)
    other.deliver_due(FHIR)
    assert fhir.keys == [f"{STUDY}|1", f"{STUDY}|2"]
    change(world, 3)
    other.deliver(waiting(world, FHIR))
    assert fhir.keys[2:] == [f"{STUDY}|3"]


def test_what_its_maker_is_sending_is_not_sent_beside_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES B8: by an idle worker that finds it due meanwhile; nor again afterwards, from an older look at the ledger."""
    fhir = Receiver()
    register(monkeypatch, {FHIR: fhir})
    world.published()
    (entry,) = waiting(world, FHIR)
    world.clock.advance(60.0)
    sending = dispatcher(world)
    looked: list[int] = []
    fhir.answer = lambda entry: looked.append(sending.deliver_due(FHIR))
    sending.deliver([entry])
    assert (fhir.keys, looked) == ([entry.key], [0])
    monkeypatch.setattr(world.ledger.outbox, "due", lambda *_, **__: [entry] if len(looked) == 1 else [])
    looked.append(sending.deliver_due(FHIR))
    assert fhir.keys == [entry.key]


def test_a_maker_that_is_slow_holds_up_no_other_study(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES B8: what is due of others goes meanwhile, though its own has been due for longest."""
    fhir = Receiver()
    register(monkeypatch, {FHIR: fhir})
    world.published()
    (entry,) = waiting(world, FHIR)
    world.clock.advance(1.0)
    world.published(OTHER)
    world.clock.advance(60.0)
    sending = dispatcher(world)
    fhir.answer = lambda sent: None if sent.study_uid == OTHER else sending.deliver_due(FHIR) and None
    sending.deliver([entry])
    assert fhir.keys == [f"{OTHER}|1", f"{STUDY}|1"]


def test_a_slow_receiver_keeps_no_study_waiting(world: World, ris: Receiver, desk: Receiver) -> None:
    """RULES B8: each receiver has a thread of its own; the workers end without it where it takes too long."""
    begun, may_go_on = threading.Event(), threading.Event()

    def slow(entry: OutboxEntry) -> None:
        begun.set()
        assert may_go_on.wait(20.0)

    ris.answer = slow
    world.connect()
    for number in range(3):
        world.store(f"1.2.7.{number}", PatientID=f"P-{number}")
    world.settle()
    world.poll()
    with world.working() as workers:
        running = threading.Thread(target=workers.run)
        running.start()
        assert begun.wait(20.0)
        for _ in range(400):
            if len(desk.keys) == 3 and not world.ledger.marks.page():
                break
            threading.Event().wait(0.05)
        assert (len(world.fhir.resources("ImagingStudy")), len(desk.keys), ris.keys) == (3, 3, [])
        may_go_on.set()
        for _ in range(400):
            if len(ris.keys) == 3:
                break
            threading.Event().wait(0.05)
        workers.stop(grace=10.0)
        running.join(10.0)
    assert len(ris.keys) == 3
    assert (ris.threads, desk.threads) == ({f"outbox-{RIS}"}, {f"outbox-{DESK}"})


def test_a_one_shot_run_sends_what_is_owed(world: World, ris: Receiver, desk: Receiver) -> None:
    """RULES B8: it ends when everything that is due was tried; a dead receiver does not keep it from ending."""
    ris.answer = down
    world.connect()
    world.store()
    world.settle()
    world.poll()
    assert [outcome.decision for outcome in world.work()] == ["Create"]
    assert (desk.keys, ris.asked) == ([f"{STUDY}|1"], [f"{STUDY}|1"])
    assert len(waiting(world)) == 1


def test_a_thread_that_just_takes_note_of_the_news_is_not_idle(world: World) -> None:
    """A one-shot run would end between the two, and leave what is owed to the next one."""
    couriers = Couriers(dispatcher(world))
    news = couriers._dispatcher.news[RIS]
    news.set()

    class Begins(set[str]):
        """The thread begins the moment after somebody has looked."""

        def __len__(self) -> int:
            found = super().__len__()
            if news.is_set():
                self.add(RIS)
                news.clear()
            return found

    couriers._at_work = Begins()
    assert not couriers.is_idle


def test_a_kind_that_nobody_sends_any_more_is_in_nobodys_way(
    world: World, ris: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RULES B8: a receiver that was taken out of the settings; its entries are kept and counted."""
    three_changes(world)
    monkeypatch.undo()
    register(monkeypatch, {RIS: ris})
    sending = dispatcher(world)
    assert (sending.deliver_due(RIS), sending.deliver_due(DESK)) == (3, 0)
    sending.deliver(waiting(world, DESK))
    assert world.ledger.overview.counts(world.clock()).outbox == (Queue(kind=POSTCARD, sink=DESK, waiting=3),)


def test_two_kinds_to_one_receiver_are_two_matters(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES B8: a server may take one kind of resource and not the other."""
    bad, good = Receiver(answer=grumbling), Receiver()
    monkeypatch.setattr(
        "syncd.loop.outbox.kinds.KINDS",
        (lambda context: [Postcards(RIS, bad, kind="letter"), Postcards(RIS, good)],),
    )
    three_changes(world)
    assert dispatcher(world).deliver_due(RIS) == 3
    assert (len(bad.asked), len(good.keys)) == (1, 3)


def test_a_receiver_that_the_site_names_is_owed_and_sent_to(world: World) -> None:
    """RULES B8: from the site to the context, without a kind of its own in the code."""
    named = Receiver()
    site = replace(world.site, sinks=(Postcards("ward", named),))
    world._context = replace(connect(site, world.ledger), clock=world.clock)
    three_changes(world)
    assert dispatcher(world).deliver_due("ward") == len(named.keys) == 3


def test_the_write_s_correlation_id_goes_with_it(world: World, ris: Receiver) -> None:
    """docs/operation.md, Logs: the receiver's log names the reconcile that it is about."""
    heard: list[str] = []
    ris.answer = lambda entry: heard.append(correlation_id.get())
    world.store()
    world.settle()
    world.poll()
    world.work()
    assert len(heard) == 1 and len(heard[0]) == 36
    assert world.ledger.overview.history(STUDY)[0].correlation_id == heard[0]


# The breaker


def test_the_breaker_lets_one_probe_through_at_a_time(world: World) -> None:
    """RULES C6: pauses grow up to half a minute; an answer ends all of it."""
    clock = world.clock
    breaker = Breaker(monotonic=clock)
    assert breaker.ask() and breaker.ask()
    breaker.note_trouble()
    assert not breaker.ask()
    pauses = []
    for _ in range(12):
        began = clock()
        while not breaker.ask():
            clock.advance(0.25)
        pauses.append(clock() - began)
        assert not breaker.ask(), "one probe is under way"
        breaker.note_trouble()
        breaker.note_end()
    assert max(pauses) <= LONGEST_PAUSE + 0.25 and max(pauses[6:]) > max(pauses[:2])
    clock.advance(LONGEST_PAUSE)
    assert breaker.ask()
    breaker.note_answer()
    breaker.note_end()
    assert breaker.is_closed and breaker.ask() and breaker.ask()


def test_a_probe_that_came_to_nothing_is_followed_by_another(world: World) -> None:
    """RULES B8: the ledger was full just then; the receiver must not be forgotten for it."""
    breaker = Breaker(monotonic=world.clock)
    breaker.note_trouble()
    world.clock.advance(1.0)
    assert breaker.ask()
    breaker.note_end()
    assert breaker.ask()
