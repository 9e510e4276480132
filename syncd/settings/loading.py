"""`load`: all sources read, the strongest value of each setting kept, everything that is wrong said at once.

Precedence: command line > environment > settings file > secret files > defaults (docs/settings.md). A mapping such as
`issuers` is one value: the strongest source's replaces the others', so that it has one origin. An error says more than
the validator does: which of the sources a wrong value came from, under the name its writer used, without repeating a
value that could be a secret.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from syncd.errors import ConfigurationError
from syncd.settings import catalogue, sources
from syncd.settings.contradictions import contradictions, missing_setting
from syncd.settings.schema import Settings
from syncd.settings.sources import Given, Layer, Problem
from syncd.settings.values import BadValue, duration_text

_LONGEST_SHOWN = 40
"""Characters of a wrong value that are repeated; a longer one is something else, pasted by mistake."""

_EXPECTED = {"bool": "true or false", "int": "a whole number", "string": "text, in quotes", "path": "the path of a file"}
"""What to write instead, by the first word of pydantic's error type."""


_FILE = 2
"""The place of the settings file among the layers of `load`."""


class BadSettings(ConfigurationError):
    """The settings cannot be used."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(dict.fromkeys(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def load(
    *,
    config_file: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """The settings of this process. `overrides` are the command line's, by name as in the contract: `{"FHIR__URL": …}`.

    Raises `BadSettings` (a `ConfigurationError`) whose message has one line for every problem.
    """
    layers = (
        sources.command_line(overrides),
        sources.environment(environ),
        sources.settings_file(config_file, environ=environ),
        sources.secret_files(environ),
        sources.defaults(environ),
    )
    given: dict[catalogue.Path, Given] = {}
    for layer in reversed(layers):
        given.update(layer.given)
    problems = [*_read_errors(layers, given=given), *contradictions(given)]
    try:
        settings = Settings(**_nest(given, archives=_in_order(layers)))
    except ValidationError as error:
        raise BadSettings([*problems, *_invalid(error, given=given)]) from None
    if problems:
        raise BadSettings(problems)
    settings._origins = {path: one.source for path, one in given.items()}
    return settings


def _read_errors(layers: Iterable[Layer], *, given: Mapping[catalogue.Path, Given]) -> Iterator[Problem]:
    archives = frozenset(path[1] for path in given if path[0] == "archives")
    for layer in layers:
        yield from layer.problems
        for stranger in layer.strangers:
            yield sources.unknown_setting(stranger, archives=archives)


def _in_order(layers: Iterable[Layer]) -> list[str]:
    """The archives as the settings file orders them, then the others by name: it decides between equals (RULES C8)."""
    by_layer = [list(dict.fromkeys(path[1] for path in layer.given if path[0] == "archives")) for layer in layers]
    written = by_layer[_FILE]
    return [*written, *sorted({name for names in by_layer for name in names} - set(written))]


def _nest(given: Mapping[catalogue.Path, Given], *, archives: Iterable[str]) -> dict[str, Any]:
    """The values by block; blocks that hold something required are always there, so that it is named when missing."""
    tree: dict[str, Any] = {"archives": {name: {} for name in archives}, "fhir": {}}
    for path, one in given.items():
        block = tree
        for part in path[:-1]:
            block = block.setdefault(part, {})
        block[path[-1]] = one.value
    return tree


def _invalid(error: ValidationError, *, given: Mapping[catalogue.Path, Given]) -> Iterator[Problem]:
    for detail in error.errors(include_url=False):
        path = tuple(str(part) for part in detail["loc"])
        while path and catalogue.setting_at(path) is None:  # inside a mapping: told of the mapping
            path = path[:-1]
        one = given.get(path)
        if one is None:
            yield missing_setting(path)
            continue
        wrong, advice = _words(detail, path=path, one=one)
        yield Problem(name=one.name, source=one.source, wrong=wrong, advice=advice)


def _words(detail: ErrorDetails, *, path: catalogue.Path, one: Given) -> tuple[str, str]:
    """What is wrong with a value, and what to write instead."""
    setting = catalogue.BY_PATH[path] if path in catalogue.BY_PATH else catalogue.setting_at(path)
    context = detail.get("ctx", {})
    if isinstance(context.get("error"), BadValue):
        return context["error"].wrong, context["error"].advice
    shown = _value_in_words(one.value, secret=setting is None or setting.is_secret)
    if setting is not None and setting.choices:
        close = get_close_matches(str(one.value).lower(), setting.choices, n=1)
        return f"{shown} is none of {setting.form}", f"did you mean {close[0]}?" if close else ""
    for key, word in (("ge", "at least"), ("le", "at most")):
        if key in context:
            limit = duration_text(context[key]) if setting and setting.is_duration else context[key]
            return f"{shown} is out of range", f"use {word} {limit}"
    expected = _EXPECTED.get(detail["type"].split("_")[0], "another kind of value")
    return f"{shown} cannot be used", f"write {expected}"


def _value_in_words(value: object, *, secret: bool) -> str:
    """A wrong value, repeated only where it is a short word or number of a setting that is no secret."""
    text = str(value)
    plain = isinstance(value, str | int | float) and len(text) <= _LONGEST_SHOWN and text.isprintable()
    return f"`{text}`" if plain and not secret and "@" not in text else "the value"
