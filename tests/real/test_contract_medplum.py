"""The real Medplum, held to what syncd relies on of any server, and to where it differs from HAPI."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.contracts.fhir_client import FhirUnderTest
from tests.contracts.fhir_contract import fhir
from tests.contracts.fhir_relied import ReliedContract
from tests.contracts.fhir_unordered import UnorderedContract
from tests.servers import FhirServer

__all__ = ["fhir"]


@pytest.fixture
def server(medplum: FhirServer) -> FhirUnderTest:
    under_test: FhirUnderTest = SimpleNamespace(url=medplum.base_url.rstrip("/"))
    return under_test


class TestRelied(ReliedContract):
    """docs/fhir-servers.md on the real one."""


class TestUnordered(UnorderedContract):
    """What it does otherwise than HAPI, on the real one."""
