"""The Patient IE of a study: identifiers, names, gender, birth date (MAPPING J.1, C.1 to C.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from syncd.model.snapshot import PatientFacts
from syncd.model.study.agreement import PATIENT, QUALIFIERS
from syncd.model.study.raw import RawSeries, Tags
from syncd.model.study.reading import Reading
from syncd.snapshot.notes import Notes
from syncd.snapshot.people.issuers import patient_ids
from syncd.snapshot.values.agreement import is_spoilt_alike
from syncd.snapshot.values.dates import birth_date
from syncd.snapshot.values.names import person_name, person_names
from syncd.snapshot.values.tags import PATIENT_NAME, SOP_INSTANCE_UID, Tagset, has_value, only, readable
from syncd.snapshot.values.text import clean, upper_case

_OTHER_PATIENT_NAMES = "0010,1001"
_BIRTH_DATE = "0010,0030"
_SEX = "0010,0040"

_PERSON = (*PATIENT, QUALIFIERS)
_IDENTIFYING = ("0010,0020", "0010,0021")
_GENDERS = {"M": "male", "F": "female", "O": "other"}


def patient_facts(patient: Tagset, *, everywhere: Sequence[Tagset] = ()) -> PatientFacts:
    """What the study says about its patient; `everywhere` in it further identifiers may stand."""
    official = person_name(patient.raw(PATIENT_NAME), note=patient.at(PATIENT_NAME))
    others = person_names(patient.raw(_OTHER_PATIENT_NAMES), note=patient.at(_OTHER_PATIENT_NAMES))
    ids, retired = patient_ids(patient, everywhere=everywhere)
    return PatientFacts(
        ids=ids,
        names=tuple(dict.fromkeys([*([official] if official else []), *others])),
        gender=_gender(patient),
        birth_date=birth_date(patient.raw(_BIRTH_DATE), note=patient.at(_BIRTH_DATE)),
        retired_ids=retired,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """What a series says of its patient: `all` of it the same, or `each` image by its SOPInstanceUID; `unshared` are the
    tags of which it is only known that not all images say the same."""

    all: PatientFacts | None = None
    each: Mapping[str, PatientFacts] = field(default_factory=dict)
    unshared: tuple[str, ...] = ()


def people(series: RawSeries, *, uids: Sequence[str], reading: Reading) -> People:
    """Whose the images of a series are, `uids` being theirs. What is odd about the values was noted of the study's."""

    def of(tags: Tags) -> PatientFacts:
        return patient_facts(Tagset(tags, Notes(reading)))

    own = series.representative
    if not own:
        return People()
    spoken = _distinct([only(image, wanted=_PERSON) for image in series.images])
    distinct = {_comparison_key(readable(said, reading=reading)) for said in spoken}
    if len(distinct) > 1:
        said = {clean(image.get(SOP_INSTANCE_UID)): of(image) for image in series.images}
        if said.keys() >= set(uids):
            return People(each={uid: said[uid] for uid in uids})
    unshared = (tag for tag in PATIENT if has_value(own.get(tag)) and _is_unshared(tag, series=series))
    return People(all=of(own), unshared=tuple(unshared))


def _distinct(said: Sequence[Tags]) -> Sequence[Tags]:
    """The first, and those that use other words."""
    return [*said[:1], *(each for each in said if each != said[0])]


def _comparison_key(said: Tags) -> tuple[str, ...]:
    return (*(clean(said.get(tag)) for tag in PATIENT), repr(said.get(QUALIFIERS) or ""))


def _is_unshared(tag: str, *, series: RawSeries) -> bool:
    """Whether images are known not to share it, or not known to share an identifier."""
    if series.shared is not None and not has_value(series.shared.get(tag)):
        return True
    return tag in _IDENTIFYING and is_spoilt_alike(tag, series=series)


def _gender(patient: Tagset) -> str:
    sex = upper_case(patient.text(_SEX), among=_GENDERS, note=patient.at(_SEX))
    if not sex:
        return ""
    if sex not in _GENDERS:
        patient.notes.add(_SEX, rule="C.3", done="unknown written: not M, F or O")
    return _GENDERS.get(sex, "unknown")
