"""Whatever is cited can be read here: a rule, a clause or a document that has no heading of its own fails these tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from syncd.model.clauses import CLAUSES, RULES
from tests.cases import CASES
from tests.docs import citations
from tests.docs.citations import PAGE_OF, cited, elsewhere, files, lost, numbers, unread, words
from tests.docs.pages import headings

CITED = ("RULES", "MAPPING")
OTHERS = [path for path in files() if path not in (Path(__file__).resolve(), Path(citations.__file__).resolve())]
"""All files but these two, which show what must not be."""


@pytest.mark.parametrize("page", CITED)
def test_every_number_that_is_cited_has_its_heading(page: str) -> None:
    """docs/rules.md, docs/mapping.md: whoever reads a number finds its words. Shown on failure: number → files."""
    assert unread(page, among=OTHERS) == {}


def test_every_rule_has_a_heading_and_a_row() -> None:
    """docs/rules.md and docs/cases.md hold the same rules, in the same order."""
    told = [heading.split(" ", 1)[0] for heading in headings(PAGE_OF["RULES"]) if heading.split(" ", 1)[0] in RULES]
    assert told == list(RULES) == [row.name for row in CASES if row.name]


@pytest.mark.parametrize(("page", "titles"), [("RULES", RULES), ("MAPPING", CLAUSES)])
def test_titles_are_those_of_the_headings(page: str, titles: Mapping[str, str]) -> None:
    """What a user sees beside a number is what its heading says."""
    said = headings(PAGE_OF[page])
    assert [f"{code} {title}" for code, title in titles.items() if f"{code} {title}" not in said] == []


def test_each_rule_leads_to_its_row() -> None:
    """docs/rules.md: one link for each, behind what the rule says."""
    parts = PAGE_OF["RULES"].read_text(encoding="utf-8").split("\n### ")[1:]
    assert [part.partition(" ")[0] for part in parts if f"(cases.md#{part.partition(' ')[0].lower()})" not in part] == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("it is so (RULES B9).", "B9"),
        ("RULES B9, B10 and E8: in the ledger", "B9 B10 E8"),
        ("RULES B9, and nothing else", "B9"),
        ("RULES A1–A3; RULES C6 to C8", "A1 A3 C6 C8"),
        ("Rule B4 wants, Rules C1, C2", "B4 C1 C2"),
        ("a hit is a hint (C9), [A.1, RULES B9, B6]", "C9 B9 B6"),
        ("(C6, 413) (B4; `tests/loop`)", "C6 B4"),
        ("| A1–A3, E1 | `tests/crash/` |", "A1 A3 E1"),
        ("MAPPING D.2, RULES B7", "B7"),
        ("PS3.3 C.8 (C.7.6), the C1 controls, B2B, RULES, RULES C", ""),
    ],
)
def test_a_rule_is_recognised_however_it_is_cited(text: str, found: str) -> None:
    assert cited(text, page="RULES") == set(found.split())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("MAPPING C.7: off", "C.7"),
        ("MAPPING A.1 to A.4, RULES B9", "A.1 A.4"),
        ("MAPPING C.1-1, -9, -13.", "C.1-1 C.1-9 C.1-13"),
        ("MAPPING D.2-4, RULES C4", "D.2-4"),
        ("MAPPING A.4 ist-8, I cases 44 and 45", "A.4 I-44 I-45"),
        ("MAPPING I case 14 (I-14), C.3", "I I-14"),
        ("MAPPING B, cases I.2 11 and 13", "B I-11 I-13"),
        ("[C.5, I-62], (C.3)", "C.5 I-62 C.3"),
        ("MAPPING 0.1-7; MAPPING I-46.", "0.1-7 I-46"),
        ("PS3.3 C.8.11.2, Table C.12-5 (C.7.6.16)", ""),
    ],
)
def test_a_clause_is_recognised_however_it_is_cited(text: str, found: str) -> None:
    assert cited(text, page="MAPPING") == set(found.split())


def test_no_document_is_cited_that_the_repository_does_not_hold() -> None:
    """A page is named by its path, a rule by its number, and nothing by a document that a reader cannot open."""
    assert {str(path): found for path in OTHERS if (found := elsewhere(words(path)))} == {}


def test_every_page_that_is_named_is_there() -> None:
    """`docs/operation.md`, and with an anchor its heading."""
    assert {str(path): found for path in OTHERS if (found := lost(words(path)))} == {}


def test_what_nobody_can_read_would_be_noticed() -> None:
    """The checks themselves: a rule that nobody wrote, documents of elsewhere, a page and a heading that are not there."""
    assert cited("RULES B99", page="RULES") - numbers("RULES") == {"B99"}
    assert elsewhere("DESIGN 3 (issue 5), CONTRACT.md, ORTHANC.md: Issue: x; README.md, HAPI issue 12, an issuer") == [
        *("DESIGN", "issue 5", "CONTRACT", "ORTHANC.md", "Issue:"),
    ]
    assert lost("docs/rules.md#b9-agreement, docs/rules.md#b99, docs/nothing.md, README.md.") == [
        *("docs/rules.md#b99", "docs/nothing.md"),
    ]
    assert set(OTHERS) < set(files())
