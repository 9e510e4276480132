"""What a series says where its images need not say the same: all that carry a thing agree, or it is left out (RULES B9).

Side and region are said only where all images carry them and agree (B6), because a wrong one harms. One image never speaks
for others; where the rules leave open whether a simpler attribute may speak instead, both are right.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests import oracle_values as values
from tests.oracle_answers import Among, changed, either
from tests.oracle_archive import Header, Series

REGIONS, FRAMES, SIDE, IMAGE_SIDE, FRAME_SIDE = 0x00082218, 0x00209071, 0x00200060, 0x00200062, 0x00209072
MIXED = "differs"
CONTRADICTED = "contradicted"


def carried(headers: list[Header], tag: int) -> list[tuple[str, ...]]:
    """The different things that images say in an attribute, as far as they can be read."""
    return list(dict.fromkeys(said for one in headers if (said := tuple(one.texts(tag)))))


def disagree(headers: list[Header], tag: int) -> bool:
    """An untold value agrees with none; only by itself it is nothing."""
    return len(carried(headers, tag)) + any(one.untold(tag) for one in headers) > 1


def agreed(headers: list[Header], tag: int) -> list[str]:
    """The values that all images have that have any, else none."""
    return [] if disagree(headers, tag) else list(next(iter(carried(headers, tag)), ()))


def told(headers: list[Header], tag: int, how: Callable[[list[str]], Any]) -> Any:
    """Of a series: what all that carry it agree on. Where some carry none, an archive's cheap answer (what all images
    share) does not tell that from nothing at all: then it may be left out."""
    said = agreed(headers, tag)
    found = how(said) if said else None
    return found if all(one.texts(tag) for one in headers) else either(None, found)


def shown(headers: list[Header], tag: int, how: Callable[[list[str]], Any]) -> Any:
    """Of a study: what all say; else what one of them says, for that is what the archive shows, or nothing (I-62)."""
    found = [how(list(said)) for said in carried(headers, tag)]
    everybody = not disagree(headers, tag) and all(one.texts(tag) for one in headers)
    return either(*found) if everybody or not found else either(None, *found)


def description(headers: list[Header]) -> Any:
    """(0008,103E), else the protocol (A.2); where descriptions differ, the protocol may be said or nothing, and so where one
    is in doubt: of two that are, one may be read and the other not."""
    own, protocol = (told(headers, tag, values.free_text) for tag in (0x0008103E, 0x00181030))
    if any(one.untold(0x0008103E) for one in headers) or disagree(headers, 0x0008103E):
        return either(None, protocol)
    found = changed(own, lambda said: said or protocol)
    return found if all(one.is_sure(0x0008103E) for one in headers) else either(found, None, protocol)


def started(headers: list[Header]) -> Any:
    """(0008,0021) and (0008,0031), else the acquisition's of the lowest instance (A.2, C.1)."""
    own = moment(headers, 0x00080021, 0x00080031)
    if own and not disagree(headers, 0x00080021) and all(one.texts(0x00080021) for one in headers):
        return own
    acquired = [values.moment(*(one.text(tag) for tag in (0x00080022, 0x00080032, 0x00080201))) for one in headers]
    # Images are acquired one after the other: the lowest one's time is the series', or only what all share.
    shared = (None, moment(headers, 0x00080022, 0x00080032), acquired[0][:10]) if len(set(acquired)) > 1 else ()
    lowest = either(acquired[0], *shared)
    return either(own, None, lowest) if carried(headers, 0x00080021) else lowest


def moment(headers: list[Header], day: int, clock: int) -> Any:
    """Of date, time and offset each what all agree on; with an offset that only some carry, also the date alone."""
    date, time, zone = (next(iter(agreed(headers, tag)), "") for tag in (day, clock, 0x00080201))
    full = values.moment(date, time, zone)
    dated = [one for one in headers if one.texts(day)]
    sure = all(one.texts(0x00080201) == [zone] for one in dated) and all(one.texts(clock) == [time] for one in dated)
    return full if sure else either(full, full[:10])


def modalities(series: Series) -> Among:
    """Every modality that images name, and perhaps those that the SOP classes of the others tell (C.7; RULES B9)."""
    # A token says the same whatever the SOP class, unless it is written oddly.
    found = {(one.header.text(0x00080060), one.sop_class) for one in series.instances}
    named, every = ({values.modality(*pair) for pair in found if pair[0] or not only} for only in (True, False))
    known = frozenset((named or every) - {values.ABSENT})
    return Among(least=known, most=frozenset(every - {values.ABSENT}) | known)


