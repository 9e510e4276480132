"""Identifiers and who issued them (MAPPING B): patient ids, accession, placer, filler and admission numbers.

The difficulty is that the same number may be issued by two authorities, so a value never travels without what is said
about its issuer, and nothing is invented where nothing is said. The retired (0010,1000) Other Patient IDs carry no
issuer at all: they are kept apart, and published only by a site that says whose they are, for another hospital's number
must never look like one of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from syncd.model.snapshot import IssuedId, Issuer
from syncd.snapshot.tags import Tagset
from syncd.snapshot.text import values

_PATIENT_ID = "0010,0020"
_ISSUER_OF_PATIENT_ID = "0010,0021"
_ISSUER_OF_PATIENT_ID_QUALIFIERS = "0010,0024"
_OTHER_PATIENT_IDS = "0010,1002"
_RETIRED_PATIENT_IDS = "0010,1000"
_LOCAL_NAMESPACE = "0040,0031"
_UNIVERSAL_ID = "0040,0032"
_UNIVERSAL_ID_TYPE = "0040,0033"
_IDENTIFIER_TYPE_CODE = "0040,0035"

_ACCESSION = "0008,0050"
_ACCESSION_ISSUER = "0008,0051"
_ADMISSION = "0038,0010"
_ADMISSION_ISSUER = "0038,0014"
_PLACER_ORDER = "0040,2016"
_PLACER_ISSUER = "0040,0026"
_FILLER_ORDER = "0040,2017"
_FILLER_ISSUER = "0040,0027"

REQUEST_SEQUENCES = ("0040,a370", "0040,0275")
"""Referenced Request Sequence (SR, KO) and Request Attributes Sequence (images)."""


def issuer(qualifiers: Tagset, *, local: str = "") -> Issuer | None:
    """The assigning authority in one item of an issuer sequence, with the plain issuer text beside it."""
    found = Issuer(
        local=local or qualifiers.text(_LOCAL_NAMESPACE),
        universal_id=qualifiers.text(_UNIVERSAL_ID),
        universal_type=qualifiers.text(_UNIVERSAL_ID_TYPE).upper(),
    )
    return found if found.local or found.universal_id else None


def patient_ids(patient: Tagset) -> tuple[IssuedId, ...]:
    """PatientID first, then those of (0010,1002); none at all where PatientID is missing or blank."""
    primary = _patient_id(patient)
    if primary is None:
        return ()
    others = (_patient_id(item) for item in patient.items(_OTHER_PATIENT_IDS))
    return tuple(dict.fromkeys([primary, *(other for other in others if other is not None)]))


def retired_ids(patient: Tagset) -> tuple[str, ...]:
    """The values of (0010,1000), each once; none where they are those of the patient's known identifiers."""
    known = {one.value for one in patient_ids(patient)}
    return tuple(one for one in dict.fromkeys(values(patient.raw(_RETIRED_PATIENT_IDS))) if one not in known)


def accessions(study: Tagset, *, everywhere: Sequence[Tagset]) -> tuple[IssuedId, ...]:
    """The study's accession numbers; where it has none itself, those of the requests `everywhere` in it.

    A stray backslash in (0008,0050) separates values; all of them have the issuer (0008,0051).
    """
    if len(values(study.raw(_ACCESSION))) > 1:
        study.notes.add(_ACCESSION, rule="B", done="several accession numbers in one value: split", safety=True)
    own = _issued(study, value_tag=_ACCESSION, issuer_tag=_ACCESSION_ISSUER)
    return _distinct(own) or _of_requests(everywhere, value_tag=_ACCESSION, issuer_tag=_ACCESSION_ISSUER)


def placer_orders(study: Tagset, *, everywhere: Sequence[Tagset]) -> tuple[IssuedId, ...]:
    """(0040,2016) with its issuer (0040,0026), on the study's level or in its requests."""
    own = _issued(study, value_tag=_PLACER_ORDER, issuer_tag=_PLACER_ISSUER)
    return _distinct(own) or _of_requests(everywhere, value_tag=_PLACER_ORDER, issuer_tag=_PLACER_ISSUER)


def filler_orders(study: Tagset, *, everywhere: Sequence[Tagset]) -> tuple[IssuedId, ...]:
    """(0040,2017) with its issuer (0040,0027), on the study's level or in its requests."""
    own = _issued(study, value_tag=_FILLER_ORDER, issuer_tag=_FILLER_ISSUER)
    return _distinct(own) or _of_requests(everywhere, value_tag=_FILLER_ORDER, issuer_tag=_FILLER_ISSUER)


def admission(study: Tagset) -> IssuedId | None:
    """(0038,0010) with its issuer (0038,0014)."""
    return next(iter(_issued(study, value_tag=_ADMISSION, issuer_tag=_ADMISSION_ISSUER)), None)


def requests(instance: Tagset) -> tuple[Tagset, ...]:
    """The requests that an instance answers, as items."""
    return tuple(item for tag in REQUEST_SEQUENCES for item in instance.items(tag))


def _patient_id(level: Tagset) -> IssuedId | None:
    value = level.text(_PATIENT_ID)
    if not value:
        return None
    qualifiers = level.item(_ISSUER_OF_PATIENT_ID_QUALIFIERS)
    return IssuedId(
        value=value,
        issuer=issuer(qualifiers, local=level.text(_ISSUER_OF_PATIENT_ID)),
        type_code=qualifiers.text(_IDENTIFIER_TYPE_CODE) or level.text(_IDENTIFIER_TYPE_CODE),
    )


def _issued(level: Tagset, *, value_tag: str, issuer_tag: str) -> tuple[IssuedId, ...]:
    by = issuer(level.item(issuer_tag))
    return tuple(IssuedId(value=value, issuer=by) for value in values(level.raw(value_tag)))


def _of_requests(instances: Sequence[Tagset], *, value_tag: str, issuer_tag: str) -> tuple[IssuedId, ...]:
    found = (
        _issued(request, value_tag=value_tag, issuer_tag=issuer_tag) for each in instances for request in requests(each)
    )
    return _distinct(identifier for some in found for identifier in some)


def _distinct(identifiers: Iterable[IssuedId]) -> tuple[IssuedId, ...]:
    return tuple(dict.fromkeys(identifiers))
