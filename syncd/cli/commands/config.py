"""`syncd config show|init`: what the settings are and where each came from; a commented file to start from."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from syncd.cli.exits import exit_on_error
from syncd.cli.lines import echo
from syncd.errors import ConfigurationError
from syncd.visible import visible

if TYPE_CHECKING:
    from rich.table import Table

    from syncd.settings.shown import ShownSetting

app = typer.Typer(help="Show the settings, or write a commented settings file.", no_args_is_help=True)


@app.command()
def show(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON: variable, value, source, secret.")] = False,
) -> None:
    """Every setting, its value and where it came from. Secrets are not shown."""
    from rich.console import Console

    from syncd.settings import load
    from syncd.settings.shown import shown_settings

    with exit_on_error():
        settings = shown_settings(load(config_file=context.obj))
    if as_json:
        document = {"settings": [asdict(setting) for setting in settings]}
        echo(json.dumps(document, ensure_ascii=False, indent=2))
        return
    console = Console()
    if console.is_terminal:
        console.print(_table(settings))
        return
    for setting in settings:
        echo(f"{setting.variable} = {setting.value or '(unset)'}  # {setting.source}")


@app.command()
def init(
    file: Annotated[Path, typer.Argument(help="The file to write; '-' prints it.")] = Path("config/syncd.toml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that exists.")] = False,
) -> None:
    """Write a commented settings file with every setting."""
    from syncd.settings.document import toml_template

    if str(file) == "-":
        echo(toml_template(), nl=False)
        return
    with exit_on_error():
        _write(file, toml_template(), force=force)
    echo(f"{file} written: set the two addresses in it, then run `syncd check`")


def _write(file: Path, text: str, *, force: bool) -> None:
    """Readable by its owner only, because a password may be added to it."""
    flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if force else os.O_EXCL)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(file, flags, 0o600), "w", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as error:
        raise ConfigurationError(f"{file} exists: give another name, or --force to overwrite it") from error
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be written: {error.strerror}") from error


def _table(settings: tuple[ShownSetting, ...]) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table("setting", "value", "source")
    for setting in settings:
        table.add_row(setting.variable, escape(visible(setting.value)) or "[dim]unset[/dim]", escape(setting.source))
    return table
