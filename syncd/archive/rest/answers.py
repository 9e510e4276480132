"""Orthanc's JSON as the nouns of the model.

The frame is read strictly, its entries tolerantly: an answer of another shape means that this is not Orthanc
(`Malformed`), while one change that cannot be read is counted and its neighbours are kept (RULES A2). All resources are
asked in the `short` form, in which both versions name tags `gggg,eeee`.

What an inventory is told of a study's words is a digest of eight characters (RULES A8). `/reconstruct` gives a study
other words, and nothing says so: no event, no LastUpdate. But every listing brings the main tags, so their digest is
kept from one look to the next. It must change with the words and with nothing else: another version of Orthanc keeps
other tags, empty and absent are the same, and padding says nothing (PS3.5 6.2). And it must tell nothing of a person to
who holds the ledger: docs/decisions/inventory-digest.md says why it is as short as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from json.encoder import encode_basestring_ascii
from sys import intern
from typing import Any, TypeGuard

from syncd.model.change import Change, ChangePage
from syncd.model.ids import ArchiveName, OrthancId, is_orthanc_id
from syncd.model.study.raw import RawInstance, StudyHeader, StudyListing, Tags

STUDY_INSTANCE_UID = "0020,000d"
STUDY_DATE = "0008,0020"
NUMBER_OF_STUDY_RELATED_INSTANCES = "0020,1208"

MAIN_TAGS = (
    "0008,0020",
    "0008,0030",
    "0008,0050",
    "0008,0080",
    "0008,0090",
    "0008,1030",
    "0010,0010",
    "0010,0020",
    "0010,0030",
    "0010,0040",
    "0010,1000",
    "0020,000d",
    "0020,0010",
    "0032,1032",
    "0032,1060",
)
"""The main tags that 1.10 keeps of a study and its patient: 1.12 keeps them, too, and (0008,0201) besides. A site's
ExtraMainDicomTags are none of them, so that another list there changes no digest."""

SIZE = 4
"""Bytes: one edit of 4,000,000,000 is missed; and no more than 32 bits are told of what was said."""

_DICOMWEB_CLIENT = "app/client/index.html"


class Malformed(Exception):
    """The answer has not the shape that Orthanc gives it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesEntry:
    """A series with its main tags and the ids of its instances, sorted."""

    orthanc_id: OrthancId
    tags: Tags
    instance_ids: tuple[OrthancId, ...]


def an_object(value: Any) -> Mapping[str, Any]:
    """`value` as a JSON object."""
    if not isinstance(value, dict):
        raise Malformed
    return value


def objects(value: Any) -> list[Mapping[str, Any]]:
    """`value` as a list of JSON objects."""
    if not isinstance(value, list):
        raise Malformed
    return [an_object(each) for each in value]


def an_id(value: Any) -> OrthancId:
    """`value` as an Orthanc identifier."""
    if not isinstance(value, str) or not is_orthanc_id(value):
        raise Malformed
    return OrthancId(value)


def names(value: Any) -> list[str]:
    """`value` as a list of texts."""
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise Malformed
    return value


def ids(value: Any) -> list[OrthancId]:
    """`value` as a list of Orthanc identifiers."""
    if not isinstance(value, list):
        raise Malformed
    return [an_id(each) for each in value]


def change_page(value: Any) -> ChangePage:
    """An answer of `GET /changes`."""
    page = an_object(value)
    entries, done, last = page.get("Changes"), page.get("Done"), page.get("Last")
    if not isinstance(entries, list) or not isinstance(done, bool) or not _is_number(last):
        raise Malformed
    changes = tuple(change for change in map(_change, entries) if change is not None)
    return ChangePage(changes=changes, done=done, last=last, malformed=len(entries) - len(changes))


def study_header(value: Any, *, archive: ArchiveName) -> StudyHeader:
    """An answer of `GET /studies/{id}`."""
    study = an_object(value)
    main_tags = _main_tags(study)
    return StudyHeader(
        archive=archive,
        orthanc_id=an_id(study.get("ID")),
        study_uid=_text(main_tags.get(STUDY_INSTANCE_UID)),
        is_stable=study.get("IsStable") is True,
        last_update=_text(study.get("LastUpdate")),
        series_ids=_ids(study.get("Series")),
        main_tags=main_tags,
        labels=_labels(study.get("Labels")),
        tags_digest=tags_digest(main_tags),
    )


def study_listing(study: Mapping[str, Any]) -> StudyListing:
    """One study of a listing or a bulk answer."""
    main_tags = _main_tags(study)
    return StudyListing(
        orthanc_id=an_id(study.get("ID")),
        study_uid=_text(main_tags.get(STUDY_INSTANCE_UID)),
        is_stable=study.get("IsStable") is True,
        last_update=_text(study.get("LastUpdate")),
        series_ids=_ids(study.get("Series")),
        study_date=_text(main_tags.get(STUDY_DATE)),
        labels=_labels(study.get("Labels")),
        tags_digest=tags_digest(main_tags),
    )


def requested_tags(instance: Mapping[str, Any]) -> tuple[OrthancId, Tags]:
    """An entry of a find that was asked for tags."""
    return an_id(instance.get("ID")), _tags(instance.get("RequestedTags"))


