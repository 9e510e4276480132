"""docs/fhir-servers.md lists what syncd relies on of a FHIR server, and each line's test runs on both real ones."""

from __future__ import annotations

import re

from tests.contracts.fhir_bundles import BundleContract
from tests.contracts.fhir_contract import WriteContract
from tests.contracts.fhir_dstu2 import Dstu2Contract
from tests.contracts.fhir_ids import IdsContract
from tests.contracts.fhir_relied import ReliedContract
from tests.contracts.fhir_searches import SearchContract
from tests.contracts.fhir_unordered import UnorderedContract
from tests.docs.pages import ROOT, text_of

PAGE = text_of(ROOT / "docs/fhir-servers.md")


def test_each_line_has_its_test_and_each_test_its_line() -> None:
    """docs/fhir-servers.md: in the same order."""
    named = re.findall(r"^\| [^|]+ \| [A-E0-9, ]+ \| `(\w+)` \|", PAGE, re.MULTILINE)
    tests = [name.removeprefix("test_") for name in vars(ReliedContract) if name.startswith("test_")]
    assert named == tests


def test_both_servers_are_held_to_all_of_them() -> None:
    """docs/fhir-servers.md: HAPI and Medplum; nothing of the contract is overridden or left out there."""
    for file in ("tests/real/test_contract_fhir.py", "tests/real/test_contract_medplum.py"):
        assert file in PAGE
        assert re.search(r'class TestRelied\(ReliedContract\):\n    """[^"]*"""\n', text_of(ROOT / file))
    assert not [place for place in re.findall(r"`(tests/[^`]*)`", PAGE) if not (ROOT / place).exists()]


def test_each_test_of_the_contracts_has_its_fact_and_each_name_its_test() -> None:
    """docs/fhir-servers.md: nothing that is tested is missing, nothing is named that is not there."""
    contracts = (
        ReliedContract,
        WriteContract,
        SearchContract,
        BundleContract,
        Dstu2Contract,
        IdsContract,
        UnorderedContract,
    )
    tests = {name.removeprefix("test_") for each in contracts for name in vars(each) if name.startswith("test_")}
    assert set(re.findall(r"`([a-z0-9]+(?:_[a-z0-9]+){2,})`", PAGE)) == tests
