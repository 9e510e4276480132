"""What a series says as a whole: its representative's words, without those that another of its images denies (RULES B9).

How far this goes depends on what is known of the others. Where every image was asked, all that carry a value must carry
the same; where only the shared values are known, a value that is not among them is nobody's; where nobody was asked (a
slide of more frames than an archive can write out), one image would speak for all of a side, a site or a person, and
must not. What names the series itself (modality, number, description, equipment) is then taken as the archive shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

from syncd.model.snapshot import SERIES_TAGS, STUDY_TAGS
from syncd.model.study.agreement import BODY_PART, LATERALITY, OFFSET, PEOPLE
from syncd.model.study.raw import RawSeries, Tags, Undecoded
from syncd.model.study.reading import Reading
from syncd.snapshot.notes import Notes
from syncd.snapshot.values.decoding import decode
from syncd.snapshot.values.tags import MODALITY, SEQUENCE, Tagset, has_value, overlay
from syncd.snapshot.values.text import clean, values

_RULE = "RULES B9"
_PERFORMERS = {"0008,1050": "0008,1052", "0008,1070": "0008,1072"}
"""Names, and the sequence that identifies them in the same order (PS3.3 C.7.3.1)."""

_TOGETHER = (
    ("0008,0021", "0008,0031"),
    ("0040,0244", "0040,0245"),
    ("0040,0250", "0040,0251"),
)
"""Dates and times that mean nothing without each other."""

_PARTNERS = {
    "0008,0090": ("0008,0096", False),  # Referring Physician's Name and Identification
    "0008,1060": ("0008,1062", False),  # Name and Identification of the physicians who read it
    "0008,1040": ("0008,1041", False),  # Institutional Department Name and Type
    "0038,0010": ("0038,0014", True),  # Admission ID and its issuer
}
"""The sequence that goes with what a study has one of, and whether it says whose the study is: then neither means anything
without the other."""

_KEPT = frozenset(
    {
        "0008,0020",  # Study Date
        "0008,0050",  # Accession Number
        "0008,1030",  # Study Description
        "0020,0010",  # Study ID
        "0032,1060",  # Requested Procedure Description
    }
)
"""Of the study's level: what the archive shows of it as a whole, and what may be said more than once."""

_ZONED = ("0008,0031", "0040,0245", "0040,0251")
"""Times of a series, which say when only with their offset."""

_UNASKED = (BODY_PART, *_PERFORMERS)
"""Who and where: of these no image speaks for others that were not asked."""

_DIFFER = "the images differ"
_UNREAD = "an image's text could not be read"
_NOT_ASKED = "not every image could be asked"


def find_denied(series: RawSeries, *, expected: int, notes: Notes) -> frozenset[str]:
    """The tags of the series' level that its `expected` images do not agree on, in the representative's words or in the
    archive's. The side and the region by code have rooms of their own."""
    tags = overlay(series.representative, lower=series.tags)
    if expected <= 1:
        return frozenset()
    judge = _judge(series, expected=expected, reading=notes.reading)
    why_not = {tag: why for tag in SERIES_TAGS if tag != LATERALITY and has_value(tags.get(tag)) and (why := judge(tag))}
    if MODALITY in why_not:  # FHIR demands one (1..1)
        notes.add(MODALITY, rule=_RULE, done="modality differs within the series: that of the lowest image kept")
        del why_not[MODALITY]
    zone = why_not.pop(OFFSET, "")
    if zone:  # the offset itself stays: it is that of the lowest image's acquisition
        notes.add(OFFSET, rule=_RULE, done=f"times left out: {zone}")
    for tag, why in why_not.items():
        site = tag == BODY_PART
        notes.add(tag, rule="C.6" if site else _RULE, done=f"left out: {why}", safety=site)
    performers = {_PERFORMERS[tag] for tag in _PERFORMERS if tag in why_not or judge(_PERFORMERS[tag])}
    return _with_partners({*why_not, *performers}).union(_ZONED if zone else ())


def _with_partners(gone: set[str]) -> frozenset[str]:
    """What says something only together goes together."""
    return frozenset(gone.union(*(pair for pair in _TOGETHER if gone.intersection(pair))))


