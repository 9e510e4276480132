"""What published studies refer to, and who stands by a Patient (RULES B10, B12).

The ledger knows which study names which Patient, and nothing of the person. Both questions are asked of it: whose Patient
would be rewritten, and which remembered answers are to be asked again. The second goes over everything once per FHIR
inventory, so it is read in pages and windows (RULES E8); what a study refers to beside its subject lies in its raw facts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, Text, bindparam, or_, select, type_coerce

from syncd.ledger.db.rows import slices
from syncd.ledger.db.schema import parked, records, safety_notes
from syncd.ledger.db.transactions import Transactions
from syncd.ledger.studies.records import every_uid
from syncd.model.words import SHOWN, ParkedReason
from syncd.model.work import NAMED, REFERS_TO, UNLIKE

RULE = "RULES B10"
"""Of a note of what a Patient says otherwise."""

_DOUBTED = (
    ParkedReason.PATIENT_MISMATCH.value,
    ParkedReason.PATIENT_AMBIGUOUS.value,
    ParkedReason.REFERENCE_REFUSED.value,
)
"""Parked for what another resource was then."""


class References:
    """`ledger.references`: each method one short read."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def find_study_under(self, subject: str, *, but: str) -> str:
        """A study, not `but`, that is shown under this subject and in no doubt about it; empty where there is none."""
        wanted = _STANDING.params(subject=subject, but=but)
        return str(self._transactions.read(lambda connection: connection.execute(wanted).scalar()) or "")

    def subjects(self, after: str, *, most: int) -> list[str]:
        """The next subjects that shown studies have, in order, each once."""
        page = {"after": after, "most": most}
        return self._transactions.read(lambda connection: list(connection.execute(_SUBJECTS, page).scalars()))

    def patients(self, subjects: Sequence[str]) -> Mapping[str, frozenset[str]]:
        """By subject, the ids that our own Patient would have: which identifiers these subjects were found by."""
        return self._transactions.read(lambda connection: _patients(connection, subjects))

    def find_referring(self, after: str, upto: str) -> list[tuple[str, Mapping[str, Any]]]:
        """The shown studies of a window of records that refer to more than their subject, with their raw facts."""
        wanted = _REFERRING.params(after=after, upto=upto)
        rows = self._transactions.read(lambda connection: connection.execute(wanted).all())
        return [(row.study_uid, row.raw) for row in rows]

    def find_doubted(self, after: str, *, most: int) -> list[str]:
        """The next studies that are parked for what a Patient, or what else they refer to, was then, or published although
        somebody else's Patient said otherwise."""
        page = {"after": after, "most": most}
        return self._transactions.read(lambda connection: _find_doubted(connection, page)[:most])


_IN_DISPUTE = or_(
    parked.c.reason == ParkedReason.PATIENT_MISMATCH.value,
    (parked.c.reason == ParkedReason.VALUES_STRICT.value) & parked.c.detail.contains(UNLIKE, autoescape=True),
)
"""Parked for what a Patient says otherwise (`ParkedStudy.disputes_patient`)."""

_DISPUTES = select(parked.c.study_uid).where(parked.c.study_uid == records.c.study_uid, _IN_DISPUTE).exists()
_STANDING = (
    select(records.c.study_uid)
    .where(records.c.subject == bindparam("subject"), records.c.study_uid != bindparam("but"))
    .where(records.c.retracted.in_(SHOWN), ~_DISPUTES)
    .order_by(records.c.study_uid)
    .limit(1)
)
_SUBJECTS = (
    select(records.c.subject)
    .distinct()
    .where(records.c.subject > bindparam("after"), records.c.retracted == "")
    .order_by(records.c.subject)
    .limit(bindparam("most"))
)
_RAW = type_coerce(records.c.raw, Text)
_REFERRING = (
    select(records.c.study_uid, records.c.raw)
    .where(records.c.study_uid > bindparam("after"), records.c.study_uid <= bindparam("upto"))
    .where(records.c.retracted == "", or_(*(_RAW.contains(f'"{name}":') for name in REFERS_TO)))
    .order_by(records.c.study_uid)
)
_IS_THEIRS = ~records.c.subject.startswith("Patient/pat-") & (records.c.subject != "")
_DOUBTFUL = every_uid(parked).where(or_(parked.c.reason.in_(_DOUBTED), _IN_DISPUTE), ~parked.c.dropped)


_NOTED = (
    every_uid(safety_notes)
    .where(type_coerce(safety_notes.c.notes, Text).contains(f'"{RULE}"'))
    .where(select(records.c.subject).where(records.c.study_uid == safety_notes.c.study_uid, _IS_THEIRS).exists())
)
"""Of our own Patient whoever changes it marks them."""


def _find_doubted(connection: Connection, page: Mapping[str, Any]) -> list[str]:
    return sorted({uid for wanted in (_DOUBTFUL, _NOTED) for uid in connection.execute(wanted, page).scalars()})


def select_mismatched(reference: str) -> Select[Any]:
    """The studies parked because they say something else than this Patient, as `records.every_uid`."""
    return every_uid(parked).where(_IN_DISPUTE, parked.c.detail.contains(f"{reference} ", autoescape=True))


def select_under(subject: str, *, but: str) -> Select[Any]:
    """The studies whose published subject is `subject`, as `records.every_uid`; without the study `but`."""
    return every_uid(records).where(records.c.subject == subject, records.c.study_uid != but)


def _patients(connection: Connection, subjects: Iterable[str]) -> Mapping[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for some in slices(subjects):
        wanted = select(records.c.subject, records.c.raw).where(
            records.c.subject.in_(some), records.c.retracted == "", _RAW.contains(f'"{NAMED}":true')
        )
        for row in connection.execute(wanted):
            found.setdefault(row.subject, set()).add(str(row.raw.get("patient", "")))
    return {subject: frozenset(ids) for subject, ids in found.items()}
