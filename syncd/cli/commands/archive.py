"""`syncd archive`: which archives the ledger knows, and the operator's word about one: an exchanged one is right (RULES A4),
a removed one will not come back (RULES C8)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from syncd.cli.exits import Exit, exit_on_error
from syncd.cli.lines import echo, echo_rows
from syncd.errors import ConfigurationError, SyncdError
from syncd.model.ids import ArchiveName
from syncd.model.words import ArchiveState

if TYPE_CHECKING:
    from syncd.ledger.ledger import Ledger
    from syncd.settings import Settings

app = typer.Typer(
    help="Show the archives, accept one that was exchanged or wiped, or forget one that will not come back.",
    no_args_is_help=True,
)


@app.command("list")
def list_archives(context: typer.Context) -> None:
    """Show each archive with its state, and why it is paused."""
    from syncd.ledger.ledger import Ledger
    from syncd.loop import removed_archive
    from syncd.settings import load

    with exit_on_error():
        settings = load(config_file=context.obj)
        ledger = Ledger.open_guest(settings.ledger.url)
        try:
            positions = {name: ledger.feed.standing(ArchiveName(name)) for name in settings.archives}
            rows = [
                (name, at.state.value if at else "not followed yet", at.reason if at else "")
                for name, at in positions.items()
            ]
            away = removed_archive.removed_archives(ledger, map(ArchiveName, settings.archives))
            echo_rows([*rows, *((gone, ArchiveState.REMOVED.value, removed_archive.why(gone)) for gone in away)])
        finally:
            ledger.close()


@app.command()
def accept(context: typer.Context, name: Annotated[str, typer.Argument(metavar="NAME", help="The archive's name.")]) -> None:
    """Go on with a paused archive as it is now.

    Its studies are listed anew and published. What was published before and is no longer there is taken back: at once if
    that is little, else it waits for your word (`syncd status` tells how many). May be used beside a running daemon, which
    notices within a second.
    """
    from syncd.ledger.ledger import Ledger
    from syncd.settings import load

    with exit_on_error():
        settings = load(config_file=context.obj)
        ledger = Ledger.open_guest(settings.ledger.url)
        try:
            position = ledger.feed.standing(ArchiveName(name))
            if position is None:
                raise ConfigurationError(f"the ledger knows no archive {name!r}; it knows {', '.join(settings.archives)}")
            if position.state is not ArchiveState.PAUSED:
                echo(f"{name} is not paused; nothing to accept")
                raise typer.Exit(Exit.DONE)
            forgotten = ledger.archives.accept(ArchiveName(name))
            echo(f"{name} accepted: {forgotten} known copies forgotten, the archive is listed anew")
        finally:
            ledger.close()


@app.command()
def forget(context: typer.Context, name: Annotated[str, typer.Argument(metavar="NAME", help="The archive's name.")]) -> None:
    """Let go of an archive that was taken out of the settings and will not come back.

    Its studies waited until now. They are looked at again by what the other archives hold, and its Endpoints are switched
    off. May be used beside a running daemon, if that was started with the new settings.
    """
    from syncd.ledger.ledger import Ledger
    from syncd.loop import removed_archive
    from syncd.settings import load

    with exit_on_error():
        settings = load(config_file=context.obj)
        beside = Ledger.owner_alive(settings.ledger.url) is not None
        ledger = Ledger.open_guest(settings.ledger.url) if beside else Ledger.open(settings.ledger.url)
        try:
            archive = ArchiveName(name)
            removed_archive.require_forgettable(ledger, archive, configured=settings.archives, now=time.time())
            dropped = ledger.archives.forget(archive)
            echo(f"{name} forgotten: {dropped} copies dropped, their studies are looked at again")
            echo(f"its Endpoints: {_endpoints(settings, ledger, beside=beside)}")
        finally:
            ledger.close()


def _endpoints(settings: Settings, ledger: Ledger, *, beside: bool) -> str:
    """What becomes of them: only the ledger's owner may write to the FHIR server."""
    from syncd.cli.wiring import site
    from syncd.loop.connect import connect

    if beside:
        return "the running daemon switches them off"
    try:
        connect(site(settings), ledger)
    except SyncdError as error:
        return f"switched off by the next run ({error})"
    return "switched off"
