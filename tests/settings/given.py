"""What is enough for syncd to start, and how to ask for what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from syncd.errors import ConfigurationError
from syncd.settings import load

ENOUGH = {"SYNCD_ARCHIVES__MAIN__URL": "http://127.0.0.1:8042", "SYNCD_FHIR__URL": "http://127.0.0.1:8080/fhir"}


def problems(environ: Mapping[str, str], **arguments: Any) -> list[str]:
    """The lines of the refusal of `environ`, which is added to what is enough."""
    with pytest.raises(ConfigurationError) as refused:
        load(environ={**ENOUGH, **environ}, **arguments)
    return str(refused.value).splitlines()
