"""Does the archive serve other studies than the one that fails? (RULES C6)

What one study meets while its neighbours are served is that study's trouble and not the archive's. The difficulty is an
archive whose index answers everything while its files lie on a disk that is away: `/system` says that all is well. So a
neighbour counts as served only when one of its files was read; which one is left to chance, for what was read lately may
come from a cache.
"""

from __future__ import annotations

import random
from collections.abc import Collection

from syncd.archive.chosen import representative
from syncd.archive.routes import Routes
from syncd.errors import StudyGone, TornRead, Transient
from syncd.model.ids import OrthancId

NEIGHBOURS = 3
"""Other studies that are tried before the archive is blamed: one of them may be as broken."""

_FURTHEST = 10_000
"""The listing is entered at a place below: the further behind, the longer an index needs to get there."""


def serves_others(routes: Routes, *, but: Collection[OrthancId], counts: bool) -> bool | None:
    """Whether another study's instances and a file of it can be read; None if the archive holds no other."""
    try:
        total = min(routes.total_studies(), _FURTHEST)
        begin = random.randrange(total) if total else 0  # noqa: S311 - a sample, no secret
        places = [(begin + step) % total for step in range(min(total, NEIGHBOURS + len(but)))]
        others = [one for place in places if (one := routes.some_study(place)) is not None and one not in but]
    except Transient:
        return False
    answered = [_is_served(routes, one, counts=counts) for one in dict.fromkeys(others[:NEIGHBOURS])]
    known = [each for each in answered if each is not None]
    return any(known) if known else None


def _is_served(routes: Routes, study: OrthancId, *, counts: bool) -> bool | None:
    """None if it vanished meanwhile."""
    try:
        found = routes.find_instances(study, since=0) if counts else routes.bulk_instances(study)
        if not found:
            return None
        routes.tags(representative(found).orthanc_id)
    except (StudyGone, TornRead):
        return None
    except Transient:
        return False
    return True
