"""What R4B says of an imaging study: nothing that R4 does not say; only the definitions' own version differs (MAPPING A)."""

from __future__ import annotations

from syncd.mapping.dialects.r4 import R4


class R4B(R4):
    """FHIR 4.3.0."""

    version = "r4b"
