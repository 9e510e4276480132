"""Does the archive serve other studies than the one that fails? (RULES C6)

What one study meets while its neighbours are served is that study's trouble and not the archive's. An archive's index
may answer everything while its files lie on a disk that is away: `/system` says that all is well. So a neighbour counts
as served only when one of its files was read; which one is left to chance, for what was read lately may come from a
cache.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator

from syncd.archive.reading.chosen import representative
from syncd.archive.rest.routes import Routes
from syncd.errors import StudyGone, TornRead, Transient
from syncd.http.failures import ReplyTooLate
from syncd.model.ids import OrthancId

NEIGHBOURS = 10
"""Other studies that are tried before the archive is blamed: some of them may be as broken. The first that can be read ends
the question."""

MOST_LATE = 2
"""Of those, so many may be waited for in vain."""

_FURTHEST = 10_000
"""The listing is entered at a place below: the further behind, the longer an index needs to get there."""


def serves_others(routes: Routes, *, but: Collection[OrthancId], counts: bool) -> bool | None:
    """Whether another study's instances and a file of it can be read; None if the archive holds no other."""
    answer: bool | None = None
    late = 0
    try:
        for study in _some_studies(routes, but=but):
            try:
                if _is_served(routes, study, counts=counts):
                    return True
            except ReplyTooLate:
                late += 1
            except (StudyGone, TornRead):
                continue
            except Transient:
                pass
            answer = False
            if late >= MOST_LATE:
                break
    except Transient:
        return False
    return answer


def _some_studies(routes: Routes, *, but: Collection[OrthancId]) -> Iterator[OrthancId]:
    """A few studies from places all over the listing."""
    total = min(routes.total_studies(), _FURTHEST)
    tried = min(total, NEIGHBOURS + len(but))
    begin = random.randrange(total) if total else 0  # noqa: S311 - a sample, no secret
    for step in range(tried):
        study = routes.some_study((begin + step * total // tried) % total)
        if study is not None and study not in but:
            yield study


def _is_served(routes: Routes, study: OrthancId, *, counts: bool) -> bool:
    found = routes.find_instances(study, since=0) if counts else routes.bulk_instances(study)
    if not found:
        raise TornRead
    routes.tags(representative(found).orthanc_id)
    return True
