"""The list of all settings, walked from the schema, and the names under which people write them.

A setting has a path (`fhir`, `auth`, `token`), a variable (`SYNCD_FHIR__AUTH__TOKEN`) and a place in TOML
(`fhir.auth.token`). The archive's name stands in the middle of a path, is chosen by the operator, and may hold single
underscores itself: a variable is therefore read from both ends, by the known word before and after the name.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from syncd.settings.schema import Settings
from syncd.settings.values import Duration, Written, duration_text

Path = tuple[str, ...]

NAME = "<name>"
"""Stands for the archive's name in a path of the catalogue."""
PREFIX = "SYNCD_"
ENVIRONMENT_ONLY = {
    "CONFIG": "the settings file; unset: config/syncd.toml below the working directory, if it is there",
    "SECRETS_DIR": "a folder of secret files, each named as the variable that it stands for",
}
"""Variables that say where settings are, and therefore are none."""

_DURATION = next(mark for mark in get_args(Duration) if isinstance(mark, Written))


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting as the schema has it; `path` has `NAME` where the operator chooses."""

    path: Path
    field: FieldInfo
    block_text: str
    """What the block is about."""

    @property
    def variable(self) -> str:
        return variable_of(self.path)

    @property
    def text(self) -> str:
        """What it means, in one paragraph."""
        return " ".join((self.field.description or "").split())

    @property
    def is_required(self) -> bool:
        return self.field.is_required()

    @property
    def is_duration(self) -> bool:
        return self._written_form == _DURATION

    @property
    def is_secret(self) -> bool:
        return any(part is SecretStr for part in _parts(self.field.annotation))

    @property
    def choices(self) -> tuple[str, ...]:
        """The words that it may be, if it is one of a few."""
        literals = (part for part in _parts(self.field.annotation) if get_origin(part) is Literal)
        return next((get_args(literal) for literal in literals), ())

    @property
    def form(self) -> str:
        """How a value is written, in words."""
        if self.choices:
            return ", ".join(self.choices)
        written = self._written_form
        if written is not None:
            return written.form
        if self.field.annotation is bool:
            return "true or false"
        return "number" if self.field.annotation is int else "text"

    @property
    def default_text(self) -> str:
        """The default as somebody would write it; empty where it is unset."""
        extra = self.field.json_schema_extra
        if isinstance(extra, dict) and "default_text" in extra:
            return str(extra["default_text"])
        return "" if self.is_required else value_text(self, self.field.get_default(call_default_factory=True))

    @property
    def example(self) -> str:
        """A value in TOML: the default where there is one, else an example."""
        default = None if self.is_required else self.field.get_default(call_default_factory=True)
        if default in (None, "", {}, ()):
            examples = self.field.examples
            return f'"{examples[0]}"' if examples else (self._written_form or _DURATION).example
        return value_text(self, default) if isinstance(default, bool | int) else f'"{value_text(self, default)}"'

    @property
    def _written_form(self) -> Written | None:
        marks = (*self.field.metadata, *_parts(self.field.annotation))
        return next((mark for mark in marks if isinstance(mark, Written)), None)


def value_text(setting: Setting, value: Any) -> str:
    """A value that is no secret, as somebody would write it."""
    if value is None or value in ({}, ()):
        return ""
    if setting.is_duration:
        return duration_text(value)
    if isinstance(value, dict | tuple):
        return json.dumps(value, ensure_ascii=False)
    return str(value).lower() if isinstance(value, bool) else str(value)


def variable_of(path: Path) -> str:
    """`SYNCD_FHIR__URL` for the path of a setting."""
    return PREFIX + "__".join(path).upper()


def dot_path(path: Path) -> str:
    """`fhir.url` for the path of a setting, as TOML names it."""
    return ".".join(path)


def path_of(variable: str) -> Path | None:
    """The path that a variable names, or None where there is no such setting. Case does not matter."""
    name = variable.removeprefix(PREFIX).lower() if variable.startswith(PREFIX) else variable[len(PREFIX) :].lower()
    if tuple(name.split("__")) in BY_PATH:
        return tuple(name.split("__"))
    if name.startswith("archives__"):
        rest = name.removeprefix("archives__")
        for path in (setting.path for setting in CATALOGUE if NAME in setting.path):
            archive = rest.removesuffix("__" + "__".join(path[2:]))
            if archive and archive != rest and "__" not in archive:
                return ("archives", archive, *path[2:])
    return None


def setting_at(path: Path) -> Setting | None:
    """The setting at a path, whatever the archive's name in it is."""
    return BY_PATH.get(path) or BY_PATH.get(_general(path))


def is_later(path: Path) -> bool:
    """Whether the contract names this setting, but this version does not have it yet."""
    return _general(path) in LATER


def closest_variable(variable: str, *, archives: Iterable[str]) -> str | None:
    """The variable that was probably meant. `archives` are the names that other settings use."""
    middle = variable.upper().removeprefix(PREFIX).split("__")[1:2]
    names = {name.upper() for name in archives} | set(middle) | {"MAIN"}
    candidates = [PREFIX + name for name in ENVIRONMENT_ONLY]
    for setting in CATALOGUE:
        if NAME in setting.path:
            candidates += [setting.variable.replace(NAME.upper(), name) for name in names]
        else:
            candidates.append(setting.variable)
    close = get_close_matches(variable.upper(), candidates, n=1, cutoff=0.6)
    return close[0] if close else None


def closest_key(path: Path) -> str | None:
    """The TOML key or table that was probably meant by an unknown one."""
    name = path[1] if len(path) > 1 and path[0] == "archives" else "main"
    candidates = set()
    for setting in CATALOGUE:
        whole = tuple(name if part == NAME else part for part in setting.path)
        candidates |= {dot_path(whole[:end]) for end in range(1, len(whole) + 1)}
    close = get_close_matches(dot_path(path).lower(), sorted(candidates), n=1, cutoff=0.6)
    return close[0] if close else None


def _general(path: Path) -> Path:
    return ("archives", NAME, *path[2:]) if path[:1] == ("archives",) and len(path) > 2 else path


def _parts(annotation: Any) -> Iterator[Any]:
    """An annotation and everything inside it."""
    yield annotation
    if get_origin(annotation) is not Literal:
        for part in get_args(annotation):
            yield from _parts(part)


def _walk(model: type[BaseModel], path: Path) -> Iterator[Setting]:
    nested: list[tuple[type[BaseModel], Path]] = []
    for name, field in model.model_fields.items():
        block = next((part for part in _parts(field.annotation) if _is_block(part)), None)
        if block is None:
            yield Setting(path=(*path, name), field=field, block_text=_first_line(model))
        else:
            nested.append((block, (*path, name, NAME) if name == "archives" else (*path, name)))
    for block, below in nested:
        yield from _walk(block, below)


def _first_line(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").split("\n")[0]


def _is_block(part: Any) -> bool:
    return isinstance(part, type) and issubclass(part, BaseModel)


def _later(block: str, names: str) -> set[Path]:
    return {(*block.split("."), name) for name in names.split()}


CATALOGUE: tuple[Setting, ...] = tuple(_walk(Settings, ()))
BY_PATH: dict[Path, Setting] = {setting.path: setting for setting in CATALOGUE}

LATER: frozenset[Path] = frozenset(
    _later("fhir", "bundle_entries bundle_instances") | _later("web", "show_patient thumbnails")
)
"""Settings that the contract names and this version does not have: refused, with that reason."""
