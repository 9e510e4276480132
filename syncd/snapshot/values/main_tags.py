"""What the archive shows of a study or a series, as far as its files bear it out (RULES B11).

Main tags are one image's words, as the archive decoded them when that image came, cut above 256 bytes and without a
character set to judge them by. `Mller` looks like a name: a text is believed where a file that was read says the same,
or where no file says that its own was doubtful; else what that file says stands in its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from syncd.model.study.raw import Tags, Undecoded
from syncd.snapshot.values.tags import SOP_CLASS_UID, has_value
from syncd.snapshot.values.text import charset_suspect, clean, is_spoilt


def most_credible(main: Tags, *, read: Iterable[Tags]) -> Tags:
    """`main` with what files say in the place of texts that may be spoilt; `read` are full tags, the most credible first."""
    files = [tags for tags in read if tags]
    if files and main is files[0]:  # the file's own words bear themselves out
        return main
    shown = {tag: _most_credible(tag, value, files=files) for tag, value in main.items()}
    return {tag: value for tag, value in shown.items() if value is not None or main[tag] is None}


def _most_credible(tag: str, value: object, *, files: Sequence[Tags]) -> object:
    """None where a file's text could not be had, of which the archive's may be a part."""
    said = [tags[tag] for tags in files if tag in tags]
    if not isinstance(value, str) or _is_borne_out(value, said):
        return value
    told = next((one for one in said if _is_better(one, value)), None)
    if told is not None or any(tags.get(tag, "") is None and has_value(tags.get(SOP_CLASS_UID)) for tags in files):
        return told
    if charset_suspect(value):
        return Undecoded(value=value.encode("latin-1"), character_set="")
    return value


def _is_borne_out(shown: str, said: Sequence[object]) -> bool:
    """By a file that says the same, padding apart."""
    return shown in said or any(isinstance(one, str) and clean(one) == clean(shown) for one in said)


def _is_better(told: object, shown: str) -> bool:
    """Whether a file's word stands in the place of what the archive shows."""
    return has_value(told) and (isinstance(told, Undecoded) or is_spoilt(shown))
