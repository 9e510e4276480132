"""Is this still the archive that was published from? Its identity is its content (RULES A4).

A server identifier survives a wipe and changes with a port; sequence numbers start anew after a re-index. What tells
archives apart is whether the studies that we published are still there. Where they are not, the archive is paused,
publishing included: a test archive must not land in production FHIR.
"""

from __future__ import annotations

import structlog

from syncd.archive.interface import Archive
from syncd.ledger.ledger import Ledger
from syncd.model.ids import ArchiveName
from syncd.model.words import ArchiveState

log = structlog.get_logger(__name__)

SAMPLE = 20
"""Published studies asked for, spread over the ledger."""

FEWEST = 10
"""With fewer published studies the sample proves nothing."""

EXCHANGED = (
    "half or more of the studies published from this archive are not in it any more: is another archive behind its address? "
    "Nothing is read or published until they are back, or `syncd archive accept` says that this is right"
)


def is_same(archive: Archive, ledger: Ledger, *, name: ArchiveName) -> bool:
    """Ask the sample, and pause the archive or let it go on accordingly. Two calls at most."""
    position = ledger.feed.standing(name)
    paused = position is not None and position.state is ArchiveState.PAUSED
    if _sample_is_gone(archive, ledger, name=name):
        if not paused:
            ledger.feed.set_state(name, ArchiveState.PAUSED, EXCHANGED)
            log.error("archive_exchanged", archive=name)
        return False
    if paused:
        ledger.feed.set_state(name, ArchiveState.OK, "")
        ledger.feed.want_sweep(name)
        log.info("archive_recognised", archive=name)
    return True


def _sample_is_gone(archive: Archive, ledger: Ledger, *, name: ArchiveName) -> bool:
    sample = ledger.records.sample_copies(name, SAMPLE)
    if len(sample) < FEWEST:
        return False
    present = {listing.orthanc_id for listing in archive.studies_of([copy.orthanc_id for copy in sample])}
    gone = sum(copy.orthanc_id not in present for copy in sample)
    return gone * 2 >= len(sample)
