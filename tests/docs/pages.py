"""The pages that people read, taken apart: fenced blocks, the commands in them, links, tables.

The difficulty is to run no example: what a command would do is another test's concern, that it exists with these options
is this one's. So examples are read against the command tree itself.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.main import get_command

from syncd.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
PAGES = tuple(sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]))

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_ANCHOR = re.compile(r'<a id="([^"]+)"></a>')
_INLINE = re.compile(r"`(syncd(?: [^`]*)?)`")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One fenced block: where it stands, its language, its text without the indentation."""

    page: str
    language: str
    text: str


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(*languages: str) -> list[Block]:
    """All fenced blocks of these languages, page by page."""
    found = []
    for page in PAGES:
        for indent, language, text in _FENCE.findall(text_of(page)):
            if language in languages:
                plain = "\n".join(line.removeprefix(indent) for line in text.splitlines())
                found.append(Block(page=page.name, language=language, text=plain))
    return found


def languages() -> set[str]:
    """The languages of all fenced blocks; an unnamed one is the empty text."""
    return {language for page in PAGES for _, language, _ in _FENCE.findall(text_of(page))}


def shell_lines() -> list[str]:
    """What somebody would type: lines of `sh` blocks, and of `console` blocks after the prompt."""
    typed = [line for block in blocks("sh") for line in block.text.splitlines()]
    shown = [line for block in blocks("console") for line in block.text.splitlines() if line.startswith("$ ")]
    return [line for line in [*typed, *(line.removeprefix("$ ") for line in shown)] if line.strip()]


def words(line: str) -> list[list[str]]:
    """A line's commands, each as its words: parted at `;` and `&&`."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&")
    lexer.whitespace_split = True
    commands: list[list[str]] = [[]]
    for word in lexer:
        if set(word) <= set(";&"):
            commands.append([])
        else:
            commands[-1].append(word)
    return [command for command in commands if command]


def inline_commands(*chosen: Path) -> list[str]:
    """`syncd …` in running text of these pages; one that is abbreviated by an ellipsis is none."""
    found = [one for page in chosen for one in _INLINE.findall(_FENCE.sub("", text_of(page)))]
    return sorted({one for one in found if "…" not in one})


def links(page: Path) -> Iterator[str]:
    """Targets of links and pictures, outside fenced blocks."""
    yield from _LINK.findall(_FENCE.sub("", text_of(page)))


def headings(page: Path) -> list[str]:
    """The headings of a page, in their order."""
    return _HEADING.findall(_FENCE.sub("", text_of(page)))


def slug(heading: str) -> str:
    """A heading as a link names it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    """What a link to a place of a page may name: its headings, and rows of tables that have an anchor of their own."""
    return {slug(heading) for heading in headings(page)} | set(_ANCHOR.findall(text_of(page)))


def command_tree() -> dict[str, Any]:
    """Every command by its words, `archive accept` for instance, and the program itself as the empty text."""
    tree = {"": get_command(app)}
    for name, command in _below(tree[""]).items():
        tree[name] = command
        tree |= {f"{name} {below}": one for below, one in _below(command).items()}
    return tree


def wrong_with(arguments: list[str], *, names_only: bool = False) -> str:
    """What is wrong with `syncd <arguments>`; empty when it would run. `names_only`: running text may leave values out."""
    command: Any = get_command(app)
    given, left = 0, list(arguments)
    while left:
        word = left.pop(0)
        name, _, value = word.partition("=")
        if word.startswith("-"):
            option = next((one for one in command.params if name in one.opts), None)
            if option is None:
                return f"no option {name}"
            if not option.is_flag and not value and not (left and left.pop(0)) and not names_only:
                return f"{name} needs a value"
        elif _below(command):
            if word not in _below(command):
                return f"no command {word}"
            command = _below(command)[word]
        else:
            given += 1
    places = [one for one in command.params if one.param_type_name == "argument"]
    if given > len(places):
        return "too many arguments"
    if names_only or arguments[-1:] == ["--version"]:
        return ""
    return "something is missing" if _below(command) or given < sum(one.required for one in places) else ""


def _below(command: Any) -> dict[str, Any]:
    """The commands of a group; a command has none."""
    return dict(getattr(command, "commands", {}))
