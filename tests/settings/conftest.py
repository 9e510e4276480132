"""Settings that depend on nothing but what a test gives: an empty working directory and no secrets of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncd.settings import sources


@pytest.fixture(autouse=True)
def empty_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the test runs; /run/secrets and /var/lib/syncd are absent."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sources, "DOCKER_SECRETS", tmp_path / "run-secrets")
    monkeypatch.setattr(sources, "SYSTEM_STATE", tmp_path / "var-lib-syncd")
    return tmp_path
