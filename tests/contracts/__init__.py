"""What the two servers do, as suites that run on the fakes and on the real ones: one test per row of the tables."""

import pytest

pytest.register_assert_rewrite(
    "tests.contracts.orthanc_contract",
    "tests.contracts.orthanc_reading",
    "tests.contracts.orthanc_together",
    "tests.contracts.fhir_contract",
    "tests.contracts.fhir_searches",
    "tests.contracts.fhir_bundles",
)