def number_of_instances(study: Mapping[str, Any]) -> int | None:
    """The requested tag of `GET /studies/{id}`; None where the server does not know requested tags."""
    return _count(_tags(study.get("RequestedTags")).get(NUMBER_OF_STUDY_RELATED_INSTANCES))


def count_entry(study: Mapping[str, Any]) -> tuple[OrthancId, int | None]:
    """An entry of a find that was asked for the number of instances."""
    return an_id(study.get("ID")), number_of_instances(study)


def counted_instances(value: Any) -> int:
    """`GET /studies/{id}/statistics`."""
    count = _count(an_object(value).get("CountInstances"))
    if count is None:
        raise Malformed
    return count


def counted_studies(value: Any) -> int:
    """The studies of `GET /statistics`."""
    count = _count(an_object(value).get("CountStudies"))
    if count is None:
        raise Malformed
    return count


def counted_series(series: Mapping[str, Any]) -> tuple[OrthancId, int]:
    """The study of a series, and how many instances the series lists."""
    return an_id(series.get("ParentStudy")), len(_ids(series.get("Instances")))


def raw_instance(instance: Mapping[str, Any]) -> RawInstance:
    """One instance of a bulk or find answer, with its metadata. What thousands of them say alike is held once."""
    metadata = _mapping(instance.get("Metadata"))
    return RawInstance(
        orthanc_id=an_id(instance.get("ID")),
        series_id=OrthancId(intern(an_id(instance.get("ParentSeries")))),
        sop_class_uid=intern(_text(metadata.get("SopClassUid"))),
        tags={intern(tag): value for tag, value in _tags(instance.get("MainDicomTags")).items()},
        calling_aet=intern(_text(metadata.get("RemoteAET"))),
    )


def series_entry(series: Mapping[str, Any]) -> SeriesEntry:
    """One series of `GET /studies/{id}/series`."""
    return SeriesEntry(
        orthanc_id=an_id(series.get("ID")),
        tags=_tags(series.get("MainDicomTags")),
        instance_ids=_ids(series.get("Instances")),
    )


def looked_up_studies(entries: Iterable[Mapping[str, Any]]) -> tuple[OrthancId, ...]:
    """The entries of type Study of a `POST /tools/lookup` (RULES D1)."""
    return tuple(an_id(entry.get("ID")) for entry in entries if entry.get("Type") == "Study")


def dicomweb_root(plugin: Mapping[str, Any]) -> str:
    """The path of the DICOMweb service, without trailing slash, from `GET /plugins/dicom-web`.

    `RootUri` is that of the plugin's web client, relative to Orthanc Explorer (1.7 on 1.10.1 and 1.20 on 1.12.7:
    `../dicom-web/app/client/index.html`), so its tail goes.
    """
    path = _text(plugin.get("RootUri")).removeprefix("..").removesuffix(_DICOMWEB_CLIENT).strip("/")
    return f"/{path}" if path else ""


def _change(entry: Any) -> Change | None:
    if not isinstance(entry, dict):
        return None
    said = entry.get
    seq, resource_id, change_type, resource_type = said("Seq"), said("ID"), said("ChangeType"), said("ResourceType")
    if not isinstance(change_type, str) or not isinstance(resource_type, str) or not _is_number(seq):
        return None
    if not isinstance(resource_id, str) or not is_orthanc_id(resource_id):
        return None
    date = said("Date")
    return Change(
        seq=seq,
        change_type=change_type,
        resource_type=resource_type,
        resource_id=resource_id,
        date=date if isinstance(date, str) else "",
    )


def _is_number(value: Any) -> TypeGuard[int]:
    """A number as Orthanc counts: in 63 bits, as does the ledger."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _count(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        return int(value)
    return value if _is_number(value) else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _main_tags(study: Mapping[str, Any]) -> Tags:
    return {**_tags(study.get("PatientMainDicomTags")), **_tags(study.get("MainDicomTags"))}


def _tags(value: Any) -> Tags:
    """Tags in the short form. Names in their place mean that `short` was not understood; read on, every value would seem
    to be missing."""
    tags = _mapping(value)
    for tag in tags:
        if "," not in tag:
            raise Malformed
    return tags


def _labels(value: Any) -> str | None:
    if not isinstance(value, list):
        return None
    return "\\".join(sorted(each for each in value if isinstance(each, str)))


def _ids(value: Any) -> tuple[OrthancId, ...]:
    if not isinstance(value, list):
        return ()
    return tuple(sorted(OrthancId(each) for each in value if isinstance(each, str) and is_orthanc_id(each)))


def tags_digest(main_tags: Tags) -> str:
    """The digest of a study's main tags, its patient's included."""
    said = [
        f'["{tag}",{encode_basestring_ascii(text)}]'  # as JSON without spaces, of which the digests in ledgers are made
        for tag in MAIN_TAGS
        if isinstance(value := main_tags.get(tag), str) and (text := value.strip(" \0"))
    ]
    return blake2b(f"[{','.join(said)}]".encode(), digest_size=SIZE).hexdigest()
