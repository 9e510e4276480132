"""Where an audit lays both inventories side by side: by pages, in the order of UIDs, and gone afterwards (RULES E8)."""

from __future__ import annotations

import sqlite3

import pytest

from syncd.ledger.inventories.audit_staging import Staging
from syncd.model.audit import ArchivedStudy, Difference, DifferenceKind, ShownStudy
from syncd.model.ids import ArchiveName, OrthancId

MAIN = ArchiveName("main")
MANY = 1234


def uid(number: int) -> str:
    return f"1.2.{number:05}"


def archived(number: int, *, copy: str = "a") -> ArchivedStudy:
    return ArchivedStudy(
        archive=MAIN, orthanc_id=OrthancId(f"{copy}{number}"), study_uid=uid(number), is_stable=True, series=1, instances=2
    )


def shown(number: int, *, resource_id: str = "", version: str = "1") -> ShownStudy:
    return ShownStudy(
        resource_id=resource_id or uid(number), study_uid=uid(number), owner="syncd", version=version, status="available"
    )


def test_both_lists_come_together_by_uid_in_pages() -> None:
    """RULES E8: what came in two orders, and partly twice, is walked in one, a page at a time."""
    with Staging() as staging:
        staging.keep_archived([archived(number) for number in reversed(range(MANY))])
        staging.keep_archived([archived(7), archived(7, copy="b")])  # a listing may name one twice (RULES A8)
        staging.keep_shown([shown(number) for number in range(0, MANY + 10, 2)])
        staging.keep_shown([shown(2, version="2"), shown(4, resource_id="another")])
        staging.know([uid(3), "only-parked"])
        walked, after = [], ""
        while page := staging.studies(after, limit=100):
            walked += page
            after = page[-1]
        expected = {uid(number) for number in range(MANY)} | {uid(number) for number in range(0, MANY + 10, 2)}
        assert walked == sorted(expected | {"only-parked"})
        assert staging.number_of_studies() == len(walked)
        asked = [uid(1), uid(2), uid(4), uid(7)]
        assert {one: len(copies) for one, copies in staging.find_archived(asked).items()} == dict(
            zip(asked, (1, 1, 1, 2), strict=True)
        )
        seen = staging.find_shown(asked)
        assert [one.version for one in seen[uid(2)]] == ["2"], "the newest word about a resource counts"
        assert {one.resource_id for one in seen[uid(4)]} == {uid(4), "another"}
        assert staging.find_archived([uid(7)])[uid(7)][0] == archived(7)


def test_differences_are_walked_while_they_are_put_right() -> None:
    """README.md, `audit --repair`: nothing is left out although the list changes under the walk."""
    with Staging() as staging:
        found = [
            Difference(study_uid=uid(number), kind=DifferenceKind.STALE, detail="why", elements=("series",))
            for number in range(MANY)
        ]
        staging.keep(found)
        staging.keep([Difference(study_uid=uid(1), kind=DifferenceKind.DUPLICATE, resource_id=one) for one in ("b", "a")])
        assert staging.counts() == {DifferenceKind.STALE: MANY, DifferenceKind.DUPLICATE: 2}
        walked = []
        for one in staging.differences(DifferenceKind.STALE):
            walked.append(one)
            staging.forget(one)
        assert walked == found
        assert [one.resource_id for one in staging.differences()] == ["a", "b"]


def test_nothing_is_left_behind() -> None:
    """RULES S1: no file of it has a name, and after the end nothing can be read."""
    staging = Staging()
    staging.keep_archived([archived(1)])
    staging.close()
    with pytest.raises(sqlite3.ProgrammingError):
        staging.number_of_studies()
