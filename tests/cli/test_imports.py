"""What a command imports: only what it needs. Counted, not timed: each of these libraries costs as much as the answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from syncd.ledger.ledger import Ledger

LIBRARIES = frozenset(
    [
        "alembic",
        "apscheduler",
        "cryptography",
        "fhir",
        "fhirclient",
        "httpx",
        "joserfc",
        "prometheus_client",
        "psycopg",
        "pydantic",
        "pydicom",
        "pyorthanc",
        "requests",
        "rich",
        "sqlalchemy",
        "sqlite3",
        "starlette",
        "structlog",
        "typer",
        "urllib3",
        "uvicorn",
    ]
)
"""Every library behind a door of syncd's, and the database's driver."""

TELL = """
import json, sys
from syncd.cli.app import app
try:
    app(sys.argv[1:])
except SystemExit as ended:
    code = ended.code
print(json.dumps([code, sorted(name.partition(".")[0] for name in sys.modules)]), file=sys.stderr)
"""

SITE = {"SYNCD_ARCHIVES__MAIN__URL": "http://127.0.0.1:1", "SYNCD_FHIR__URL": "http://127.0.0.1:1/fhir"}


def _imported(*words: str, folder: Path, **environ: str) -> tuple[int, set[str]]:
    """The exit code of a command that a process of its own ran, and which of the libraries were imported then."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SYNCD_")}
    ended = subprocess.run(
        [sys.executable, "-c", TELL, *words],
        cwd=folder,
        env={**clean, "PYTHONPATH": os.pathsep.join(sys.path), **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    code, modules = json.loads(ended.stderr.splitlines()[-1])
    return code, LIBRARIES & set(modules)


def test_help_imports_the_terminal_and_nothing_else(tmp_path: Path) -> None:
    """docs/decisions/imports.md: help is words; no library that any command works with is needed to print them."""
    code, imported = _imported("--help", folder=tmp_path)
    assert (code, imported) == (0, {"typer", "rich"})


@pytest.mark.parametrize(
    "command", ["run", "resync", "audit", "explain", "render", "check", "parked", "archive", "config", "keys"]
)
def test_the_help_of_a_command_needs_nothing_that_it_works_with(tmp_path: Path, command: str) -> None:
    """docs/decisions/imports.md: the module of a command is imported by the help of every other one."""
    code, imported = _imported(command, "--help", folder=tmp_path)
    assert code == 0
    assert imported <= {"typer", "rich", "pydantic"}  # by which typer reads options of its own


def test_status_imports_the_settings_and_the_driver(tmp_path: Path) -> None:
    """docs/decisions/imports.md: a health check every few seconds reads the ledger by SQLite's driver alone."""
    url = f"sqlite:///{tmp_path}/ledger.db"
    Ledger.open(url).close()
    code, imported = _imported("status", "--json", folder=tmp_path, SYNCD_LEDGER__URL=url, **SITE)
    assert (code, imported) == (3, {"typer", "pydantic", "sqlite3"})


def test_a_ledger_of_this_schema_is_opened_without_alembic(tmp_path: Path) -> None:
    """docs/decisions/imports.md: which schema a ledger has is one SELECT; only another one needs migrations."""
    url = f"sqlite:///{tmp_path}/ledger.db"
    Ledger.open(url).close()
    code, imported = _imported("parked", folder=tmp_path, SYNCD_LEDGER__URL=url, **SITE)
    assert code == 0
    assert "sqlalchemy" in imported
    assert "alembic" not in imported


def test_both_clients_need_no_library() -> None:
    """docs/decisions/http-client.md: neither server is asked by anything but the standard library."""
    clients = "syncd.archive.orthanc, syncd.publish.server, syncd.publish.asking"
    tell = f"import json, sys, {clients}; print(json.dumps([*sys.modules]))"
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run([sys.executable, "-c", tell], env=environ, capture_output=True, text=True, check=True)
    imported = {name.partition(".")[0] for name in json.loads(ended.stdout)}
    assert not imported & {"httpx", "httpcore", "pyorthanc", "requests", "urllib3"}
    assert "http.cookiejar" not in json.loads(ended.stdout)
