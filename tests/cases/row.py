"""One row: what must hold, and the tests that show it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A rule or a situation, in a few words of our own."""

    group: str
    """The heading that it stands under."""
    name: str
    """The rule's number; empty for a situation."""
    says: str
    tests: tuple[str, ...]
    """`file::test`, from the top of the repository."""
    missing: str = ""
    """What of it no test shows, and why; empty where all is shown."""


def at(file: str, *names: str) -> tuple[str, ...]:
    """The tests of these names, without their `test_`, in one file below tests/."""
    return tuple(f"tests/{file}.py::test_{name}" for name in names)
