"""The eight invariants of R6's ImagingStudy, all of severity error (MAPPING A.4, ballot5).

Each is a function of the resource that tells whether it holds. FHIRPath has rules of its own for silence: an invariant
about an element that is absent holds, and a comparison of a date with a time is empty, which fails.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from syncd.mapping.values.systems import DICOM_UID

Study = Mapping[str, Any]


def broken_invariants(study: Study) -> list[str]:
    """The keys and rules that do not hold, in order. `study` must have passed the shape check."""
    return [f"{key}: {rule}" for key, rule, holds in _INVARIANTS if not holds(study)]


def _uids(study: Study) -> int:
    return sum(one.get("system") == DICOM_UID for one in study.get("identifier", ()))


def _series(study: Study) -> list[Study]:
    return list(study.get("series", ()))


def _ist_1(study: Study) -> bool:
    return not _series(study) or _uids(study) > 0


def _ist_2(study: Study) -> bool:
    return _uids(study) < 2


def _ist_3(study: Study) -> bool:
    return "numberOfSeries" not in study or not _series(study) or study["numberOfSeries"] == len(_series(study))


def _ist_4(study: Study) -> bool:
    """Where instances are listed at all: the summary form lists none, and still may count them."""
    listed = sum(len(one.get("instance", ())) for one in _series(study))
    return "numberOfInstances" not in study or not listed or study["numberOfInstances"] == listed


def _ist_5(study: Study) -> bool:
    counts = [one["numberOfInstances"] for one in _series(study) if "numberOfInstances" in one]
    return "numberOfInstances" not in study or not counts or study["numberOfInstances"] == sum(counts)


def _ist_6(study: Study) -> bool:
    return all(
        one["numberOfInstances"] == len(one["instance"])
        for one in _series(study)
        if "numberOfInstances" in one and "instance" in one
    )


def _ist_7(study: Study) -> bool:
    """Codes, and since April 2026 words too."""
    of_series = frozenset().union(*(_codes_of(one.get("modality", {})) for one in _series(study)))
    return "modality" not in study or frozenset().union(*map(_codes_of, study["modality"])) == of_series


def _codes_of(concept: Study) -> frozenset[tuple[str, str]]:
    codes = {(one.get("system", ""), one.get("code", "")) for one in concept.get("coding", ())}
    return frozenset(codes | ({("", concept["text"])} if "text" in concept else set()))


def _ist_8(study: Study) -> bool:
    start = study.get("started", "")
    return not start or all(_not_before(one["started"], start) for one in _series(study) if "started" in one)


def _not_before(moment: str, start: str) -> bool:
    if "T" in moment and "T" in start:
        return datetime.fromisoformat(moment) >= datetime.fromisoformat(start)
    return len(moment) == len(start) and moment >= start


_INVARIANTS: tuple[tuple[str, str, Callable[[Study], bool]], ...] = (
    ("ist-1", "a study with series needs a urn:dicom:uid identifier", _ist_1),
    ("ist-2", "at most one urn:dicom:uid identifier", _ist_2),
    ("ist-3", "numberOfSeries must be the number of series", _ist_3),
    ("ist-4", "numberOfInstances must be the number of instances", _ist_4),
    ("ist-5", "numberOfInstances must be the sum of the series'", _ist_5),
    ("ist-6", "series.numberOfInstances must be the number of its instances", _ist_6),
    ("ist-7", "modality must be the set of the series' modalities", _ist_7),
    ("ist-8", "no series may start before its study, nor with another precision", _ist_8),
)
