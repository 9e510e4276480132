"""The mutants fit the code as it is, so that none of them passes for a fault without being one."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from scripts.mutants import ROOT
from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import Edit, Mutant, edited

each = pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)


@each
def test_a_mutant_fits_the_code_and_is_code(mutant: Mutant) -> None:
    """What it replaces occurs exactly once, and what comes out is Python, and another program."""
    for file, text in _mutated(mutant.edits).items():
        assert file.startswith("syncd/")
        assert ast.dump(ast.parse(text)) != ast.dump(ast.parse((ROOT / file).read_text(encoding="utf-8")))


@each
def test_the_tests_that_are_to_notice_it_exist(mutant: Mutant) -> None:
    """A test that was renamed notices nothing."""
    assert mutant.noticed_by
    for node in mutant.noticed_by:
        file, _, name = node.partition("::")
        text = (ROOT / file).read_text(encoding="utf-8")
        assert not name or f"def {name.partition('[')[0]}(" in text, node


def test_there_are_enough_and_each_names_a_rule() -> None:
    """At least 20 named faults, of every part of the rules."""
    assert len(MUTANTS) >= 20
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    assert all(re.fullmatch(r"[A-ES]\d+|C\.\d-\d+", mutant.rule) for mutant in MUTANTS)
    assert {mutant.rule[0] for mutant in MUTANTS} == set("ABCDES")


@pytest.mark.parametrize("text", ["", "old old"], ids=["gone", "twice"])
def test_an_edit_that_does_not_fit_is_refused(text: str) -> None:
    """A patch that rots is named, and not carried out somewhere else."""
    with pytest.raises(ValueError, match=r"some\.py holds"):
        edited(text, Edit("some.py", "old", "new"))


def _mutated(
    edits: Iterable[Edit], *, read: Callable[[Path], str] = lambda path: path.read_text(encoding="utf-8")
) -> dict[str, str]:
    texts: dict[str, str] = {}
    for edit in edits:
        texts[edit.file] = edited(texts.get(edit.file) or read(ROOT / edit.file), edit)
    return texts
