"""docs/fhir-servers.md lists what syncd relies on of a FHIR server, and each line's test runs on both real ones."""

from __future__ import annotations

import re

from tests.contracts.fhir_relied import ReliedContract
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
