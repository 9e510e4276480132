"""The places a setting can come from, each read into the same form: a path, the value, and how it was named.

Command line, environment, settings file and secret files are read whole, so that an unknown name is found in each. Not
everything found there is ours: a folder of secrets holds other programs' secrets, and Kubernetes puts variables named
after a service called `syncd` into every container (`SYNCD_SERVICE_HOST`, `SYNCD_PORT=tcp://…`).
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from syncd.settings import catalogue
from syncd.settings.catalogue import ENVIRONMENT_ONLY, PREFIX

DEFAULT_CONFIG = Path("config/syncd.toml")
DOCKER_SECRETS = Path("/run/secrets")
SYSTEM_STATE = Path("/var/lib/syncd")
LARGEST_SECRET = 65_536
"""Bytes of a secret file; a larger one is some other file, named by mistake."""

_SERVICE_LINK = re.compile(
    r"SYNCD_(SERVICE_HOST=.*|SERVICE_PORT(_[A-Z0-9_]+)?=[0-9]+"
    r"|PORT=[a-z]+://.*|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?=.*)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A value as it was written; `name` is what its writer called it, `source` where it stands."""

    value: Any
    name: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that is wrong with one setting, in words that hold no secret."""

    name: str
    source: str
    wrong: str
    advice: str = ""

    def __str__(self) -> str:
        line = f"{self.name} ({self.source}): {self.wrong}"
        return f"{line}; {self.advice}" if self.advice else line


@dataclass(slots=True, kw_only=True)
class Layer:
    """Everything that one source gives. Unknown variables wait in `strangers` until all archives' names are known."""

    given: dict[catalogue.Path, Given] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    strangers: list[Given] = field(default_factory=list)

    def put(self, path: catalogue.Path, *, given: Given) -> None:
        """Keeps a value; an empty one counts as not given, a second one for the same setting as a mistake."""
        if given.value == "" or given.value is None:
            return
        if path in self.given:
            wrong = f"is given twice, also as {self.given[path].name}"
            self.problems.append(Problem(name=given.name, source=given.source, wrong=wrong, advice="keep one"))
            return
        self.given[path] = given


def command_line(overrides: Mapping[str, Any] | None) -> Layer:
    """Overrides by name as in the contract: `{"FHIR__URL": "http://…"}`."""
    layer = Layer()
    for name, value in (overrides or {}).items():
        _add_variable(layer, variable=PREFIX + name, given=Given(value=value, name=name, source="command line"))
    return layer


def environment(environ: Mapping[str, str]) -> Layer:
    """All `SYNCD_*` variables, and `<VARIABLE>_FILE`, which names a file that holds the value."""
    layer = Layer()
    for variable, value in sorted(environ.items()):
        if not _is_ours(variable, value=value):
            continue
        pointed = catalogue.path_of(variable[: -len("_FILE")]) if variable.upper().endswith("_FILE") else None
        if pointed is not None and catalogue.path_of(variable) is None:
            if value:
                _from_file(layer, path=pointed, file=Path(value), name=variable, source=f"environment, file {value}")
            continue
        _add_variable(layer, variable=variable, given=Given(value=value, name=variable, source="environment"))
    return layer


def settings_file(config_file: Path | None, *, environ: Mapping[str, str]) -> Layer:
    """The TOML file: `--config`, else `SYNCD_CONFIG`, else `config/syncd.toml` if it is there."""
    layer = Layer()
    named = _variable(environ, name="SYNCD_CONFIG")
    file = config_file or (Path(named) if named else DEFAULT_CONFIG)
    if file is DEFAULT_CONFIG and not file.exists():
        return layer
    name, source = ("--config", "command line") if config_file else ("SYNCD_CONFIG", "environment")
    if file is DEFAULT_CONFIG:
        name, source = str(file), "settings file"
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        wrong = f"the settings file {file} cannot be read: {error.strerror}"
        layer.problems.append(Problem(name=name, source=source, wrong=wrong))
    except UnicodeDecodeError:
        layer.problems.append(Problem(name=name, source=source, wrong=f"the settings file {file} is not UTF-8"))
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"\((at [^()]+)\)$", str(error))
        wrong = f"the settings file {file} is no TOML{' ' + place.group(1) if place else ''}"
        layer.problems.append(Problem(name=name, source=source, wrong=wrong))
    else:
        for path, value in _leaves(content):
            _add_key(layer, path=path, given=Given(value=value, name=catalogue.dot_path(path), source=f"file {file}"))
    return layer


def secret_files(environ: Mapping[str, str]) -> Layer:
    """Files named as the variables, in `SYNCD_SECRETS_DIR`, /run/secrets and `$CREDENTIALS_DIRECTORY`, in that order."""
    layer = Layer()
    named = _variable(environ, name="SYNCD_SECRETS_DIR")
    if named and not Path(named).is_dir():
        layer.problems.append(Problem(name="SYNCD_SECRETS_DIR", source="environment", wrong=f"{named} is no folder"))
    credentials = environ.get("CREDENTIALS_DIRECTORY", "")
    folders = [Path(named)] if named else []
    folders += [DOCKER_SECRETS, *([Path(credentials)] if credentials else [])]
    for folder in dict.fromkeys(folders):
        for path, given in _secrets_in(folder, layer=layer):
            if path not in layer.given:
                layer.put(path, given=given)
    return layer


