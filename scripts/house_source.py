"""The package as it is written: every function and class of `syncd/`, what it imports, what it calls.

Nothing is imported and nothing runs. A name is followed as far as the text tells: to a function of the same module, to one
that is imported by name, to a method of the same class; a method of another object is known by its name alone.
"""

from __future__ import annotations

import ast
import gc
import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from scripts.steps import ROOT

PACKAGE = "syncd"

_IN_WORDS = re.compile(r"\((\d+) > 0\)")
"""How ruff ends a message: what it counted, and the limit."""

_OF_INTEREST = (
    ast.Call,
    ast.BoolOp,
    ast.comprehension,
    ast.If,
    ast.IfExp,
    ast.For,
    ast.While,
    ast.ExceptHandler,
    ast.match_case,
)
_LEAVES = (ast.Name, ast.Constant, ast.expr_context, ast.operator, ast.cmpop, ast.boolop, ast.alias)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Function:
    """A function or method; `owner` is the class around it, or nothing. `inside` is what is counted or followed of it."""

    module: str
    owner: str
    node: ast.FunctionDef | ast.AsyncFunctionDef
    inside: list[ast.AST] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def place(self) -> str:
        return f"{self.module.replace('.', '/')}.py: {self.owner + '.' if self.owner else ''}{self.name}"

    @property
    def decorators(self) -> tuple[str, ...]:
        return tuple(ast.unparse(decorator) for decorator in self.node.decorator_list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A file of the package. `names` says which module a name comes from, and how it is called there."""

    name: str
    path: Path
    lines: int
    functions: tuple[Function, ...]
    imports: frozenset[str]
    names: Mapping[str, tuple[str, str]]


@cache
def modules(package: Path = ROOT / PACKAGE) -> Mapping[str, Module]:
    """Every module by its dotted name; the file of a folder itself has the folder's name."""
    files = {_dotted(file, package): file for file in sorted(package.rglob("*.py"))}
    collects = gc.isenabled()
    gc.disable()  # all that is made here stays, and to look it through again and again takes half of the time
    try:
        return {name: _module(name, file, files) for name, file in files.items()}
    finally:
        if collects:
            gc.enable()


@cache
def functions() -> tuple[Function, ...]:
    """All functions and methods, those inside others too."""
    return tuple(function for module in modules().values() for function in module.functions)


def flattest() -> tuple[int, str]:
    """The folder with the most files side by side, `__init__.py` not counted."""
    files: dict[Path, int] = defaultdict(int)
    for module in modules().values():
        files[module.path.parent] += module.path.name != "__init__.py"
    folder = max(files, key=lambda folder: files[folder])
    return files[folder], str(folder.relative_to(ROOT))


def fan_out() -> tuple[int, str]:
    """The module that imports the most others of the package, those below a function or a type check too."""
    widest = max(modules().values(), key=lambda module: len(module.imports))
    return len(widest.imports), _file(widest)


def biggest_class() -> tuple[int, str]:
    """The class with the most methods without a leading underscore, properties and class methods too."""
    sizes: dict[str, int] = defaultdict(int)
    for function in functions():
        if function.owner and not function.name.startswith("_"):
            sizes[f"{function.module.replace('.', '/')}.py: {function.owner}"] += 1
    name = max(sizes, key=lambda name: sizes[name])
    return sizes[name], name


def lines() -> int:
    """All lines of all files: empty ones, comments and docstrings too."""
    return sum(module.lines for module in modules().values())


@cache
def ruff() -> Mapping[str, tuple[int, str]]:
    """For C901 (complexity) and PLR0913 (parameters) the highest number that ruff counts, and where. `noqa` hides none."""
    command = [str(Path(sys.executable).with_name("ruff")), "check", "--isolated", "--ignore-noqa", "--no-cache", "--quiet"]
    limits = ["--config", "lint.mccabe.max-complexity=0", "--config", "lint.pylint.max-args=0"]
    told = subprocess.run(
        [*command, "--select", "C901,PLR0913", *limits, "--output-format", "json", PACKAGE],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,  # it found something: that is what it was asked for
    )
    counted = [(found["code"], int(_IN_WORDS.search(found["message"])[1]), found) for found in json.loads(told.stdout)]  # type: ignore[index]
    return {code: _highest((number, found) for of, number, found in counted if of == code) for code in ("C901", "PLR0913")}


def decisions() -> tuple[int, str]:
    """The function with the most decisions: what C901 counts, and every `and`, `or`, conditional expression and
    comprehension beside it, for a ladder of long conditions is read no faster than one of short ones."""
    most = max(functions(), key=decisions_of)
    return decisions_of(most), most.place


def decisions_of(function: Function) -> int:
    return 1 + sum(_weight(node) for node in function.inside)


def _weight(node: ast.AST) -> int:
    if isinstance(node, ast.BoolOp):
        return len(node.values) - 1
    if isinstance(node, ast.comprehension):
        return 1 + len(node.ifs)
    return int(not isinstance(node, ast.Call))


def _highest(counted: Iterable[tuple[int, Mapping[str, Any]]]) -> tuple[int, str]:
    """The number, and the function: C901 names it, PLR0913 only its line."""
    number, found = max(counted, key=lambda pair: pair[0])
    file, line = Path(found["filename"]), found["location"]["row"]
    names = (one.name for one in functions() if one.node.lineno == line and modules()[one.module].path == file)
    return number, f"{file.relative_to(ROOT)}: {next(names)}"


def _file(module: Module) -> str:
    return str(module.path.relative_to(ROOT))


def _dotted(file: Path, package: Path) -> str:
    parts = file.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _module(name: str, file: Path, files: Mapping[str, Path]) -> Module:
    text = file.read_text(encoding="utf-8")
    found, imported = survey(ast.parse(text), name)
    names = {known: meant for statement in imported for known, meant in _names(statement, files)}
    return Module(
        name=name,
        path=file,
        lines=len(text.splitlines()),
        functions=tuple(found),
        imports=frozenset(origin for origin, _ in names.values() if origin in files) - {name},
        names=names,
    )


def survey(tree: ast.Module, module: str) -> tuple[list[Function], list[ast.Import | ast.ImportFrom]]:
    """All functions and all imports, in one pass: half a million nodes are walked once only."""
    functions: list[Function] = []
    imported: list[ast.Import | ast.ImportFrom] = []
    left: list[tuple[ast.AST, str, tuple[Function, ...]]] = [(tree, "", ())]
    while left:
        node, owner, around = left.pop()
        if isinstance(node, ast.ClassDef):
            owner = node.name
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            functions.append(Function(module=module, owner=owner, node=node))
            owner, around = "", (*around, functions[-1])
        elif isinstance(node, ast.Import | ast.ImportFrom):
            imported.append(node)
        elif isinstance(node, _OF_INTEREST):
            for function in around:
                function.inside.append(node)
        left.extend((child, owner, around) for child in ast.iter_child_nodes(node) if not isinstance(child, _LEAVES))
    return functions, imported


def _names(node: ast.Import | ast.ImportFrom, files: Mapping[str, Path]) -> Iterator[tuple[str, tuple[str, str]]]:
    """What is imported: each name with its module and its name there, which is empty for a module itself."""
    for name in node.names:
        whole = name.name if isinstance(node, ast.Import) else f"{node.module}.{name.name}"
        if isinstance(node, ast.Import) or whole in files:
            yield name.asname or name.name, (whole, "")
        else:
            yield name.asname or name.name, (node.module or "", name.name)
