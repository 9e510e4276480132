"""Notes and images in every order, with syncd awake, asleep and restarted in between (MAPPING D.2-2, RULES B7)."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.loop.rejecting import (
    EXPIRED,
    NOTES,
    QUALITY,
    SAFETY,
    WORKLIST,
    images,
    listed,
    note,
    restart,
    rounds,
    says,
    settled,
    uid,
)
from tests.loop.rejecting import sent as sent_by
from tests.loop.world import OTHER, STUDY, World

pytestmark = pytest.mark.machine

IMAGES = (1, 2, 3)
PAUSES = ("none", "round", "settled", "restart")


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A note that names images of the study; it lies there or in another study."""

    number: int
    title: str
    names: frozenset[int]
    study: str

    @property
    def uid(self) -> str:
        return uid(self.number, self.study, series=NOTES)


@dataclass(slots=True)
class Watched:
    """Writes from which on an instance must not be shown any more, because its note was known before."""

    hidden_from: dict[str, int] = field(default_factory=dict)
    waiting: list[Note] = field(default_factory=list)

    def know(self, one: Note, *, writes: int) -> None:
        for number in one.names:
            self.hidden_from.setdefault(uid(number), writes)


def notes_of(drawn: list[tuple[str, frozenset[int], str]]) -> list[Note]:
    return [
        Note(number=number, title=title, names=names, study=study)
        for number, (title, names, study) in enumerate(drawn, start=1)
    ]


NOTE = st.tuples(
    st.sampled_from([QUALITY, SAFETY, WORKLIST, EXPIRED]),
    st.frozensets(st.sampled_from(IMAGES), min_size=1),
    st.sampled_from([STUDY, OTHER]),
)
STORED = st.lists(NOTE, max_size=2).map(notes_of).flatmap(lambda notes: st.permutations([*IMAGES, *notes]))


@settings(max_examples=60, deadline=None)
@given(STORED, st.lists(st.sampled_from(PAUSES), min_size=5, max_size=5))
def test_every_order_ends_the_same_and_never_shows_what_was_rejected_before(
    tmp_path_factory: pytest.TempPathFactory, stored: list[int | Note], pauses: list[str]
) -> None:
    """Case I.6 41, MAPPING D.2: the end follows from what is stored, not from when; and nothing flashes up meanwhile."""
    world = World(tmp_path_factory.mktemp("order"))
    watched = Watched()
    try:
        world.connect()
        for one, pause in zip(stored, pauses, strict=False):
            _store(world, one, watched)
            _pause(world, pause, watched)
        for _ in range(2):
            _pause(world, "settled", watched)
        _check_writes(world, watched)
        _check_end(world, [one for one in stored if isinstance(one, Note)])
    finally:
        world.ledger.close()
        world.archive.close()


def _store(world: World, one: int | Note, watched: Watched) -> None:
    if isinstance(one, int):
        images(world, one)
        return
    note(world, one.title, {STUDY: [uid(number) for number in one.names]}, study=one.study, number=one.number)
    if one.study == STUDY:
        watched.know(one, writes=len(sent_by(world)))
    else:
        watched.waiting.append(one)  # heard of when its own study is first looked at


def _pause(world: World, pause: str, watched: Watched) -> None:
    if pause == "none":
        return
    if pause == "restart":
        restart(world)
    (settled if pause == "settled" else rounds)(world)
    if pause == "settled":
        for one in watched.waiting:
            watched.know(one, writes=len(sent_by(world)))
        watched.waiting.clear()


def _check_writes(world: World, watched: Watched) -> None:
    for number, resource in enumerate(sent_by(world)):
        hidden = {one for one, start in watched.hidden_from.items() if number >= start}
        assert not hidden & listed(resource), f"write {number} shows what was rejected before it"


def _check_end(world: World, notes: list[Note]) -> None:
    titles = {number: {one.title for one in notes if number in one.names} for number in IMAGES}
    accepted = {uid(number) for number, said in titles.items() if not said}
    own = {one.uid for one in notes if one.study == STUDY and one.title != EXPIRED}
    if accepted:
        assert listed(world.study()) == accepted | own
        assert says(world) == ("available", len(accepted | own))
    elif sent_by(world):
        in_error = all(said & {SAFETY, WORKLIST} for said in titles.values())
        assert says(world) == ("entered-in-error" if in_error else "cancelled", 0)
    else:
        assert says(world) == ("", 0)
    assert world.ledger.marks.find(STUDY) is None
    assert not world.ledger.records.page_parked()
