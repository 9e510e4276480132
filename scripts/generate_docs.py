"""Writes the files that are generated from the source: the commented settings file, and tables in the docs.

Run from the checkout: `python scripts/generate_docs.py`. With `--check` nothing is written, and the exit code is 1 when a
file is stale.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from scripts.mapping_page.page import mapping_page  # noqa: E402
from syncd.cli.documents import audit_page  # noqa: E402
from syncd.settings.document import settings_page, toml_template  # noqa: E402
from syncd.web.metrics import metrics_page  # noqa: E402
from syncd.web.status import status_page  # noqa: E402
from tests.cases.page import cases_page  # noqa: E402

GENERATED: dict[str, Callable[[], str]] = {
    "config/syncd.toml": toml_template,
    "docs/settings.md": settings_page,
    "docs/metrics.md": metrics_page,
    "docs/mapping.md": mapping_page,
    "docs/status.md": status_page,
    "docs/audit.md": audit_page,
    "docs/cases.md": cases_page,
}


def stale(root: Path = ROOT) -> list[str]:
    """The files that do not say what the source says."""
    return [name for name, text in GENERATED.items() if not _says(root / name, text())]


def _says(file: Path, text: str) -> bool:
    return file.is_file() and file.read_text(encoding="utf-8") == text


def main(arguments: list[str]) -> int:
    names = stale()
    if "--check" in arguments:
        print("\n".join(f"{name} is stale: run python scripts/generate_docs.py" for name in names) or "all up to date")
        return 1 if names else 0
    for name in names:
        file = ROOT / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(GENERATED[name](), encoding="utf-8")
        print(f"{name} written")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
