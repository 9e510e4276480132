"""Is this still the archive that was published from? Its identity is its content (RULES A4).

A server identifier survives a wipe and changes with a port; sequence numbers start anew after a re-index. What tells
archives apart is whether the studies that we published are still there.
"""

from __future__ import annotations

from enum import Enum

from syncd.archive.interface import Archive
from syncd.ledger.ledger import Ledger
from syncd.model.ids import ArchiveName

SAMPLE = 20
"""Published studies asked for, spread over the ledger."""

FEWEST = 10
"""With fewer published studies the sample proves nothing."""


class Verdict(Enum):
    SAME = "same"
    ANOTHER = "another"


def judge(archive: Archive, ledger: Ledger, *, name: ArchiveName) -> Verdict:
    """Half or more of the sample gone: another archive stands behind the address, or its index was wiped."""
    sample = ledger.sample_copies(name, SAMPLE)
    if len(sample) < FEWEST:
        return Verdict.SAME
    present = {listing.orthanc_id for listing in archive.studies_of([copy.orthanc_id for copy in sample])}
    gone = sum(copy.orthanc_id not in present for copy in sample)
    return Verdict.ANOTHER if gone * 2 >= len(sample) else Verdict.SAME
