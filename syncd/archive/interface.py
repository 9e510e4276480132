"""What the loop may ask of an archive. Orthanc answers it (`archive.orthanc`); the tests have a fake that does.

Absence has degrees: `StudyGone` is a hint, and only `lookup` gives a positive answer (RULES D1).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Protocol

from syncd.model.change import ChangePage
from syncd.model.ids import OrthancId
from syncd.model.study.raw import ArchiveInfo, RawStudy, StudyHeader, StudyListing


class Archive(Protocol):
    """One archive. Every method may raise `Transient` (wait), of which `Unsuitable` waits for the operator."""

    def info(self) -> ArchiveInfo:
        """Version, capabilities and DICOMweb root, asked anew."""

    def clock(self) -> float:
        """The archive's clock, in seconds since the epoch."""

    def high_water_mark(self) -> int:
        """The highest change number ever assigned, also after deletions (RULES A3)."""

    def changes(self, since: int, *, limit: int) -> ChangePage:
        """At most `limit` changes with a number above `since`, in order."""

    def studies_of(self, resource_ids: Collection[str]) -> tuple[StudyListing, ...]:
        """The studies to which these studies, series and instances belong, each once; unknown ids are left out."""

    def study(self, orthanc_id: OrthancId) -> StudyHeader:
        """The study's header; raises `StudyGone`."""

    def read_registered(self, orthanc_id: OrthancId) -> RawStudy:
        """What `registered` needs (RULES A6): the header, its series, and one instance, from its full tags.

        Raises `StudyGone` and `TornRead`."""

    def read_study(self, orthanc_id: OrthancId) -> RawStudy:
        """One consistent pass over the whole study (RULES A7).

        Raises `StudyGone`, `TornRead` (unknown, to be read again) and `StudyError` (too large to be read)."""

    def read_studies(self, orthanc_ids: Sequence[OrthancId]) -> Mapping[OrthancId, RawStudy]:
        """As `read_study` of each, by calls that they share: for a backlog of up to 40 small studies that are at rest.

        Left out, to be read by itself: what is gone, unstable, torn, large, or answered oddly, and what comes behind the
        40th; so a study's trouble is never raised here. A header that comes back is that before and after the read, to the
        last label: a look before it says no more. `Transient` is of the archive: nothing of it could be read."""

    def serves_others(self, but: Collection[OrthancId]) -> bool | None:
        """Whether it serves other studies than these, to the bottom of their files; None if it holds no other. It raises
        nothing: what it meets is the answer (RULES C6)."""

    def lookup(self, study_uid: str) -> tuple[OrthancId, ...]:
        """The Orthanc studies that hold this StudyInstanceUID; empty is a positive answer (RULES D1)."""

    def calling_aet(self, instance_id: OrthancId) -> str:
        """The AE title of who sent this instance; empty where it is not known."""

    def inventory(self) -> Iterator[StudyListing]:
        """Every study that was there when the listing began, and was not deleted meanwhile; one may come twice."""

    def study_ids(self) -> Iterator[OrthancId]:
        """Every study's id, from one unpaged listing, as it arrives; ends early only by an error (RULES A8)."""

    def studies_page(self, since: int) -> Sequence[StudyListing]:
        """A page of details from place `since` on, empty behind the end. Pages may skip studies (RULES A8)."""

    def total_instances(self) -> int:
        """How many instances the archive holds: one cheap call."""

    def instance_counts(self, studies: Mapping[OrthancId, str]) -> dict[OrthancId, int]:
        """How many instances each of these studies has, in bulk; `studies` maps Orthanc ids to StudyInstanceUIDs, and what
        is not there, or cannot be asked for, is left out."""

    def counts_page(self, since: int) -> Sequence[tuple[OrthancId, int]] | None:
        """The same for all studies, by pages as `studies_page`; None where `instance_counts` is as quick."""

    def close(self) -> None:
        """Close the connections."""
