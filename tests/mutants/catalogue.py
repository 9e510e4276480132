"""All mutants, in the order of the rules that they break."""

from __future__ import annotations

from tests.mutants import following, knowing, living, publishing, saying, withdrawing
from tests.mutants.mutant import Mutant

MUTANTS: tuple[Mutant, ...] = (
    *following.MUTANTS,
    *saying.MUTANTS,
    *publishing.MUTANTS,
    *living.MUTANTS,
    *withdrawing.MUTANTS,
    *knowing.MUTANTS,
)
