"""Which functions are named by a participle, and which of those do something.

A participle names a value: `published`, `merged`. What does something is an imperative: `publish`, `merge`. The difficulty
is to tell by reading who does something. An effect here is what outlives the call outside the process: a write to the
ledger, to the FHIR server or to a file, in the function itself or in what it calls as far as `house_source` can follow; and
a function that returns nothing is there for its effect, whatever that is.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache

from scripts.house_source import Function, functions, modules

IRREGULAR = frozenset(
    re.findall(
        r"\w+",
        """arisen begun bent born borne bought bound broken brought built caught chosen dealt done drawn driven fallen felt
    forgiven forgotten fought found frozen given gone got gotten grown heard held hidden hung kept known laid lain left lent
    lost made meant met overridden paid proven said seen sent shown sold sought spent spoken stolen struck sworn taken taught
    thought thrown told torn understood undone withdrawn withheld won worn wound woken written""",
    )
)
"""Participles without -ed. Words that are their own imperative (`read`, `put`, `set`, `run`, `let`, `cut`, `split`) are
read as that: nobody can tell them apart."""

OTHER_WORDS = frozenset(
    re.findall(
        r"\w+",
        """bed embed exceed feed indeed need proceed red seed shed speed succeed
    anything being bring coding during everything heading imaging listing mapping meaning nothing ping ring setting
    something spring string thing things""",
    )
)
"""They end in -ed or -ing and are verbs of their own, or nouns of DICOM, of FHIR and of this program."""

_CONTAINERS = frozenset(name for kind in (dict, list, set, str, bytes, tuple) for name in dir(kind))
"""Methods that values of Python have: by such a name alone no method of ours is recognised."""

_FILES = frozenset({"write", "write_text", "write_bytes", "unlink", "mkdir", "rename", "fsync", "chmod", "rmtree"})
_STATEMENTS = frozenset({"insert", "update", "delete", "upsert"})
_UNSAFE = frozenset({"PUT", "POST", "PATCH", "DELETE"})


def is_past(word: str) -> bool:
    """`published`, `sent`."""
    return word in IRREGULAR or (len(word) > 3 and "_" not in word and word.endswith("ed") and word not in OTHER_WORDS)


def is_participle(word: str) -> bool:
    """`published`, `sent`, and `waiting`."""
    return is_past(word) or (len(word) > 4 and word.endswith("ing") and word not in OTHER_WORDS)


@cache
def bare() -> tuple[Function, ...]:
    """Functions whose whole name is one past participle."""
    return tuple(function for function in functions() if is_past(function.name.strip("_")))


@cache
def bare_with_effect() -> tuple[Function, ...]:
    """Functions whose name is a participle or begins with one, and that do something.

    A property is a value, and `with locks.holding(…)` says what is so for a while: neither counts."""
    named = (one for one in functions() if is_participle(one.name.strip("_").partition("_")[0]))
    return tuple(one for one in named if not _is_state(one) and (_returns_nothing(one) or one in effects()))


@cache
def effects() -> frozenset[Function]:
    """Functions that write, or that call one that does."""
    known = {function for function in functions() if _writes(function)}
    called = {function: tuple(_called(function)) for function in functions()}
    while True:
        by_name = _surely(known)
        further = {
            function
            for function, calls in called.items()
            if function not in known and any(call in by_name if isinstance(call, str) else call in known for call in calls)
        }
        if not further:
            return frozenset(known)
        known |= further


def _is_state(function: Function) -> bool:
    return any("property" in one or one.endswith(("contextmanager", "validator")) for one in function.decorators)


def _returns_nothing(function: Function) -> bool:
    return isinstance(function.node.returns, ast.Constant) and function.node.returns.value is None


def _writes(function: Function) -> bool:
    return any(_is_write(call) for call in _calls(function))


def _is_write(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name == "exchange":
        return (
            bool(call.args) and isinstance(call.args[0], ast.Constant) and call.args[0].value in _UNSAFE and not _asks(call)
        )
    if isinstance(call.func, ast.Attribute):
        return name in _FILES
    return name in _STATEMENTS


def _asks(call: ast.Call) -> bool:
    """A search is sent by POST, too (RULES B4)."""
    return "_search" in ast.unparse(call)


def _calls(function: Function) -> Iterator[ast.Call]:
    return (node for node in function.inside if isinstance(node, ast.Call))


def _called(function: Function) -> Iterator[Function | str]:
    """Whom it calls: functions where the text tells which, else the name of a method."""
    module, table = modules()[function.module], _table()
    for call in _calls(function):
        if isinstance(call.func, ast.Name):
            origin, name = module.names.get(call.func.id, (function.module, call.func.id))
            yield from table.get((origin, "", name), ())
        elif isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name):
            receiver, name = call.func.value.id, call.func.attr
            if receiver in ("self", "cls"):
                yield from table.get((function.module, function.owner, name), ())
            elif receiver in module.names:
                yield from table.get((module.names[receiver][0], "", name), ())
            elif name not in _CONTAINERS:
                yield name
        elif isinstance(call.func, ast.Attribute) and call.func.attr not in _CONTAINERS:
            yield call.func.attr


@cache
def _table() -> Mapping[tuple[str, str, str], tuple[Function, ...]]:
    """Functions by module, class and name."""
    table: dict[tuple[str, str, str], tuple[Function, ...]] = defaultdict(tuple)
    for function in functions():
        table[function.module, function.owner, function.name] += (function,)
    return table


def _surely(known: set[Function]) -> frozenset[str]:
    """Names of methods which have an effect in whatever class they stand."""
    methods: dict[str, list[bool]] = defaultdict(list)
    for function in functions():
        if function.owner and not _is_protocol(function):
            methods[function.name].append(function in known)
    return frozenset(name for name, all_of_them in methods.items() if all(all_of_them))


def _is_protocol(function: Function) -> bool:
    """It says what others must have: its body is an ellipsis."""
    last = function.node.body[-1]
    return isinstance(last, ast.Expr) and isinstance(last.value, ast.Constant) and last.value.value is ...