def defaults(environ: Mapping[str, str]) -> Layer:
    """The one default that depends on the machine: where the ledger is."""
    state = environ.get("STATE_DIRECTORY", "").split(":")[0]  # systemd lists several, separated by colons
    if state:
        folder = Path(state)
    elif os.access(SYSTEM_STATE, os.W_OK | os.X_OK):
        folder = SYSTEM_STATE
    else:
        folder = Path(environ.get("HOME") or Path.home()) / ".local" / "state" / "syncd"
    layer = Layer()
    url = f"sqlite:///{folder / 'ledger.db'}"
    layer.put(("ledger", "url"), given=Given(value=url, name="SYNCD_LEDGER__URL", source="default"))
    return layer


def unknown_setting(given: Given, *, archives: frozenset[str]) -> Problem:
    """What to say of a variable or secret file that is no setting."""
    variable = given.name if given.name.upper().startswith(PREFIX) else PREFIX + given.name
    path = tuple(variable[len(PREFIX) :].lower().split("__"))
    if catalogue.is_later(path):
        wrong, advice = "this version does not have this setting yet", "remove it"
    elif variable[len(PREFIX) :].upper() in ENVIRONMENT_ONLY:
        wrong, advice = "can only be set in the environment", ""
    else:
        meant = catalogue.closest_variable(variable, archives=archives)
        shown = meant if meant is None or given.name == variable else meant.removeprefix(PREFIX)
        wrong, advice = "is no setting", f"did you mean {shown}?" if shown else "see `syncd config init` for all of them"
    return Problem(name=given.name, source=given.source, wrong=wrong, advice=advice)


def _is_ours(variable: str, *, value: str) -> bool:
    if not variable.upper().startswith(PREFIX) or variable.upper().removeprefix(PREFIX) in ENVIRONMENT_ONLY:
        return False
    return _SERVICE_LINK.fullmatch(f"{variable}={value}") is None


def _variable(environ: Mapping[str, str], *, name: str) -> str:
    return next((value for variable, value in environ.items() if variable.upper() == name), "")


def _add_variable(layer: Layer, *, variable: str, given: Given) -> None:
    path = catalogue.path_of(variable)
    if path is None:
        layer.strangers.append(given)
    else:
        layer.put(path, given=given)


def _add_key(layer: Layer, *, path: catalogue.Path, given: Given) -> None:
    """A TOML key; a table of an unknown name is told once and not for each key in it."""
    if catalogue.setting_at(path) is not None:
        layer.put(path, given=given)
        return
    if catalogue.is_later(path):
        wrong, advice = "this version does not have this setting yet", "remove it"
    elif path[0].upper() in ENVIRONMENT_ONLY:
        wrong, advice = "can only be set in the environment", f"use {catalogue.variable_of(path[:1])}"
    elif path[0] == "archives" and len(path) < 3:
        wrong, advice = "is no archive", "give each archive a table of its own: [archives.main]"
    else:
        meant = catalogue.closest_key(path)
        wrong, advice = "is no setting", f"did you mean {meant}?" if meant else "see `syncd config init` for all of them"
    layer.problems.append(Problem(name=given.name, source=given.source, wrong=wrong, advice=advice))


def _leaves(table: Mapping[str, Any], path: catalogue.Path = ()) -> Iterator[tuple[catalogue.Path, Any]]:
    """The settings in a TOML table: down to known settings, and to the first unknown name where there is none."""
    for key, value in table.items():
        here = (*path, key)
        if isinstance(value, dict) and _is_table(here):
            yield from _leaves(value, here)
        else:
            yield here, value


def _is_table(path: catalogue.Path) -> bool:
    general = ("archives", catalogue.NAME, *path[2:]) if path[0] == "archives" and len(path) > 1 else path
    return any(setting.path[: len(general)] == general != setting.path for setting in catalogue.CATALOGUE)


def _secrets_in(folder: Path, *, layer: Layer) -> Iterator[tuple[catalogue.Path, Given]]:
    try:
        files = sorted(file for file in folder.iterdir() if file.name.upper().startswith(PREFIX) and not file.is_dir())
    except OSError:
        return
    for file in files:
        path = catalogue.path_of(file.name)
        if path is None:
            layer.strangers.append(Given(value=None, name=file.name, source=f"secret file {file}"))
            continue
        one = Layer()
        _from_file(one, path=path, file=file, name=file.name, source=f"secret file {file}")
        layer.problems += one.problems
        yield from one.given.items()


def _from_file(layer: Layer, *, path: catalogue.Path, file: Path, name: str, source: str) -> None:
    """One value from one file, without its trailing line break."""
    wrong = ""
    try:
        with file.open("rb") as stream:
            content = stream.read(LARGEST_SECRET + 1)
        text = content.decode().rstrip("\r\n")
        if not text:
            wrong = "the file is empty"
        elif len(content) > LARGEST_SECRET:
            wrong = "the file is too large to hold one value"
    except OSError as error:
        wrong = f"the file cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        wrong = "the file is not UTF-8"
    if wrong:
        layer.problems.append(Problem(name=name, source=source, wrong=wrong))
    else:
        layer.put(path, given=Given(value=text, name=name, source=source))