def modality(series: Series) -> Any:
    """One Coding is all a series has: of several, any that an image has, or that it is not known."""
    found = modalities(series)
    if len(found.most) < 2:
        return next(iter(found.most), values.ABSENT)
    return either(*sorted(found.most), *((values.ABSENT,) if len(found.least) > 1 else ()))


def study_modalities(found: list[Series]) -> Any:
    """In the order of the series; where one has several, in any."""
    said = [modalities(one) for one in found]
    if all(len(one.most) < 2 for one in said):
        return tuple(dict.fromkeys(code for one in said for code in one.most))
    return Among(
        least=frozenset(code for one in said for code in one.least),
        most=frozenset(code for one in said for code in one.most),
    )


def performers(headers: list[Header]) -> dict[str, Any]:
    """The words of the physicians and of the operators, by function (A.2)."""
    return {
        function: told(headers, tag, lambda names: tuple(said for raw in names if (said := values.spoken(raw))))
        for function, tag in (("PRF", 0x00081050), ("SPRF", 0x00081070))
    }


def body_site(headers: list[Header]) -> Any:
    """Anatomic Region Sequence, else that of the frames, else Body Part Examined (C.6): all images say one, the same."""
    coded, worded = [_region(one) for one in headers], [values.body_part(one) for one in headers]
    resolved = {one or other for one, other in zip(coded, worded, strict=True)}
    word = worded[0] if len(set(worded)) == 1 else ""
    if len(resolved) == 1 and all(resolved) and MIXED not in resolved:
        (said,) = resolved
        contradicted = any(one and one != said and one in values.region_codes() for one in worded)
        return either(None, said) if contradicted or len(set(map(bool, coded))) > 1 else said
    contradicted = any(one == MIXED or (one != word and one in values.region_codes()) for one in coded if one)
    return None if contradicted or not word else either(None, word)


def _region(header: Header) -> str:
    """Of the image and of its frames alike; of some frames only it is nothing's."""
    whole = [values.coded(item) for item in header.items(REGIONS)[:1]]
    whole += [one for group in header.items(0x52009229) for one in _regions_of(group)]
    frames = [_regions_of(group) for group in header.items(0x52009230)]
    found = {*whole, *(one for said in frames for one in said)}
    if not whole and found and not all(frames):
        return MIXED
    return found.pop() if len(found) == 1 else MIXED if found else ""


def _regions_of(group: Header) -> list[str]:
    """What an item of a functional group says of the frames that it holds for."""
    return [values.coded(item) for anatomy in group.items(FRAMES) for item in anatomy.items(REGIONS)[:1]]


def laterality(headers: list[Header]) -> Any:
    """The sides of every image and frame: one if all agree, both if both occur; else (0020,0060) that all have (B6, C.6).

    Nothing where image and series contradict each other.
    """
    image, series = [_sides(one) for one in headers], [one.text(SIDE) for one in headers]
    if any(CONTRADICTED in sides for sides in image):
        return None
    given = {one for one in series if one}
    if not any(image):
        return _code(given.pop()) if all(series) and len(given) == 1 else None
    said = {side for sides in image for side in sides}
    side = "B" if "B" in said or {"L", "R"} <= said else said.pop() if len(said) == 1 else ""
    if not all(image) or said - {"L", "R", "B", side}:
        return either(None, _code(side)) if all(series) and given == {side} else None
    return _code(side) if given <= {side} else None


def _sides(header: Header) -> list[str]:
    """What an image says itself, all its frames or each of them; of frames `U` stands for one that says nothing where
    others do. What says one thing of the image and another of its frames contradicts itself."""
    image = ["\\".join(said)] if (said := header.texts(IMAGE_SIDE)) else []
    shared, frames = (
        [[side.text(FRAME_SIDE) for side in group.items(FRAMES)] for group in header.items(groups)]
        for groups in (0x52009229, 0x52009230)
    )
    everywhere = [side for sides in shared for side in sides if side]
    each = [next(iter(sides), "") or "U" for sides in frames] if any(any(sides) for sides in frames) else []
    told = {_both(sides) for sides in (image, everywhere, each) if sides}
    return [CONTRADICTED] if len(told) > 1 else image or everywhere or each


def _both(sides: list[str]) -> frozenset[str]:
    return frozenset(one for side in sides for one in ("LR" if side == "B" else side) if one in "LR")


def _code(side: str) -> str | None:
    return values.LATERALITY.get(side)
