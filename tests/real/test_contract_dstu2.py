"""The real HAPI in DSTU2 mode, held to the contract that the fake passes."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from tests.contracts.fhir_client import FhirUnderTest
from tests.contracts.fhir_dstu2 import Dstu2Contract, dstu2
from tests.servers import Unavailable, start_hapi

__all__ = ["dstu2"]


@pytest.fixture(scope="module")
def server() -> Iterator[FhirUnderTest]:
    try:
        hapi = start_hapi(fhir="dstu2")
    except Unavailable as reason:
        pytest.skip(str(reason))
    yield SimpleNamespace(url=hapi.base_url.rstrip("/"))
    hapi.discard()


class TestDstu2(Dstu2Contract):
    """What is otherwise in DSTU2, on the real one."""
