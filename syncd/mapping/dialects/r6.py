"""What R6 (from ballot5 on) says otherwise than R5, and what its eight invariants ask of us (MAPPING A.4).

Counts are equal to what is listed by construction (ist-3 to ist-6), the UID is always there once (ist-1, ist-2). Two are
left: the study's modalities are exactly those of its series (ist-7), whatever the policy would rather show; and no series
begins before its study (ist-8), where FHIRPath cannot compare a date with a time: the study's start is kept, a series'
start that contradicts it, or is of another precision, gives way.

There is no element for the side of the body any more: words say it, behind the body site.
"""

from __future__ import annotations

from datetime import datetime

from syncd.mapping.dialects.r4 import absent, concept
from syncd.mapping.dialects.r5 import R5, site_reference
from syncd.mapping.dialects.statement import Json, Said, SaidSeries
from syncd.mapping.values.people import complete_performers, organization
from syncd.mapping.values.systems import is_oid
from syncd.mapping.values.terms import Term
from syncd.model.snapshot import InstanceFacts


class R6(R5):
    """FHIR 6.0.0-ballot5 and later builds."""

    version = "r6"

    def _modalities(self, said: Said) -> list[Json]:
        distinct = dict.fromkeys(series.modality for series in said.series)
        return [self._modality(term) for term in distinct if term is not None]

    def _part_of(self, said: Said) -> list[Json]:
        return []

    def _procedures(self, said: Said) -> list[Json]:
        return list(said.procedures_done)

    def _anatomy(self, series: SaidSeries) -> Json:
        site = series.body_site
        return {"bodySite": [site_reference(_with_side(site, series.laterality), series)] if site else None}

    def _series_started(self, series: SaidSeries, said: Said) -> str:
        return not_before(said.started, series.started)

    def _performers(self, series: SaidSeries) -> list[Json]:
        """R6 knows the device and the place among the performers (MAPPING A.2)."""
        return complete_performers(
            series.performers, (("DEV", series.device), ("LOC", organization(series.facts.institution)))
        )

    def _instances(self, series: SaidSeries, said: Said) -> list[Json]:
        return [_instance(instance) for instance in series.facts.instances]


def not_before(study: str, series: str) -> str:
    """What may be said of a series' start beside its study's: all of it, its date only, or nothing (ist-8).

    Both are FHIR dateTimes or empty. A date is the local one: nothing is converted between offsets.
    """
    if not study or not series:
        return series
    if "T" in study:
        return series if "T" in series and datetime.fromisoformat(series) >= datetime.fromisoformat(study) else ""
    cut = series[: len(study)]
    return cut if len(cut) == len(study) and cut >= study else ""


def _with_side(site: Term, side: Term | None) -> Json:
    """The body site, and the side in its words: "Chest, left"."""
    said = concept(site)
    return said | {"text": f"{site.display or site.words}, {side.display.lower()}"} if side else said


def _instance(instance: InstanceFacts) -> Json:
    made: Json = {"uid": instance.uid}
    if is_oid(instance.sop_class):
        made["sopClass"] = f"urn:oid:{instance.sop_class}"
    else:
        # Absent, or leading zeros, which R6's `oid` cannot hold (MAPPING I cases 27 and 28).
        made["_sopClass"] = absent()
    if instance.number is not None:
        made["number"] = instance.number
    if instance.title:
        made["title"] = instance.title
    if instance.frames:
        made["numberOfFrames"] = instance.frames
    return made
