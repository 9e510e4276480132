"""Here the model libraries parse whatever is checked, not a sample of it (RULES B1)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from syncd.mapping.check import check


@pytest.fixture(scope="package", autouse=True)
def every_resource_is_parsed() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(check, "SAMPLE", 1)
        yield
