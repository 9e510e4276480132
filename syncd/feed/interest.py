"""Which changes matter, and which mark each makes (RULES A2, A5).

A change names an instance, a series or a study; marks are for studies. The feed does not say which study an instance
belongs to, and the bulk answer that does (`Archive.studies_of`) says it for all of them together. That is enough: any
of them is a reason to look at the study again. Only whether a study is due *now* needs care: it is when the page says
StableStudy and the archive, asked after the page, still calls it stable; otherwise newer instances followed.
"""

from __future__ import annotations

from collections.abc import Iterable

from syncd.model.change import Change
from syncd.model.ids import ArchiveName, OrthancId
from syncd.model.study.raw import StudyListing
from syncd.model.work import Mark, MarkKind

STABLE_STUDY = "StableStudy"

INTERESTING = frozenset(
    {
        # Written in the transaction of the instance itself: durable, and for late instances the only event.
        ("NewInstance", "Instance"),
        ("NewSeries", "Series"),
        ("NewStudy", "Study"),
        # Due now. Not durable: an Orthanc killed before StableAge never sends it, so nothing depends on it.
        (STABLE_STUDY, "Study"),
        # Somebody changed what is kept beside the files; rare, and a look costs little.
        ("UpdatedMetadata", "Instance"),
        ("UpdatedMetadata", "Series"),
        ("UpdatedMetadata", "Study"),
        ("UpdatedAttachment", "Instance"),
        ("UpdatedAttachment", "Study"),
    }
)
"""(ChangeType, ResourceType). All others only move the cursor:

StableSeries, CompletedSeries: the study may still grow, and StableStudy follows. NewPatient, StablePatient, and updates of a
patient: nothing published depends on them alone. UpdatedAttachment of a *series*: no file of an instance lies there; on
1.12.7 the DICOMweb plugin stores its metadata cache (attachment 4301) about a second after each StableSeries, often after
StableStudy, which would make every study be read a second time.
"""


def wanted_ids(fresh: Iterable[Change]) -> frozenset[OrthancId]:
    """The resources whose studies must be known."""
    return frozenset(OrthancId(change.resource_id) for change in fresh if _matters(change))


def to_marks(fresh: Iterable[Change], *, archive: ArchiveName, studies: Iterable[StudyListing]) -> tuple[Mark, ...]:
    """One mark per Orthanc study of `studies`, which is what `wanted_ids` resolved to after the page was read.

    A study without StudyInstanceUID has no key: it cannot be marked, nor published.
    """
    stable = {change.resource_id for change in fresh if change.change_type == STABLE_STUDY}
    return tuple(
        Mark(
            study_uid=study.study_uid,
            kind=MarkKind.STABLE if study.is_stable and study.orthanc_id in stable else MarkKind.EVENT,
            archive=archive,
            orthanc_id=study.orthanc_id,
        )
        for study in studies
        if study.study_uid
    )


def _matters(change: Change) -> bool:
    return (change.change_type, change.resource_type) in INTERESTING
