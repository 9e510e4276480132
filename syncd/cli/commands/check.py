"""`syncd check`: settings, both servers and the ledger, one line each, with what to do. It only reads."""

from __future__ import annotations

import typer

from syncd.cli.exits import Exit, exit_on_error
from syncd.cli.lines import echo


def check(context: typer.Context) -> None:
    """Check settings, archives, FHIR server and ledger; nothing is written.

    Exit 0: everything is as it should be (warnings included). 2: settings. 3: a server cannot be reached or is not what
    it should be. 4: the ledger cannot be used.
    """
    from syncd.cli.commands.findings import find_all
    from syncd.settings import load

    with exit_on_error():
        settings = load(config_file=context.obj)
        worst = Exit.DONE
        for line in find_all(settings):
            echo(f"{line.mark.value:5}{line.about:12}{line.text}")
            worst = line.code if worst is Exit.DONE else worst
        raise typer.Exit(worst)
