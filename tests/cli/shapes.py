"""The paths of a JSON document, as the tables of the docs write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def paths_of(document: Any, named: Mapping[str, str] | None = None, *, at: str = "") -> set[str]:
    """Every leaf by its path: `a.b`, `a[].b`. `named` says for which paths the keys are names, and how they are written;
    lists of texts and empty lists are leaves."""
    wanted = named or {}
    if isinstance(document, dict):
        if at in wanted:
            return {path for value in document.values() for path in paths_of(value, wanted, at=f"{at}.{wanted[at]}")}
        dot = f"{at}." if at else ""
        return {path for key, value in document.items() for path in paths_of(value, wanted, at=dot + key)}
    if isinstance(document, list) and document and isinstance(document[0], dict):
        return {path for value in document for path in paths_of(value, wanted, at=f"{at}[]")}
    return {at}
