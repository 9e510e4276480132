"""`syncd render STUDY`: what FHIR should say of one study, without asking or telling the FHIR server anything."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from syncd.cli.exits import exit_on_error
from syncd.cli.lines import echo, note_line
from syncd.errors import ConfigurationError

if TYPE_CHECKING:
    from syncd.model.snapshot import Note


def render(
    context: typer.Context,
    study: Annotated[str, typer.Argument(metavar="STUDY", help="A StudyInstanceUID or an Orthanc study id.")],
    fhir_version: Annotated[str, typer.Option(help="FHIR version to render.", metavar="V")] = "r4",
    with_notes: Annotated[
        bool, typer.Option("--notes", help="Also print what was odd, and what was done about it.")
    ] = False,
    with_companions: Annotated[
        bool, typer.Option("--companions", help="Also print what would be written before it, all in one Bundle.")
    ] = False,
) -> None:
    """Print the ImagingStudy of one study as it would be published when complete. Nothing is sent.

    With --companions a Bundle: first the Devices, Practitioners, Procedures and BodyStructures that would be written before
    it, as far as the settings want any, then the ImagingStudy.
    """
    from syncd.cli.wiring import site
    from syncd.loop.commands.render import render
    from syncd.mapping.dialects.registry import VERSIONS
    from syncd.settings import load

    with exit_on_error():
        if fhir_version not in VERSIONS:
            raise ConfigurationError(f"--fhir-version {fhir_version}: this version renders {', '.join(VERSIONS)}")
        tell = _tell if with_notes else lambda note: None
        *beside, resource = render(site(load(config_file=context.obj)), study, version=fhir_version, tell=tell)
        shown = _bundle([*beside, resource]) if with_companions else resource
        echo(json.dumps(shown, indent=2, ensure_ascii=False))


def _bundle(resources: Sequence[dict[str, object]]) -> dict[str, object]:
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": one} for one in resources]}


def _tell(note: Note) -> None:
    echo(note_line(**asdict(note)), err=True)
