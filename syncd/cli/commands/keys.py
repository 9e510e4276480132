"""`syncd keys new|show|drop`: the key pairs by which SMART Backend Services know syncd, and their exchange."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from syncd.cli.exits import exit_on_error
from syncd.cli.lines import echo
from syncd.errors import ConfigurationError

app = typer.Typer(
    help="Key pairs for SMART Backend Services: make one, show what to register, drop an old one.", no_args_is_help=True
)

FILE = "The key file, a private JWK Set; unset: SYNCD_FHIR__AUTH__PRIVATE_KEY_FILE."


class Algorithm(StrEnum):
    ES384 = "ES384"
    RS384 = "RS384"


@app.command()
def new(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(help=FILE)] = None,
    algorithm: Annotated[
        Algorithm, typer.Option("--algorithm", case_sensitive=False, help="ES384, or RS384 where a server knows no other.")
    ] = Algorithm.ES384,
) -> None:
    """Make a key pair. A new file is readable by its owner only; in one that exists the key is added behind the others,
    and the first one goes on signing until it is dropped. Nothing is overwritten."""
    from syncd.auth.key_file import read_key_file, write_key_file
    from syncd.auth.keys import new_key

    with exit_on_error():
        place = _place(context, file)
        present = read_key_file(place) if place.exists() else ()
        made = new_key(algorithm.value)
        write_key_file(place, [*present, made])
    echo(f"{place}: key {made.kid} ({made.algorithm}) made")
    if present:
        echo(f"{present[0].kid} goes on signing. Register what `syncd keys show` prints, then drop that one")
    else:
        echo("register what `syncd keys show` prints")


@app.command()
def show(context: typer.Context, file: Annotated[Path | None, typer.Argument(help=FILE)] = None) -> None:
    """Print the public keys as a JWK Set, to be registered at the authorization server."""
    from syncd.auth.key_file import read_key_file
    from syncd.auth.keys import public_set

    with exit_on_error():
        document = public_set(read_key_file(_place(context, file)))
    echo(json.dumps(document, indent=2))


@app.command()
def drop(
    context: typer.Context,
    kid: Annotated[str, typer.Argument(help="The key's `kid`.")],
    file: Annotated[Path | None, typer.Argument(help=FILE)] = None,
) -> None:
    """Take a key out of the file. The next one signs from the next token on; a running daemon needs no restart."""
    from syncd.auth.key_file import read_key_file, write_key_file

    with exit_on_error():
        place = _place(context, file)
        keys = read_key_file(place)
        kept = [key for key in keys if key.kid != kid]
        if len(kept) == len(keys):
            raise ConfigurationError(f"{place} holds no key {kid}, only {', '.join(key.kid for key in keys)}")
        if not kept:
            raise ConfigurationError(f"{kid} is the only key of {place}: make the next one first, by `syncd keys new`")
        write_key_file(place, kept)
    echo(f"{place}: key {kid} dropped, {kept[0].kid} signs")


def _place(context: typer.Context, file: Path | None) -> Path:
    from syncd.settings import load

    if file is not None:
        return file
    found = load(config_file=context.obj).fhir.auth.private_key_file
    if found is None:
        raise ConfigurationError("which key file? Name it, or set SYNCD_FHIR__AUTH__PRIVATE_KEY_FILE")
    return found
