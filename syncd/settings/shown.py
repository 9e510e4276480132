"""Every setting with its value and where that came from, fit for a screen: secrets are said to be set, and no more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from syncd.settings.catalogue import CATALOGUE, NAME, Path, Setting, value_text, variable_of
from syncd.settings.schema import Settings

SET = "•••• (set)"
"""Stands for a secret that has a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownSetting:
    """`value` is empty where nothing is set; `source` is `default` or the place that the value came from."""

    variable: str
    value: str
    source: str
    secret: bool


def shown_settings(settings: Settings) -> tuple[ShownSetting, ...]:
    """All settings, in the order of the documents."""
    return tuple(
        _shown_setting(settings, path=path, setting=setting) for setting in CATALOGUE for path in _paths(settings, setting)
    )


def _paths(settings: Settings, setting: Setting) -> tuple[Path, ...]:
    if NAME not in setting.path:
        return (setting.path,)
    return tuple(tuple(name if part == NAME else part for part in setting.path) for name in settings.archives)


def _shown_setting(settings: Settings, *, path: Path, setting: Setting) -> ShownSetting:
    value: Any = settings
    for part in path:
        value = value[part] if isinstance(value, dict) else getattr(value, part)
    text = (SET if value else "") if setting.is_secret else value_text(setting, value)
    source = settings.origins.get(path, "default")
    return ShownSetting(variable=variable_of(path), value=text, source=source, secret=setting.is_secret)
