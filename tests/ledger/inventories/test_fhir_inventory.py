"""The FHIR server's listing against the records (RULES C9, E3, E7, E8)."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Select

from syncd.errors import LedgerRefused
from syncd.ledger.db.schema import listed, parked, records
from syncd.ledger.inventories import fhir_inventory as room
from syncd.ledger.ledger import Ledger
from syncd.model.inventories import ListedResource, Walk
from tests.ledger.inventories.test_archive_inventory import assert_by_index
from tests.ledger.made import NOW, Clock, done, event, mark, only, publish
from tests.ledger.made import parked as set_aside

TIME = "2026-03-01T12:00:00Z"


def resource(uid: str, **changes: Any) -> ListedResource:
    told = {"resource_id": uid, "version": "1", "last_updated": TIME, "status": "available", "owner": "syncd", **changes}
    return ListedResource(study_uid=uid, **told)


def walk(ledger: Ledger, *resources: ListedResource) -> Walk:
    begun = ledger.verification.begin(reason="a test", phase="compared")
    ledger.verification.advance(begun, resources=resources)
    return begun


def drifted(ledger: Ledger, began: float = NOW + 1) -> dict[str, str]:
    return {one.study_uid: one.version for one in ledger.verification.find_drifted("", "9", began=began)}


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ([resource("1.1")], {}),
        ([], {"1.1": ""}),
        ([resource("1.1", version="2")], {"1.1": "2"}),
        ([resource("1.1", last_updated="2026-03-02T00:00:00Z")], {"1.1": "1"}),
        ([resource("1.1", resource_id="other")], {"1.1": ""}),
    ],
    ids=["the same", "missing", "another version", "another time", "under another id"],
)
def test_records_that_drifted(ledger: Ledger, there: list[ListedResource], said: dict[str, str]) -> None:
    """RULES E3: version and time."""
    publish(ledger, "1.1")
    walk(ledger, *there)
    assert drifted(ledger) == said


def test_what_was_published_since_is_not_compared(ledger: Ledger) -> None:
    """RULES C9: the listing is older than the write."""
    publish(ledger, "1.1")
    walk(ledger)
    assert drifted(ledger, began=NOW) == {}


def test_strangers_are_no_records_resources(ledger: Ledger) -> None:
    """RULES E7: by id; whether the study is published tells a duplicate."""
    publish(ledger, "1.1")
    walk(ledger, resource("1.1"), resource("1.1", resource_id="copy"), resource("1.2"))
    found = {one.resource.resource_id: one.published for one in ledger.verification.strangers("", "z")}
    assert found == {"copy": True, "1.2": False}


def test_what_stood_in_the_way_and_does_no_more(ledger: Ledger) -> None:
    """RULES E2."""
    for uid, reason in (("1.1", "foreign-imagingstudy"), ("1.2", "owned-elsewhere"), ("1.3", "refused")):
        mark(ledger, event(uid))
        ledger.outcomes.commit(done(only(ledger), parked=set_aside(uid, reason)))
    walk(ledger, resource("1.2", resource_id="theirs", owner="another"))
    assert ledger.verification.find_unhindered("", most=9) == ["1.1"]


def test_a_walk_is_where_its_last_slice_left_it(ledger: Ledger, url: str, clock: Clock) -> None:
    """RULES E8: what was listed and how far it is move together."""
    begun = walk(ledger, resource("1.1"))
    ledger.close()
    with Ledger.open(url, clock=clock) as again:
        assert again.verification.walk() == begun
        assert again.verification.window_of(room.LISTED, "") == "1.1"
        again.verification.finish(begun)
        assert again.verification.walk() is None
        assert again.verification.window_of(room.LISTED, "") is None


def test_a_wish_during_a_walk_is_another_one(ledger: Ledger) -> None:
    """RULES C6: a walk under way may have passed what is missing now; two wishes are one."""
    ledger.verification.want("first")
    ledger.verification.want("second")
    assert ledger.verification.why_wanted() == "first"
    begun = walk(ledger)
    assert ledger.verification.why_wanted() == ""
    ledger.verification.want("third")
    ledger.verification.finish(begun)
    assert ledger.verification.why_wanted() == "third"


def test_a_guest_may_wish_and_not_walk(ledger: Ledger, url: str) -> None:
    """RULES E4: a second process only asks."""
    guest = Ledger.open_guest(url)
    guest.verification.want("an operator")
    assert ledger.verification.why_wanted() == "an operator"
    with pytest.raises(LedgerRefused):
        guest.verification.begin(reason="", phase="")
    guest.close()


PLANS: list[tuple[str, Select[Any]]] = [
    ("drifted", room.select_drifted().where(records.c.study_uid > "a", records.c.study_uid <= "b")),
    ("strangers", room.strangers().where(listed.c.resource_id > "a", listed.c.resource_id <= "b")),
    ("unhindered", room.select_unhindered().where(parked.c.study_uid > "a").order_by(parked.c.study_uid).limit(9)),
]


@pytest.mark.parametrize(("name", "wanted"), PLANS, ids=[name for name, _ in PLANS])
def test_no_comparison_reads_a_whole_table_or_sorts(file_ledger: Ledger, name: str, wanted: Select[Any]) -> None:
    """RULES E8."""
    assert_by_index(file_ledger, wanted)


def test_nothing_to_do_is_told_in_one_look(ledger: Ledger, clock: Clock) -> None:
    """RULES E8: asked every second; a wish, a walk, or the time that has come ends it."""
    ask = ledger.verification
    assert not ask.is_quiet(interval=60.0), "nobody knows yet since when"
    ask.since()
    assert ask.is_quiet(interval=60.0)
    clock.now += 60.0
    assert not ask.is_quiet(interval=60.0)
    under_way = ask.begin(reason="it is time", phase="tagged")
    assert not ask.is_quiet(interval=1e9)
    ask.finish(under_way)
    assert ask.is_quiet(interval=60.0)
    ask.want("somebody wishes it")
    assert not ask.is_quiet(interval=60.0)