def drop_denied(study: Tags, *, series: Iterable[RawSeries], notes: Notes) -> Tags:
    """The study's tags without those of its own level that its series, or the images of one, do not agree on.

    What the archive shows of a study as a whole (its date and description) stays, and is noted elsewhere (MAPPING I-62)."""
    everywhere = list(series)
    gone: set[str] = set()
    for tag in (each for each in STUDY_TAGS if each not in _KEPT):
        partner, safety = _PARTNERS.get(tag, ("", False))
        differing = [each for each in (tag, partner) if each and _differs(each, study, everywhere, reading=notes.reading)]
        if differing:
            notes.add(differing[0], rule=_RULE, done="left out: the series differ", safety=safety)
            gone |= {partner} if differing == [partner] and not safety else {tag, partner}
    return {tag: value for tag, value in study.items() if tag not in gone}


def _all_asked(series: RawSeries, *, expected: int) -> bool:
    """Whether every image of the series was asked for what it says."""
    return bool(series.images) and len(series.images) >= expected


def is_spoilt_alike(tag: str, *, series: RawSeries) -> bool:
    """Whether the archive dropped what it cannot decode of a text, and may have dropped another thing of another image's: of
    a long series only the representative's text was read raw (RULES B11)."""
    own = series.representative.get(tag)
    if not isinstance(own, Undecoded) or own.value.isascii():
        return False
    others = [image.get(tag) for image in series.images] or [(series.shared or {}).get(tag)]
    return any(isinstance(other, str) and other.isascii() for other in others)


def _differs(tag: str, study: Tags, series: Sequence[RawSeries], *, reading: Reading) -> bool:
    """Whether the archive, a series or an image of one says something else than another."""
    told = {_comparable_value(tag, tags, reading=reading) for tags in (study, *(one.representative for one in series))} - {
        "",
        (),
    }
    return len(told) > 1 or any(
        _among_images(one, tag, reading=reading) in (_DIFFER, _UNREAD)
        or (
            one.shared is not None
            and tag in STUDY_TAGS
            and has_value(one.representative.get(tag))
            and not _is_shared(one, tag)
        )
        for one in series
    )


def _comparable_value(tag: str, tags: Tags, *, reading: Reading) -> Hashable:
    value = tags.get(tag)
    if isinstance(value, SEQUENCE):
        return _comparable(value, reading=reading)
    if not value:
        return ""
    return Tagset(tags, Notes(reading)).text(tag)


def _judge(series: RawSeries, *, expected: int, reading: Reading) -> Callable[[str], str]:
    """Why a tag of the representative is not the series'; empty where it is."""

    def judge(tag: str) -> str:
        if _all_asked(series, expected=expected):
            why = _among_images(series, tag, reading=reading)
        elif series.shared is None:
            return _NOT_ASKED if tag in _UNASKED else ""
        else:
            why = "" if tag in PEOPLE or _is_shared(series, tag) else f"{_DIFFER}, or not all have it"
        if not why and tag in _UNASKED and is_spoilt_alike(tag, series=series):
            return _NOT_ASKED
        return why

    return judge


def _is_shared(series: RawSeries, tag: str) -> bool:
    return series.shared is not None and has_value(series.shared.get(tag))


def _among_images(series: RawSeries, tag: str, *, reading: Reading) -> str:
    said = [image.get(tag) for image in series.images]
    if said and said.count(said[0]) == len(said):  # mostly all use the same words
        del said[1:]
    carried = [_comparable(value, reading=reading) for value in said if has_value(value)]
    if any(value != carried[0] for value in carried[1:]):
        return _DIFFER
    if any(image.get(tag, "") is None for image in series.images):
        return _UNREAD
    if tag == BODY_PART and len(carried) < len(said):
        return "not every image has one"
    return "" if carried else "no image could be asked for it"


def _comparable(value: object, *, reading: Reading) -> Hashable:
    """Padding is no difference; items are compared by what they hold."""
    if isinstance(value, Undecoded):
        value = decode(value, reading=reading).text or value.value
    if isinstance(value, str):
        return values(value) or clean(value)
    if isinstance(value, SEQUENCE):
        items = (item for item in value if isinstance(item, Mapping))
        return tuple(
            tuple(sorted((tag, repr(_comparable(one, reading=reading))) for tag, one in item.items())) for item in items
        )
    return repr(value)
