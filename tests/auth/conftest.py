"""What the tests of this room share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture
def log_output() -> Iterator[structlog.testing.LogCapture]:
    """What was logged."""
    capture = structlog.testing.LogCapture()
    before = structlog.get_config()
    structlog.configure(processors=[capture], wrapper_class=structlog.BoundLogger)
    yield capture
    structlog.configure(**before)
