"""How the code is built, in numbers: `make house`. The part of docs/architecture.md that holds them is made here, too.

Each row has a goal and, in `LIMITS`, what must not be exceeded: where the goal is met that is the goal, else what was
reached. A test holds them, so that the house cannot decay unseen; who makes a number better lowers its limit.
With `--names` the functions follow that are named by a participle.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from scripts import house_source as source  # noqa: E402
from scripts.house_trace import journey  # noqa: E402
from scripts.house_words import bare, bare_with_effect, effects  # noqa: E402
from tests.docs import citations  # noqa: E402

PAGE = ROOT / "docs/architecture.md"
BEGIN, END = "<!-- from scripts/house.py: begin -->\n", "<!-- from scripts/house.py: end -->\n"

Measured = tuple[float, str]
"""A number, and where it was found."""


class Row(NamedTuple):
    """One line of the table: how it is measured, and the goal, which is met by this number and every lower one."""

    name: str
    measure: Callable[[], Measured]
    goal: float
    meaning: str
    form: str = "{:,.0f}"


def _share_of_bare() -> Measured:
    return round(100 * len(bare()) / len(source.functions()), 1), f"{len(bare())} of {len(source.functions()):,}"


def _with_effect() -> Measured:
    return len(bare_with_effect()), ""


def _unread() -> Measured:
    """As tests/docs/test_citations.py counts: the words that show its forms by example name what is not there."""
    files = [path for path in citations.files() if path.name != "test_citations.py"]
    missing = [number for page in citations.PAGE_OF for number in citations.unread(page, among=files)]
    known = sum(len(citations.numbers(page)) for page in citations.PAGE_OF)
    return len(missing), ", ".join(missing[:3]) or f"{known} headings"


ROWS = (
    Row("files side by side in one folder", source.flattest, 14, "`__init__.py` not counted"),
    Row("complexity of a function", lambda: source.ruff()["C901"], 14, "ruff's C901"),
    Row(
        "decisions in a function",
        source.decisions,
        14,
        "as C901, and each `and`, `or`, conditional expression and comprehension",
    ),
    Row("parameters of a function", lambda: source.ruff()["PLR0913"], 7, "ruff's PLR0913, keywords too"),
    Row("modules that one module imports", source.fan_out, 18, "of `syncd`, inside functions too"),
    Row("functions named by a bare participle", _share_of_bare, 2, "the whole name is one: `sent`, `published`", "{:.1f} %"),
    Row(
        "functions with an effect, named by a participle",
        _with_effect,
        0,
        "the first word is one, -ing too, and it returns nothing, or writes to the ledger, a server or a file itself or by"
        " what it calls; no property, no context manager",
    ),
    Row(
        "modules between claim and PUT",
        lambda: (len(journey().modules), ""),
        60,
        "those in which anything runs for one new study of one image, on the fakes of the tests",
    ),
    Row(
        "calls that are open at that PUT",
        lambda: (len(journey().stack), journey().stack[0]),
        9,
        "functions of `syncd` on the stack of the worker's thread",
    ),
    Row("public methods of a class", source.biggest_class, 20, "properties and class methods too"),
    Row(
        "cited rules and clauses without a heading",
        _unread,
        0,
        "numbers of RULES and MAPPING in whatever people wrote; headings of docs/rules.md and docs/mapping.md",
    ),
    Row("production lines", lambda: (source.lines(), ""), 29_249, "all lines of `syncd/**/*.py`, tests are elsewhere"),
)

LIMITS: Mapping[str, float] = {
    "files side by side in one folder": 14,
    "complexity of a function": 14,
    "decisions in a function": 14,
    "parameters of a function": 8,
    "modules that one module imports": 28,
    "functions named by a bare participle": 2.0,
    "functions with an effect, named by a participle": 0,
    "modules between claim and PUT": 118,
    "calls that are open at that PUT": 10,
    "public methods of a class": 20,
    "cited rules and clauses without a heading": 0,
    "production lines": 40_400,
}
"""What a row must not exceed. Only ever lowered, down to the row's goal; but lines grow with what the program does, so they
have some room, and who needs more of it raises this one and says why."""


@cache
def measured() -> Mapping[str, Measured]:
    """Each row's number, and where it was found."""
    return {row.name: row.measure() for row in ROWS}


def architecture_page() -> str:
    """docs/architecture.md with today's numbers; all other words of it stand as they are."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + table() + END + after


def table() -> str:
    """The numbers beside their goals."""
    lines = [f"| {row.name} | {_today(row)} | {_goal(row)} | {_where(row)} | {row.meaning} |\n" for row in ROWS]
    return "| at most | today | goal | where | how it is counted |\n|---|---|---|---|---|\n" + "".join(lines)


def _today(row: Row) -> str:
    """Lines are told by the hundred, or the page would be another one after every change."""
    number, _ = measured()[row.name]
    told = f"under {100 * (number // 100 + 1):,.0f}" if row.name == "production lines" else row.form.format(number)
    return told if number <= row.goal else f"**{told}**"


def _goal(row: Row) -> str:
    return row.form.format(row.goal).replace(".0 %", " %")


def _where(row: Row) -> str:
    place = measured()[row.name][1]
    return f"`{place}`" if "/" in place else place


def main(arguments: list[str]) -> int:
    width = max(len(row.name) for row in ROWS)
    for row in ROWS:
        number, place = measured()[row.name]
        verdict = "" if number <= row.goal else "not met"
        print(f"{row.name:{width}}  {row.form.format(number):>8}  goal {_goal(row):>7}  {verdict:7}  {place}".rstrip())
    if "--names" in arguments:
        for function in bare():
            print(f"bare: {function.place}")
        for function in bare_with_effect():
            print(f"{'writes' if function in effects() else 'returns nothing'}: {function.place}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
