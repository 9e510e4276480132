"""What syncd logs stands in docs/operation.md, and nothing stands there that it never logs."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
_LEVELS = {"info", "warning", "error", "critical", "exception"}


def _logged() -> set[str]:
    """Every event of the code at a level that is written by default."""
    calls = (node for path in (ROOT / "syncd").rglob("*.py") for node in ast.walk(ast.parse(path.read_text())))
    events = (node.args[0] for node in calls if isinstance(node, ast.Call) and node.args and _is_logger(node.func))
    words = (word for event in events for word in ast.walk(event) if isinstance(word, ast.Constant))
    return {word.value for word in words if isinstance(word.value, str)}


def _is_logger(function: ast.expr) -> bool:
    if not isinstance(function, ast.Attribute) or function.attr not in _LEVELS:
        return False
    return ast.unparse(function.value) in ("log", "structlog.get_logger()")


def _told() -> set[str]:
    """The first column of the table of events."""
    page = (ROOT / "docs/operation.md").read_text()
    section = page.split("\n## Logs\n")[1].split("\n## ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {word for cell in cells for word in re.findall(r"`([a-z_]+)`", cell)}


def test_every_event_is_told_and_every_one_told_exists() -> None:
    """An operator who sees a line looks it up; who waits for one must not wait in vain."""
    logged, told = _logged(), _told()
    assert logged, "the code's events are found"
    assert sorted(logged - told) == [], "missing in docs/operation.md"
    assert sorted(told - logged) == [], "in docs/operation.md, but nowhere logged"
