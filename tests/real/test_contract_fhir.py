"""The real HAPI R4, held to the contract that the fake passes."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.contracts.fhir_bundles import BundleContract
from tests.contracts.fhir_client import FhirUnderTest
from tests.contracts.fhir_contract import WriteContract, fhir
from tests.contracts.fhir_relied import ReliedContract
from tests.contracts.fhir_searches import SearchContract
from tests.servers import FhirServer

__all__ = ["fhir"]


@pytest.fixture
def server(hapi: FhirServer) -> FhirUnderTest:
    under_test: FhirUnderTest = SimpleNamespace(url=hapi.base_url.rstrip("/"))
    return under_test


class TestRelied(ReliedContract):
    """docs/fhir-servers.md on the real one."""


class TestWriting(WriteContract):
    """docs/fhir-servers.md's single writes on the real one."""


class TestSearching(SearchContract):
    """docs/fhir-servers.md's searches on the real one."""


class TestBundles(BundleContract):
    """docs/fhir-servers.md's bundles on the real one."""
