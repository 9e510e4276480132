"""What runs beside syncd, each as a process of its own: the floor, the script that sites write, dicom2fhir."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.floor import renamed
from benchmarks.site import shapes
from benchmarks.site.program import ROOT, run
from benchmarks.site.session import Content, Session
from scripts.steps import WORK
from tests.servers import Archive

DICOM2FHIR = (
    "dicom2fhir==0.1.25",
    "pydantic==2.11.7",
    "annotated-types==0.7.0",
    "fhir.resources==8.1.0",
    "fhir-core==1.1.3",
)
"""With the libraries that it works with: newer ones refuse its models."""
OWN_ENVIRONMENT = WORK / "dicom2fhir"


def floor(
    session: Session, bodies: Sequence[bytes], *, archive: Archive | None = None, only: Sequence[str] | None = None
) -> float:
    """Studies a second that the floor makes of these bodies under new UIDs; without `archive` nothing is read."""
    number = shapes.new_run()
    folder = session.new_folder("floor")
    (folder / "bodies").write_bytes(b"\n".join(renamed(body, run=number) for body in bodies))
    job: dict[str, Any] = {"fhir": session.hapi.base_url, "bodies": "bodies", "studies": only}
    if archive is not None:
        job |= {"archive": archive.url, "headers": dict(archive._headers)}
    file = folder / "job.json"
    file.write_text(json.dumps(job), encoding="utf-8")
    done = run([sys.executable, "-m", "benchmarks.floor", str(file)], directory=folder, environment=_environment()).json
    return float(done["studies"] / done["seconds"])


def script(session: Session, content: Content) -> float:
    """Studies a second that the script makes."""
    archive = content.archive
    told = {
        "ORTHANC_URL": archive.url,
        "ORTHANC_USER": archive.username,
        "ORTHANC_PASSWORD": archive.password,
        "FHIR_URL": session.hapi.base_url,
    }
    command = [sys.executable, "-m", "benchmarks.baseline_script"]
    done = run(command, directory=session.new_folder("script"), environment={**_environment(), **told}).json
    return float(done["studies"] / done["seconds"])


def dicom2fhir(session: Session, content: Content, *, python: Path) -> tuple[float, float]:
    """Studies a second that dicom2fhir makes of the same files, sent and unsent."""
    folder = session.new_folder("files")
    for study in range(content.shape.studies):
        place = folder / f"{study:06d}"
        place.mkdir()
        for number, file in enumerate(shapes.study_files(content.shape, run=content.run, study=study)):
            (place / f"{number}.dcm").write_bytes(file)
    program = str(ROOT / "benchmarks" / "baseline_dicom2fhir.py")
    command = [str(python), program, str(folder), session.hapi.base_url]
    done = run(command, directory=session.new_folder("dicom2fhir")).json
    return done["studies"] / done["seconds"], done["studies"] / done["making"]


def python_with_dicom2fhir() -> Path | None:
    """A Python of an environment of its own that has it, made at the first time; None where it cannot be had."""
    python = OWN_ENVIRONMENT / "bin" / "python"
    if not (OWN_ENVIRONMENT / ".installed").exists():
        venv.create(OWN_ENVIRONMENT, with_pip=True, clear=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", *DICOM2FHIR]
        if subprocess.run(install, stdin=subprocess.DEVNULL, capture_output=True, timeout=600).returncode != 0:
            return None
        (OWN_ENVIRONMENT / ".installed").touch()
    return python


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}
