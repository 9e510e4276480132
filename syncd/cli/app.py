"""`syncd`: one command per thing an operator does. Each reads the settings, opens what it needs, and says its exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from syncd import __version__
from syncd.cli.commands import archive, audit, config, daemon, explain, keys, parked, render, resync, status
from syncd.cli.commands import check as checking

app = typer.Typer(
    name="syncd",
    help=(
        "Keeps a FHIR server's ImagingStudy resources equal to what an Orthanc archive holds.\n\n"
        "Settings come from the environment (SYNCD_…), a TOML file and secret files: `syncd config init` writes a commented "
        "file, `syncd check` tries it against both servers, `syncd run` does the work.\n\n"
        "Exit codes: 0 done, 1 work left, 2 settings, 3 a server cannot be reached, 4 ledger refused, 130 interrupted."
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"syncd {__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    config_file: Annotated[
        Path | None, typer.Option("--config", help="Settings file (TOML); else $SYNCD_CONFIG, else config/syncd.toml.")
    ] = None,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options of every command."""
    context.obj = config_file


app.command("run")(daemon.run)
app.command("resync")(resync.resync)
app.command("audit")(audit.audit)
app.command("explain")(explain.explain)
app.command("render")(render.render)
app.command("status")(status.status)
app.command("check")(checking.check)
app.add_typer(parked.app, name="parked")
app.add_typer(archive.app, name="archive")
app.add_typer(keys.app, name="keys")
app.add_typer(config.app, name="config")


def main() -> None:
    """The console script."""
    app()
