"""What counts as noticed: a failed test, and nothing else."""

from __future__ import annotations

import pytest

from scripts.mutants import BROKEN, HUNG, KILLED, SURVIVED, Ran, main, verdict_of


@pytest.mark.parametrize(
    ("code", "may_hang", "verdict"),
    [
        (0, False, SURVIVED),
        (1, False, KILLED),
        (2, False, BROKEN),
        (3, False, BROKEN),
        (4, False, BROKEN),
        (5, False, BROKEN),
        (-9, False, BROKEN),
        (None, False, HUNG),
        (None, True, KILLED),
        (0, True, SURVIVED),
    ],
)
def test_only_a_failed_test_kills(code: int | None, may_hang: bool, verdict: str) -> None:
    """What cannot be imported or collected was noticed by nobody, and a hang only where it is expected."""
    assert verdict_of(Ran(code=code, by="", said=""), may_hang=may_hang) == verdict


def test_an_unknown_name_is_told_with_those_that_there_are() -> None:
    """A slip of the pen is no mutant that was killed."""
    with pytest.raises(SystemExit, match=r"no mutant is called overlap-droped; there are:[^$]*overlap-dropped"):
        main(only=["overlap-droped"])
