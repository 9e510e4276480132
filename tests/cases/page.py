"""docs/cases.md: the rows as tables, and plainly what no test shows.

A test's name is a sentence, so the table says the sentence and not the path; the file beside it tells where it stands,
and whether real servers take part (tests/real, tests/crash, tests/faults).
"""

from __future__ import annotations

from itertools import groupby

from syncd.model.clauses import RULES
from tests.cases import CASES
from tests.cases.row import Row
from tests.docs.pages import slug

_HEAD = """# Every rule and every situation, and the tests that show it

Generated from `tests/cases/` by `python scripts/generate_docs.py`. What each rule says and why is in [rules.md](rules.md),
what follows from it for a site in [guarantees.md](guarantees.md). One test of a table: `pytest FILE -k NAME`. Tests in
`tests/real/`, and some in `tests/crash/` and `tests/faults/`, run real servers; those in `tests/contracts/` run on the fakes
and on the real servers alike, through the files beside the servers' names in `tests/fakes/` and `tests/real/`. All others
need neither.
"""

_GAPS = """## Not shown by a test

| what | not shown |
|---|---|
"""


def cases_page() -> str:
    tables = [_table(group, tuple(rows)) for group, rows in groupby(CASES, key=lambda row: row.group)]
    gaps = [f"| {_title(row)} | {row.missing} |\n" for row in CASES if row.missing]
    return "\n".join([_HEAD, *tables, _GAPS + "".join(gaps) if gaps else ""]).rstrip("\n") + "\n"


def _table(group: str, rows: tuple[Row, ...]) -> str:
    lines = [f"| {_anchor(row)}{_title(row)} | {_tests(row)} |\n" for row in rows]
    return f"## {group}\n\n| what must hold | tests |\n|---|---|\n" + "".join(lines)


def _anchor(row: Row) -> str:
    """Where links of other pages to a rule's row end: a table's row has no heading."""
    return f'<a id="{row.name.lower()}"></a>' if row.name else ""


def _title(row: Row) -> str:
    if not row.name:
        return row.says
    return f"**[{row.name}](rules.md#{slug(f'{row.name} {RULES[row.name]}')})** {row.says}"


def _tests(row: Row) -> str:
    """File by file, in the order of the row."""
    named: dict[str, list[str]] = {}
    for test in row.tests:
        file, _, name = test.partition("::")
        named.setdefault(file, []).append(name)
    return "<br>".join(f"{file}: " + ", ".join(f"`{one}`" for one in names) for file, names in named.items())
