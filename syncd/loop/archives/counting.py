"""How many instances each study has, where nothing else tells that one was deleted (RULES A8).

A count per study would cost an archive more than all else, so it is asked in bulk: by a sweep what was never counted, a
share that comes round once a day, and everything when the archive's total does not fit; by a resync all that it is asked
for, where LastUpdate does not move.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from syncd.loop.archives.listing import Asked, only_counting_tells
from syncd.loop.archives.staged import NAMED_AT_ONCE, StagedSweep, in_parts
from syncd.model.ids import OrthancId
from syncd.model.inventories import Difference

ALL_COUNTED = 86400.0
"""Seconds within which each study is counted once (RULES A8)."""

MOST_UNCOUNTED = 10_000
"""More listed copies that nobody counted yet: a backlog is being read, and the total says nothing."""


def count_share(sweep: StagedSweep, *, every: float) -> None:
    """What was never counted, the share that is due `every` so many seconds, and everything when the total does not fit."""
    _, uncounted = sweep.ledger.sweep.known_instances(sweep.name)
    share = math.ceil(sweep.listed * min(1.0, every / ALL_COUNTED))
    _count_by_name(sweep, most=max(share, min(uncounted, MOST_UNCOUNTED)))
    _count_if_total_differs(sweep)


def count_asked(sweep: StagedSweep, asked: Asked) -> None:
    """What only counting tells, for a resync: of all that is chosen, or of all when the total does not fit."""
    if asked.full:
        return
    if not only_counting_tells(sweep.archive):
        _count_if_total_differs(sweep)
        return
    for window in sweep.ledger.sweep.windows(sweep.name):
        staged = sweep.ledger.sweep.find_staged(sweep.name, window)
        uids = {one.orthanc_id: one.study_uid for one in staged if asked.chosen(one)}
        for part in in_parts(list(uids)):
            _keep_counts(sweep, part, sweep.archive.instance_counts({one: uids[one] for one in part}))


def _count_if_total_differs(sweep: StagedSweep) -> None:
    known, uncounted = sweep.ledger.sweep.known_instances(sweep.name)
    if uncounted or sweep.archive.total_instances() == known:
        return
    since = 0
    while since < sweep.listed and (page := sweep.archive.counts_page(since)):
        since += len(page)
        _keep_counts(sweep, [study for study, _ in page], dict(page))
    if not since:
        _count_by_name(sweep, most=sweep.listed)


def _count_by_name(sweep: StagedSweep, *, most: int) -> None:
    """Up to `most` that were not counted in this sweep, longest ago first."""
    while most > 0:
        asked = sweep.ledger.sweep.to_count(sweep.name, counted_before=sweep.began, most=min(most, NAMED_AT_ONCE))
        if not asked:
            return
        most -= len(asked)
        _keep_counts(sweep, list(asked), sweep.archive.instance_counts(asked))


def _keep_counts(sweep: StagedSweep, asked: Sequence[OrthancId], counts: dict[OrthancId, int]) -> None:
    moved = sweep.ledger.sweep.keep_counts(sweep.name, asked, counts, strict=sweep.asked is not None)
    sweep.found[Difference.COUNT.value] += moved
    sweep.unchanged -= moved if sweep.asked is not None else 0
    sweep.progress(sweep.listed)
