"""The house does not decay: no number of `make house` grows, and what measures them sees what it should."""

from __future__ import annotations

import ast
import textwrap
from pathlib import Path

import pytest

from scripts import house, house_source, house_trace, house_words
from tests.docs.pages import ROOT, text_of


@pytest.mark.parametrize("row", house.ROWS, ids=lambda row: row.name)
def test_no_number_grows(row: house.Row) -> None:
    """A goal that is met is the limit; else what was reached. `make house` tells more."""
    number, place = house.measured()[row.name]
    assert number <= house.LIMITS[row.name], place


@pytest.mark.parametrize("row", house.ROWS, ids=lambda row: row.name)
def test_a_limit_is_never_below_its_goal_and_no_limit_is_left_over(row: house.Row) -> None:
    """Nothing is asked for beyond the goal, and every limit belongs to a row."""
    assert house.LIMITS[row.name] >= row.goal
    assert set(house.LIMITS) == {one.name for one in house.ROWS}


def test_the_page_holds_the_numbers() -> None:
    """They stand in docs/architecture.md; tests/settings/test_documents.py says when they are stale."""
    page = text_of(ROOT / "docs/architecture.md")
    assert house.BEGIN + house.table() + house.END in page
    assert house.architecture_page() == page
    assert all(f"| {row.name} |" in page for row in house.ROWS)


def test_make_house_prints_each_row(capsys: pytest.CaptureFixture[str]) -> None:
    """`make house`, with the names on demand."""
    assert house.main(["--names"]) == 0
    said = capsys.readouterr().out
    assert all(row.name in said for row in house.ROWS)


@pytest.mark.parametrize(
    "word, past, participle",
    [
        ("published", True, True),
        ("sent", True, True),
        ("withdrawn", True, True),
        ("waiting", False, True),
        ("feed", False, False),
        ("string", False, False),
        ("read", False, False),
        ("publish", False, False),
        ("looked_at", False, False),
    ],
)
def test_participles_are_told_from_other_words(word: str, past: bool, participle: bool) -> None:
    """A bare participle names a value."""
    assert (house_words.is_past(word), house_words.is_participle(word)) == (past, participle)


def test_who_writes_is_found_through_what_it_calls() -> None:
    """Never something that writes. The PUT, who calls it, and a function that only computes."""
    doing = {f"{function.owner}.{function.name}".lstrip(".") for function in house_words.effects()}
    assert {"FhirServer.put", "FhirServer.delete", "reconcile"} <= doing
    assert not doing & {"FhirServer.read", "decide", "merge_foreign", "foreign_part"}


def test_decisions_are_counted_as_ruff_does_and_each_and_or_if_beside_it() -> None:
    """What docs/architecture.md tells."""
    text = """
        def ladder(a, b, found):
            if a and b or not a:
                return [x for x in found if x]
            for one in found:
                b = a if one else b
            try:
                return b
            except ValueError:
                return a
    """
    (function,), _ = house_source.survey(ast.parse(textwrap.dedent(text)), "small")
    # One way through; if, for, except; and, or; a conditional expression; a comprehension and its condition.
    assert house_source.decisions_of(function) == 1 + 3 + 2 + 1 + 2


def test_imports_are_counted_once_each(tmp_path: Path) -> None:
    """Fan-out, of the package's own modules, inside functions too."""
    package = tmp_path / "small"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "a.py").write_text(
        "import os\nfrom small import b\nfrom small.b import x, y\ndef f():\n    from small import c\n"
    )
    (package / "b.py").write_text("x = y = 1\n")
    (package / "c.py").write_text("")
    found = house_source.modules(package)
    assert found["small.a"].imports == {"small.b", "small.c"}
    assert found["small.b"].imports == frozenset()


def test_the_journey_goes_from_the_archive_to_the_put() -> None:
    """Between claim and PUT the study is read, mapped, checked, decided on and sent."""
    journey = house_trace.journey()
    rooms = {module.partition("/")[0] for module in journey.modules}
    assert {"archive", "snapshot", "mapping", "plan", "publish", "ledger", "loop"} <= rooms
    assert not rooms & {"cli", "web", "settings", "feed"}
    assert journey.stack[-1].startswith("publish/http.py")
