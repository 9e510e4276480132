"""Values that say which studies are published and when: lists of rules, a history, a rate, hours of the day.

What they mean is the room `selection`'s; here its complaints become those of a setting.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BeforeValidator

from syncd.selection.history import parse_history
from syncd.selection.rules import UnusableRule
from syncd.selection.rules import parse as parse_rule
from syncd.selection.window import ALWAYS, parse_window
from syncd.settings.values import BadValue, Written

T = TypeVar("T")


def text_list(given: object) -> object:
    """A list of texts; where only text can be written, as JSON, or separated by commas."""
    if isinstance(given, str):
        text = given.strip()
        if not text.startswith("["):
            return tuple(part.strip() for part in text.split(",") if part.strip())
        try:
            given = json.loads(text)
        except (ValueError, RecursionError):
            raise BadValue("is no JSON", 'write it as ["modality=SR", "PatientID=TEST*"]') from None
    if not isinstance(given, list | tuple) or not all(isinstance(one, str) for one in given):
        raise BadValue("is no list of texts", 'write it as ["modality=SR", "PatientID=TEST*"]')
    return tuple(given)


def selection_rules(given: tuple[str, ...]) -> tuple[str, ...]:
    """Rules as `syncd.selection` understands them."""
    for one in given:
        usable(parse_rule, one)
    return given


def history_text(text: str) -> str:
    """`all`, `none` or `since:YYYYMMDD`."""
    return usable(parse_history, text).text


def window_text(text: str) -> str:
    """`HH:MM-HH:MM`, or `always`."""
    window = usable(parse_window, text)
    return window.text if window is not None else ALWAYS


def character_set(text: str) -> str:
    """A (0008,0005) that images could have: its values are separated by backslashes."""
    from syncd.snapshot.values.character_sets import character_sets  # and pydicom with it: few sites name a set

    if character_sets(text) is None:
        raise BadValue("names no character set of DICOM", "write a Defined Term of (0008,0005), such as ISO_IR 100")
    return text


def usable(parse: Callable[[str], T], text: str) -> T:
    """What `parse` makes of it; its complaint as ours."""
    try:
        return parse(text)
    except UnusableRule as error:
        raise BadValue(error.wrong, error.advice) from None


def backfill_rate(given: object) -> object:
    """Studies per second; `unlimited` is None."""
    if given is None or (isinstance(given, str) and given.strip().lower() == "unlimited"):
        return None
    try:
        rate = float(given) if isinstance(given, str | int | float) and not isinstance(given, bool) else math.nan
    except ValueError:
        rate = math.nan
    if not 0.001 <= rate <= 10_000:
        raise BadValue("is no number of studies per second", "write 0.001 to 10000, or unlimited")
    return rate


Rules = Annotated[
    tuple[str, ...],
    BeforeValidator(text_list),
    AfterValidator(selection_rules),
    Written(form="list of key=pattern", example='["modality=SR", "PatientID=TEST*"]'),
]
HistoryText = Annotated[str, AfterValidator(history_text), Written(form="all, since:DATE or none", example='"all"')]
WindowText = Annotated[str, AfterValidator(window_text), Written(form="always, or HH:MM-HH:MM", example='"20:00-06:00"')]
Rate = Annotated[
    float | None, BeforeValidator(backfill_rate), Written(form="studies per second, or unlimited", example='"unlimited"')
]
CharacterSet = Annotated[str, AfterValidator(character_set), Written(form="DICOM Defined Term", example='"ISO_IR 100"')]
