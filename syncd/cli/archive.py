"""`syncd archive`: which archives the ledger knows, and the operator's word that an exchanged one is right (RULES A4)."""

from __future__ import annotations

from typing import Annotated

import typer

from syncd.cli.exits import Exit, told
from syncd.errors import ConfigurationError
from syncd.ledger.ledger import Ledger
from syncd.model.ids import ArchiveName
from syncd.model.words import ArchiveState
from syncd.settings import load

app = typer.Typer(help="Show the archive, or accept it after it was exchanged or wiped.", no_args_is_help=True)


@app.command("list")
def listed(context: typer.Context) -> None:
    """Show each archive with its state, and why it is paused."""
    with told():
        settings = load(config_file=context.obj)
        ledger = Ledger.open_guest(settings.ledger.url)
        try:
            for name in settings.archives:
                position = ledger.feed_position(ArchiveName(name))
                state = position.state.value if position else "not followed yet"
                typer.echo(f"{name:20} {state:15} {position.reason if position else ''}".rstrip())
        finally:
            ledger.close()


@app.command()
def accept(context: typer.Context, name: Annotated[str, typer.Argument(metavar="NAME", help="The archive's name.")]) -> None:
    """Go on with a paused archive as it is now.

    Its studies are listed anew and published. What was published before and is no longer there stays as it is: nothing
    is taken back. May be used beside a running daemon, which notices within a second.
    """
    with told():
        settings = load(config_file=context.obj)
        ledger = Ledger.open_guest(settings.ledger.url)
        try:
            position = ledger.feed_position(ArchiveName(name))
            if position is None:
                raise ConfigurationError(f"the ledger knows no archive {name!r}; it knows {', '.join(settings.archives)}")
            if position.state is not ArchiveState.PAUSED:
                typer.echo(f"{name} is not paused; nothing to accept")
                raise typer.Exit(Exit.DONE)
            forgotten = ledger.accept_archive(ArchiveName(name))
            typer.echo(f"{name} accepted: {forgotten} known copies forgotten, the archive is listed anew")
        finally:
            ledger.close()
