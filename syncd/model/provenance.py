"""A Provenance that is owed for a write which was confirmed (RULES B8): what is kept of it in the outbox.

It is a value that says everything: what it says again after a crash is the same, word for word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from syncd.model.outbox import OutboxEntry

PROVENANCE = "Provenance"
"""Its kind in the outbox."""


class Occasion(StrEnum):
    """Why a write is worth a Provenance; the first three are the corrections of POLICY__PROVENANCE."""

    RETRACTED = "retracted"
    """The resource is withdrawn: `entered-in-error`, `cancelled` or `inactive`."""
    REPLACED = "replaced"
    """It takes the place of another study, which it rejects as a wrong worklist entry (MAPPING I case 39)."""
    SUBJECT = "subject"
    """It was another patient's, or named another Patient (MAPPING I case 51)."""
    CREATED = "created"
    UPDATED = "updated"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwedProvenance:
    """One Provenance of `ImagingStudy/<resource_id>` in its `version`. `sources` are the studies that it replaces.

    `recorded` is when the write was intended, in seconds since the epoch: the intent's time, which a retry finds again."""

    provenance_id: str
    study_uid: str
    resource_id: str
    version: str
    occasion: Occasion
    recorded: float
    sources: tuple[str, ...] = ()

    @classmethod
    def of_entry(cls, entry: OutboxEntry) -> OwedProvenance:
        """What `entry` keeps."""
        kept = entry.payload
        return cls(
            provenance_id=entry.key,
            study_uid=entry.study_uid,
            resource_id=str(kept["resource_id"]),
            version=str(kept["version"]),
            occasion=Occasion(kept["occasion"]),
            recorded=float(kept["recorded"]),
            sources=tuple(kept["sources"]),
        )

    def payload(self) -> Mapping[str, Any]:
        """What an entry keeps beside its key and study."""
        return {
            "resource_id": self.resource_id,
            "version": self.version,
            "occasion": self.occasion.value,
            "recorded": self.recorded,
            "sources": list(self.sources),
        }
