"""The house in which a series was made, and who keeps its documents (PS3.3 C.7.5.1, C.17.2).

All of it is one representative's word for a whole series, which by definition was made by one device (PS3.3 A.1.2.3).
Any part may be missing: what is there is kept, and where nothing is, there is no organisation.
"""

from __future__ import annotations

from syncd.model.snapshot import Institution
from syncd.snapshot.values.codes import codes
from syncd.snapshot.values.tags import Tagset

_INSTITUTION_NAME = "0008,0080"
_INSTITUTION_CODES = "0008,0082"
_CUSTODIAL_ORGANIZATION = "0040,a07c"


def institution(level: Tagset) -> Institution | None:
    """The organisation that a level names; None where it names none."""
    code = next(iter(codes(level.items(_INSTITUTION_CODES))), None)
    found = Institution(name=level.text(_INSTITUTION_NAME), code=code)
    return found if found != Institution() else None


def custodian(series: Tagset) -> Institution | None:
    """Who keeps the series, where its representative is a document that says so."""
    return institution(series.item(_CUSTODIAL_ORGANIZATION))
