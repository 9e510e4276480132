"""A study as the archive's answers give it, before any DICOM value is interpreted.

`RawStudy` is what one pass of RULES A7 read of one Orthanc study: bulk answers plus the full tags of a few chosen
instances. Tags are in Orthanc's "short" JSON form (`{"0010,0020": "value", "0008,1110": [{...}]}`): unambiguous,
independent of any dictionary's names. The room `snapshot` turns it into a `StudySnapshot`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from syncd.model.ids import ArchiveName, OrthancId

Tags = Mapping[str, Any]
"""Orthanc short-form tags: `"gggg,eeee"` (lower-case hexadecimal) → text, `Undecoded`, a list of item dictionaries, or
None. Of a text attribute in an instance's full tags, None says: it is there, and its text could not be had (RULES B11)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Undecoded:
    """A text as the file's bytes, because what the archive made of them is in doubt (RULES B11).

    It carries the character set that holds for it: (0008,0005) of its item, else of the nearest level around that names
    one, as it stands there; empty where none does (PS3.3 C.12.1.1.2). So it means the same wherever it is put.
    """

    value: bytes
    character_set: str


class Unread(StrEnum):
    """Why the archive did not give the full tags of an instance that should have been read, in the words of a note."""

    FORESEEN = "too many frames"
    """Not asked for: its answer would be too large, and costs the archive too much."""
    SLOW = "no answer in time"
    LARGE = "answer too large"
    GARBLED = "answer unreadable or nested too deep"
    BROKEN = "the archive cannot read its file"

    @property
    def may_pass(self) -> bool:
        """Whether it may be read another time although nothing changed: a file comes back from a backup."""
        return self in (Unread.SLOW, Unread.BROKEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyHeader:
    """`GET /studies/{id}`: cheap, and enough to decide whether to wait."""

    archive: ArchiveName
    orthanc_id: OrthancId
    study_uid: str
    is_stable: bool
    last_update: str
    series_ids: tuple[OrthancId, ...]
    main_tags: Tags = field(default_factory=dict)
    """Study and patient main DICOM tags by tag, e.g. `{"0008,0020": "20260301", "0010,0020": "P1"}`."""
    labels: str | None = None
    """As in `work.Copy`: sorted, joined by backslashes; None where the archive knows no labels."""
    tags_digest: str | None = None
    """As in `work.Copy`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawInstance:
    """One instance from the bulk answer. `sop_class_uid` is Orthanc's metadata SopClassUid, empty if it has none."""

    orthanc_id: OrthancId
    series_id: OrthancId
    sop_class_uid: str
    tags: Tags
    """Main DICOM tags of the instance (0008,0018; 0020,0013; …)."""
    calling_aet: str = ""
    """Who sent it: Orthanc's metadata RemoteAET; empty where it has none, as for uploads over HTTP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawSeries:
    """One series: its main tags, and the full tags of its representative (lowest InstanceNumber, RULES A7)."""

    orthanc_id: OrthancId
    tags: Tags
    representative: Tags = field(default_factory=dict)
    images: tuple[Tags, ...] = ()
    """What `model.agreement` compares, of every instance; empty where not all were asked or could be read (RULES B6, B9)."""
    shared: Tags | None = None
    """Plain values that all instances have in common, for a series whose `images` were not asked; None: not asked either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawStudy:
    """All that one consistent pass read of one Orthanc study (one *copy* of a StudyInstanceUID)."""

    header: StudyHeader
    """From the last call of the pass: `is_stable` and `last_update` are those after everything was read."""
    series: tuple[RawSeries, ...]
    instances: tuple[RawInstance, ...]
    documents: Mapping[str, Tags] = field(default_factory=dict)
    """Full tags of each KO, SR, PR and encapsulated document, by Orthanc instance id."""
    read_started_at: str = ""
    """The archive's LastUpdate before the pass (the raw tuple of RULES A8 is taken before the snapshot)."""
    unread: Mapping[OrthancId, Unread] = field(default_factory=dict)
    """Instances whose full tags should have been read and were not (RULES B11): of a series' representative its tags hold
    what could be read one by one, or nothing; of a document there are none."""

    @property
    def is_blind(self) -> bool:
        """Whether no file of it could be read at all: only what the archive keeps in its index is known."""
        return bool(self.unread) and not any(each.representative for each in self.series)


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyListing:
    """One row of the archive's inventory (RULES A1, A8): what tells whether a known study may have changed."""

    orthanc_id: OrthancId
    study_uid: str
    is_stable: bool
    last_update: str
    series_ids: tuple[OrthancId, ...] = ()
    study_date: str = ""
    labels: str | None = None
    """As in `work.Copy`."""
    tags_digest: str | None = None
    """As in `work.Copy`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveInfo:
    """What `GET /system` and `/plugins` say. `dicomweb_root` is empty without the DICOMweb plugin."""

    name: ArchiveName
    version: str
    api_version: int
    dicomweb_root: str
    storage_capabilities: Mapping[str, Any] = field(default_factory=dict)
    has_labels: bool = False
    """Whether studies can have labels (1.12 and later, by the index's plugin)."""
