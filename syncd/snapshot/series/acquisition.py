"""What made a series, and in which performed procedure step: equipment and (0008,1111) of the representative (MAPPING J).

All of it is optional, for resources that most sites do not want. A study whose site wants none hears nothing of it:
what is odd here is noted beside the values, not among the study's notes, and counts only where the mapping uses them.
"""

from __future__ import annotations

from syncd.model.snapshot import Equipment, Moment, PerformedStep
from syncd.snapshot.notes import Notes
from syncd.snapshot.values.dates import moment
from syncd.snapshot.values.tags import TIMEZONE_OFFSET, Tagset
from syncd.snapshot.values.text import values

_DEVICE_UID = "0018,1002"
_MANUFACTURER = "0008,0070"
_MODEL = "0008,1090"
_SERIAL = "0018,1000"
_VERSIONS = "0018,1020"
_STATION = "0008,1010"

_STEPS = "0008,1111"
_STEP_UID = "0008,1155"
_STEP_STARTED = ("0040,0244", "0040,0245")
_STEP_ENDED = ("0040,0250", "0040,0251")
_STEP_DESCRIPTION = "0040,0254"


def equipment(series: Tagset) -> Equipment | None:
    """None where the series names no equipment at all."""
    tags = _apart(series)
    found = Equipment(
        uid=tags.text(_DEVICE_UID),
        manufacturer=tags.text(_MANUFACTURER),
        model=tags.text(_MODEL),
        serial=tags.text(_SERIAL),
        versions=values(tags.raw(_VERSIONS)),
        station=tags.text(_STATION),
        notes=tags.notes.in_order(),
    )
    return None if found == Equipment() else found


def performed_step(series: Tagset) -> PerformedStep | None:
    """None where the series says nothing of a performed step."""
    tags = _apart(series)
    uids = (item.text(_STEP_UID) for item in tags.items(_STEPS))
    found = PerformedStep(
        uids=tuple(dict.fromkeys(uid for uid in uids if uid)),
        started=_moment(tags, *_STEP_STARTED),
        ended=_moment(tags, *_STEP_ENDED),
        description=tags.free_text(_STEP_DESCRIPTION),
        notes=tags.notes.in_order(),
    )
    return None if found == PerformedStep() else found


def _moment(tags: Tagset, date_tag: str, time_tag: str) -> Moment | None:
    offset = tags.raw(TIMEZONE_OFFSET)
    return moment(tags.raw(date_tag), time_text=tags.raw(time_tag), offset_text=offset, note=tags.at(date_tag))


def _apart(series: Tagset) -> Tagset:
    """The same tags with notes of their own."""
    return Tagset(series.tags, Notes(series.notes.reading), root=series.root)
