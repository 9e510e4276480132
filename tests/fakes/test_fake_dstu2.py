"""The fake FHIR server in DSTU2, held to the contract of the real HAPI in that mode."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contracts.fhir_dstu2 import Dstu2Contract, dstu2
from tests.fakes.fhir import FakeFhir
from tests.fakes.http import Clock, listening

__all__ = ["dstu2"]


@pytest.fixture
def server() -> Iterator[FakeFhir]:
    fake = FakeFhir("dstu2", clock=Clock())
    with listening(fake):
        yield fake


class TestDstu2(Dstu2Contract):
    """What is otherwise in DSTU2, on the fake."""
