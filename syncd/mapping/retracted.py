"""Which status says that a study is no more (MAPPING D.2, F.3).

R6 has `inactive` for what was real once; the versions before it have only `cancelled`. What should never have been is
`entered-in-error` everywhere but in DSTU2, whose one word for both, UNAVAILABLE, counts as `cancelled`. What remains of
such a study is said by `imagingstudy.withdrawn`.
"""

from __future__ import annotations


def retracted_status(*, in_error: bool, fhir_version: str) -> str:
    """The status of a study of which nothing is left (MAPPING D.2, RULES B7); `fhir_version` as in the settings."""
    if in_error and fhir_version != "dstu2":
        return "entered-in-error"
    return "inactive" if fhir_version == "r6" else "cancelled"
