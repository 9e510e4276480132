"""The Patient IE of a study: identifiers, names, gender, birth date (MAPPING J.1, C.1 to C.3)."""

from __future__ import annotations

from collections.abc import Sequence

from syncd.model.snapshot import PatientFacts
from syncd.snapshot.code_strings import upper_case
from syncd.snapshot.dates import birth_date
from syncd.snapshot.issuers import patient_ids, retired_ids
from syncd.snapshot.names import person_name, person_names
from syncd.snapshot.tags import PATIENT_NAME, Tagset

_OTHER_PATIENT_NAMES = "0010,1001"
_BIRTH_DATE = "0010,0030"
_SEX = "0010,0040"

_GENDERS = {"M": "male", "F": "female", "O": "other"}


def patient_facts(patient: Tagset, *, everywhere: Sequence[Tagset] = ()) -> PatientFacts:
    """What the study says about its patient; `everywhere` in it further identifiers may stand."""
    official = person_name(patient.raw(PATIENT_NAME), note=patient.at(PATIENT_NAME))
    others = person_names(patient.raw(_OTHER_PATIENT_NAMES), note=patient.at(_OTHER_PATIENT_NAMES))
    return PatientFacts(
        ids=patient_ids(patient, everywhere=everywhere),
        names=tuple(dict.fromkeys([*([official] if official else []), *others])),
        gender=_gender(patient),
        birth_date=birth_date(patient.raw(_BIRTH_DATE), note=patient.at(_BIRTH_DATE)),
        retired_ids=retired_ids(patient, everywhere=everywhere),
    )


def _gender(patient: Tagset) -> str:
    sex = upper_case(patient.text(_SEX), among=_GENDERS, note=patient.at(_SEX))
    if not sex:
        return ""
    if sex not in _GENDERS:
        patient.notes.add(_SEX, rule="C.3", done="unknown written: not M, F or O")
    return _GENDERS.get(sex, "unknown")
