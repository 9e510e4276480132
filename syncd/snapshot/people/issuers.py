"""Identifiers and who issued them (MAPPING B): the issuer rule's source, and the patient's ids.

The same number may be issued by two authorities, so a value never travels without what is said about its issuer, and
nothing is invented where nothing is said. The retired (0010,1000) Other Patient IDs carry no issuer at all: they are
kept apart, and published only by a site that says whose they are, for another hospital's number must never look like
one of ours.
"""

from __future__ import annotations

from collections.abc import Sequence

from syncd.model.snapshot import IssuedId, Issuer
from syncd.snapshot.values.tags import Tagset
from syncd.snapshot.values.text import upper_case, values

_PATIENT_ID = "0010,0020"
_ISSUER_OF_PATIENT_ID = "0010,0021"
_ISSUER_OF_PATIENT_ID_QUALIFIERS = "0010,0024"
_OTHER_PATIENT_IDS = "0010,1002"
_RETIRED_PATIENT_IDS = "0010,1000"
_LOCAL_NAMESPACE = "0040,0031"
_UNIVERSAL_ID = "0040,0032"
_UNIVERSAL_ID_TYPE = "0040,0033"
_IDENTIFIER_TYPE_CODE = "0040,0035"


def issuer(qualifiers: Tagset, *, local: str = "") -> Issuer | None:
    """The assigning authority in one item of an issuer sequence, with the plain issuer text beside it."""
    if not qualifiers.tags:
        return Issuer(local=local) if local else None
    found = Issuer(
        local=local or qualifiers.text(_LOCAL_NAMESPACE),
        universal_id=qualifiers.text(_UNIVERSAL_ID),
        universal_type=qualifiers.text(_UNIVERSAL_ID_TYPE).upper(),
    )
    return found if found.local or found.universal_id else None


def patient_ids(patient: Tagset, *, everywhere: Sequence[Tagset] = ()) -> tuple[tuple[IssuedId, ...], tuple[str, ...]]:
    """The patient's identifiers, and the values of (0010,1000) that are none of these, each once.

    PatientID first, then those of (0010,1002), also of the levels `everywhere` in the study that are under the same
    PatientID (RULES B9); where PatientID is missing or blank, none but (0010,1000) of `patient`."""
    primary = _patient_id(patient)
    levels = (patient, *(level for level in everywhere if primary and _is_of(level, primary)))
    ids: tuple[IssuedId, ...] = ()
    if primary is not None:
        others = (_patient_id(item) for level in levels for item in level.items(_OTHER_PATIENT_IDS))
        ids = tuple(dict.fromkeys([primary, *(other for other in others if other is not None)]))
    known = {one.value for one in ids}
    told = (one for level in levels for one in values(level.raw(_RETIRED_PATIENT_IDS)))
    return ids, tuple(one for one in dict.fromkeys(told) if one not in known)


def _is_of(level: Tagset, patient: IssuedId) -> bool:
    """Whether a level is under the same PatientID, and names no other issuer of it."""
    named = _patient_id(level)
    return named is not None and named.value == patient.value and (not named.issuer or named.issuer == patient.issuer)


def _patient_id(level: Tagset) -> IssuedId | None:
    value = level.text(_PATIENT_ID)
    if not value:
        return None
    qualifiers = level.item(_ISSUER_OF_PATIENT_ID_QUALIFIERS)
    kind = qualifiers.text(_IDENTIFIER_TYPE_CODE) or level.text(_IDENTIFIER_TYPE_CODE)
    return IssuedId(
        value=value,
        issuer=issuer(qualifiers, local=level.text(_ISSUER_OF_PATIENT_ID)),
        type_code=upper_case(kind, note=level.at(_IDENTIFIER_TYPE_CODE)),
    )
