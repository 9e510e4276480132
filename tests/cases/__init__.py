"""What must hold, and which test shows it: a row for every rule and for every situation, and the page made of them."""

from __future__ import annotations

from tests.cases.convergence import CONVERGENCE
from tests.cases.feed import FEED
from tests.cases.row import Row
from tests.cases.rules_following import FOLLOWING
from tests.cases.rules_writing import WRITING
from tests.cases.values import VALUES

CASES: tuple[Row, ...] = (*FOLLOWING, *WRITING, *FEED, *CONVERGENCE, *VALUES)
