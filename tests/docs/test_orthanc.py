"""docs/orthanc.md: what both versions of Orthanc do, and which test of the contract holds each fact."""

from __future__ import annotations

import re

from tests.contracts.orthanc_contract import FeedContract
from tests.contracts.orthanc_reading import ReadingContract
from tests.docs.pages import ROOT, text_of

PAGE = text_of(ROOT / "docs/orthanc.md")


def test_each_test_of_the_contract_has_its_fact_and_each_name_its_test() -> None:
    """docs/orthanc.md: nothing that is tested is missing, nothing is named that is not there."""
    tests = {
        name.removeprefix("test_")
        for contract in (FeedContract, ReadingContract)
        for name in vars(contract)
        if name.startswith("test_")
    }
    assert set(re.findall(r"`([a-z0-9]+(?:_[a-z0-9]+){2,})`", PAGE)) == tests


def test_the_files_that_it_names_are_there() -> None:
    """docs/orthanc.md: tests, and decisions."""
    named = re.findall(r"`(tests/[^`]*)`", PAGE) + [f"docs/{each}" for each in re.findall(r"\]\((decisions/[^)#]*)", PAGE)]
    assert named
    assert [place for place in named if not (ROOT / place).exists()] == []
