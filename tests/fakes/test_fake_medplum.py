"""The fake Medplum, held to the contracts of the real one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contracts.fhir_contract import fhir
from tests.contracts.fhir_relied import ReliedContract
from tests.contracts.fhir_unordered import UnorderedContract
from tests.fakes.fhir_medplum import FakeMedplum
from tests.fakes.http import Clock, listening

__all__ = ["fhir"]


@pytest.fixture
def server() -> Iterator[FakeMedplum]:
    fake = FakeMedplum(clock=Clock())
    with listening(fake):
        yield fake


class TestRelied(ReliedContract):
    """docs/fhir-servers.md on the fake."""


class TestUnordered(UnorderedContract):
    """What Medplum does otherwise than HAPI, on the fake."""
