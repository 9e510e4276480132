"""What a resync looks at of a staged listing: what is not known, unchanged and settled, or all that is chosen (RULES A8).

Most studies of an archive are as they were, and a person who asks whether both sides agree waits for the answer. So nothing
is read of a study that the listing, the ledger and a count tell to be as it was published: an archive of ten thousand such
studies is some twenty calls. What others change on the FHIR server is not seen so; `audit` looks there.
"""

from __future__ import annotations

from collections.abc import Callable

from syncd.loop.archives.listing import Asked, everything, mark_of
from syncd.loop.archives.staged import StagedSweep, commit, inside_history
from syncd.model.study.raw import StudyListing
from syncd.model.work import MarkKind


def mark_asked(sweep: StagedSweep, asked: Asked) -> None:
    """Mark what is asked for, as far as the listing and the ledger tell."""
    staging, name, kind = sweep.ledger.sweep, sweep.name, MarkKind.RESYNC
    for window in staging.windows(name):
        chosen = _chosen(asked, inside_history(sweep, window))
        if asked.full:
            found = staging.find_staged(name, window)
        else:
            found = staging.find_in_question(name, window, fingerprint=asked.fingerprint)
        picked = [one for one in found if chosen(one)]
        if not asked.full:
            sweep.unchanged += _number_chosen(sweep, window, chosen) - len(picked)
        sweep.found[kind.value] += len(picked)
        commit(sweep, [mark_of(one, archive=name, kind=kind) for one in picked], picked)


Choose = Callable[[StudyListing], bool]


def _chosen(asked: Asked, inside: Choose) -> Choose:
    if inside is everything:
        return asked.chosen
    return lambda one: inside(one) and asked.chosen(one)


def _number_chosen(sweep: StagedSweep, window: tuple[str, str], chosen: Choose) -> int:
    if chosen is everything:
        return sweep.ledger.sweep.number_of(sweep.name, window)
    return sum(map(chosen, sweep.ledger.sweep.find_staged(sweep.name, window)))
