"""The FHIR versions that we speak, by name; which one a server speaks, by what it says of itself.

R6 is several standards: "6.0.0-ballot4" and "6.0.0-ballot5" are different standards (MAPPING 0.1-1). Ballots before the
fifth have names of their own here, so that they can be refused by name, and everything from ballot5 on is `r6`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from syncd.mapping.dialects.dstu2 import Dstu2
from syncd.mapping.dialects.r4 import R4
from syncd.mapping.dialects.r4b import R4B
from syncd.mapping.dialects.r5 import R5
from syncd.mapping.dialects.r6 import R6

_DIALECTS: Mapping[str, R4] = {one.version: one for one in (Dstu2(), R4(), R4B(), R5(), R6())}

VERSIONS = tuple(_DIALECTS)
"""The names that `dialect` knows, oldest first."""

_RELEASES = {"1.0": "dstu2", "3.0": "stu3", "4.0": "r4", "4.1": "r4b-ballot", "4.3": "r4b", "5.0": "r5", "6.0": "r6"}
_EARLY_R6 = re.compile(r"6\.0\.0-ballot([1-4])(?![0-9])")


def dialect(fhir_version: str) -> R4:
    """The dialect of one of `VERSIONS`. Raises `ValueError` for any other name."""
    if fhir_version not in _DIALECTS:
        raise ValueError(f"FHIR version {fhir_version!r} is none of {', '.join(VERSIONS)}")
    return _DIALECTS[fhir_version]


def release(fhir_version: str) -> str:
    """A CapabilityStatement's `fhirVersion` as a name: one of `VERSIONS`, or another that we do not speak (`r6-ballot4`,
    `stu3`), or the text itself; `unknown` where it is empty."""
    said = fhir_version.strip()
    early = _EARLY_R6.match(said)
    if early:
        return f"r6-ballot{early[1]}"
    return _RELEASES.get(".".join(said.split(".")[:2]), said or "unknown")
