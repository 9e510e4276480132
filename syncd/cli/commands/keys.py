"""`syncd keys new|show|drop`: the key pairs by which SMART Backend Services know syncd, and their exchange.

A key file is replaced as a whole and keeps its owner: the daemon, which reads it again for each token, never meets half
of one, and may be another user than the operator.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from syncd.auth.keys import ES384, RS384, BadKeys, SigningKey, new_key, private_set, public_set, read_keys
from syncd.cli.exits import exit_on_error
from syncd.errors import ConfigurationError
from syncd.settings import load

app = typer.Typer(
    help="Key pairs for SMART Backend Services: make one, show what to register, drop an old one.", no_args_is_help=True
)

FILE = "The key file, a private JWK Set; unset: SYNCD_FHIR__AUTH__PRIVATE_KEY_FILE."


class Algorithm(StrEnum):
    ES384 = ES384
    RS384 = RS384


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
    with exit_on_error():
        place = _place(context, file)
        present = _read(place) if place.exists() else ()
        made = new_key(algorithm.value)
        _write(place, (*present, made))
    typer.echo(f"{place}: key {made.kid} ({made.algorithm}) made")
    if present:
        typer.echo(f"{present[0].kid} goes on signing. Register what `syncd keys show` prints, then drop that one")
    else:
        typer.echo("register what `syncd keys show` prints")


@app.command()
def show(context: typer.Context, file: Annotated[Path | None, typer.Argument(help=FILE)] = None) -> None:
    """Print the public keys as a JWK Set, to be registered at the authorization server."""
    with exit_on_error():
        document = public_set(_read(_place(context, file)))
    typer.echo(json.dumps(document, indent=2))


@app.command()
def drop(
    context: typer.Context,
    kid: Annotated[str, typer.Argument(help="The key's `kid`.")],
    file: Annotated[Path | None, typer.Argument(help=FILE)] = None,
) -> None:
    """Take a key out of the file. The next one signs from the next token on; a running daemon needs no restart."""
    with exit_on_error():
        place = _place(context, file)
        keys = _read(place)
        kept = [key for key in keys if key.kid != kid]
        if len(kept) == len(keys):
            raise ConfigurationError(f"{place} holds no key {kid}, only {', '.join(key.kid for key in keys)}")
        if not kept:
            raise ConfigurationError(f"{kid} is the only key of {place}: make the next one first, by `syncd keys new`")
        _write(place, kept)
    typer.echo(f"{place}: key {kid} dropped, {kept[0].kid} signs")


def _place(context: typer.Context, file: Path | None) -> Path:
    if file is not None:
        return file
    found = load(config_file=context.obj).fhir.auth.private_key_file
    if found is None:
        raise ConfigurationError("which key file? Name it, or set SYNCD_FHIR__AUTH__PRIVATE_KEY_FILE")
    return found


def _read(place: Path) -> tuple[SigningKey, ...]:
    try:
        return read_keys(place.read_text(encoding="utf-8"))
    except BadKeys as bad:
        raise ConfigurationError(f"{place} {bad}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{place} is no key file") from None
    except OSError as error:
        raise ConfigurationError(f"{place} cannot be read: {error.strerror}") from None


def _write(place: Path, keys: Sequence[SigningKey]) -> None:
    """The whole file anew beside the old one, then in its place, with its owner and mode."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        descriptor, partial = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                stream.write(private_set(keys))
                stream.flush()
                os.fsync(stream.fileno())
            if place.exists():
                before = place.stat()
                os.chmod(partial, before.st_mode & 0o777)
                os.chown(partial, before.st_uid, before.st_gid)
            os.replace(partial, place)
        except BaseException:
            with suppress(OSError):
                os.unlink(partial)
            raise
    except OSError as error:
        raise ConfigurationError(f"{place} cannot be written: {error.strerror}") from None
