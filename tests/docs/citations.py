"""What the words of the repository cite by number: rules, clauses of the mapping, documents; and where each can be read.

A rule is the first word of a heading in docs/rules.md (`### B9 Agreement`), a clause one in docs/mapping.md (`### C.7 …`,
`#### I-46 …`). The difficulty is that prose cites in lists and ranges, across the ends of lines, and that a number without
the name of its page stands in brackets only: `(C9)`, `[C.7, RULES B9]`. What is recognised here is what is written so;
another form is not checked, so `test_citations` shows each form by an example.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from tests.docs.pages import ROOT, anchors, headings

PAGE_OF = {"RULES": ROOT / "docs/rules.md", "MAPPING": ROOT / "docs/mapping.md"}
"""By which word a page is cited."""

_FOLDERS = ("syncd", "tests", "docs", "benchmarks", "deploy", "scripts")
_KINDS = {".py", ".md", ".mjs", ".yml", ".toml"}

_RULE = r"[A-ES]\d{1,2}"
_CASE = r"I-\d+"
_CLAUSE = rf"(?:{_CASE}|[A-M](?:\.\d(?:-\d+)?)?|0\.\d-\d+)"
_AND = r"(?:, and |,? and |, | to |–)"
_END = r"(?![\w.-]*\w)"  # the sentence's full stop may follow, a longer number may not


def _list(item: str) -> str:
    return rf"{item}{_END}(?:{_AND}{item}{_END})*"


_RULES = re.compile(rf"\bR(?:ULES|ules?) ({_list(_RULE)})")
_CLAUSES = re.compile(rf"\bMAPPING ({_list(_CLAUSE)}(?:, -\d+)*)")
_CASES = re.compile(r"\b(?:I(?:\.\d)? cases?|cases? I\.\d) (\d+(?:(?:, | and | to |–)\d+)*)")
_BRACKETS = re.compile(r"[(\[]([^()\[\]]{1,120})[)\]]")
_CELL = re.compile(rf"\| ({_list(_RULE)}) (?=\|)")
_SEPARATORS = re.compile(r"[,;:] | and ")
_GONE = re.compile(
    r"\b(?:CONTRACT|DESIGN|STYLE|LAYOUT|FHIR-SERVERS|(?!README|CHANGELOG|SECURITY)[A-Z][A-Z-]+\.md)\b"
    r"|(?<!HAPI )\b[Ii]ssues? \d+|\bIssue[,:] "
)
_PATH = re.compile(r"(?<![\w/.-])((?:docs/[\w/-]+|README|CHANGELOG|SECURITY)\.md)(?:#([\w-]+))?")
_BARE = {"RULES": re.compile(_list(_RULE)), "MAPPING": re.compile(rf"{_CASE}|[A-M]\.\d(?:-\d+)?")}


def files() -> Iterator[Path]:
    """Whatever people wrote: sources, tests, pages, and the files at the top."""
    found = [path for folder in _FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in _KINDS]
    yield from sorted(path for path in [*found, *ROOT.glob("*.md"), ROOT / "Makefile"] if "node_modules" not in path.parts)


@cache
def words(path: Path) -> str:
    """The text of a file in one line, so that a citation may go over the end of one."""
    return re.sub(r"\s*\n\s*(?:#+ )?", " ", path.read_text(encoding="utf-8"))


def cited(text: str, *, page: str) -> frozenset[str]:
    """The numbers of `page` (`RULES`, `MAPPING`) that the text cites."""
    return frozenset(_rules(text) if page == "RULES" else _clauses(text)) | frozenset(_in_brackets(text, page=page))


@cache
def numbers(page: str) -> frozenset[str]:
    """What can be read there: the first word of each heading that begins with a number."""
    shape = re.compile(_RULE if page == "RULES" else _CLAUSE)
    firsts = (heading.split(" ", 1)[0].rstrip(".") for heading in headings(PAGE_OF[page]))
    return frozenset(first for first in firsts if shape.fullmatch(first))


def unread(page: str, *, among: Iterable[Path]) -> dict[str, list[str]]:
    """What is cited and cannot be read: number → the files that cite it."""
    found: dict[str, list[str]] = {}
    for path in among:
        for number in cited(words(path), page=page) - numbers(page):
            found.setdefault(number, []).append(str(path.relative_to(ROOT)))
    return dict(sorted(found.items()))


def elsewhere(text: str) -> list[str]:
    """What is cited of other documents than the repository's: theirs are named by their paths."""
    return [match[0].strip() for match in _GONE.finditer(text)]


def lost(text: str) -> list[str]:
    """Pages of ours that are named, and are not there or have no such heading."""
    return [match[0] for match in _PATH.finditer(text) if not _is_there(ROOT / match[1], match[2])]


def _is_there(page: Path, anchor: str | None) -> bool:
    return page.is_file() and (anchor is None or anchor in anchors(page))


def _rules(text: str) -> Iterator[str]:
    for pattern in (_RULES, _CELL):
        for match in pattern.finditer(text):
            yield from _expanded(match[1])


def _clauses(text: str) -> Iterator[str]:
    for match in _CLAUSES.finditer(text):
        listed, *further = re.split(r", (?=-\d)", match[1])
        clauses = list(_expanded(listed))
        yield from clauses
        yield from (clauses[-1].rpartition("-")[0] + number for number in further)
    for match in _CASES.finditer(text):
        yield from (f"I-{number}" for number in _expanded(match[1]))


def _in_brackets(text: str, *, page: str) -> Iterator[str]:
    """Numbers alone, as parts of what stands between brackets."""
    for match in _BRACKETS.finditer(text):
        for part in _SEPARATORS.split(match[1]):
            if _BARE[page].fullmatch(part):
                yield from _expanded(part)


def _expanded(text: str) -> Iterator[str]:
    """A list's numbers. A range cites its ends: what lies between need not be there, for numbers have gaps."""
    yield from re.split(_AND, text)
