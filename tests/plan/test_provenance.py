"""When a write is worth a Provenance: what was remembered, compared with what the server confirmed (RULES B8)."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from syncd.model.outbox import FHIR
from syncd.model.provenance import PROVENANCE, Occasion, OwedProvenance
from syncd.model.work import StudyRecord
from syncd.plan.provenance import provenance_owed

RECORD = StudyRecord(
    study_uid="1.2.3",
    resource_id="1.2.3",
    version="2",
    last_updated="",
    digest="d",
    fingerprint="f",
    status="available",
    raw={"patient": "pat-1"},
    subject="Patient/pat-1",
)


def but(**changed: Any) -> StudyRecord:
    return replace(RECORD, **changed)


def occasion(before: StudyRecord | None, after: StudyRecord, scope: str) -> Occasion | None:
    found = provenance_owed(before, after, scope=scope, intended_at=5.0)
    return OwedProvenance.of_entry(found[0]).occasion if found else None


CASES: list[tuple[str, StudyRecord | None, StudyRecord, Occasion | None, Occasion]] = [
    ("first", None, RECORD, None, Occasion.CREATED),
    ("changed", but(digest="c"), RECORD, None, Occasion.UPDATED),
    ("announced before", but(status="registered"), RECORD, None, Occasion.UPDATED),
    ("another patient", but(raw={"patient": "pat-2"}), RECORD, Occasion.SUBJECT, Occasion.SUBJECT),
    (
        "another patient in words",
        but(raw={"patient": "pat-2"}, subject=""),
        but(subject=""),
        Occasion.SUBJECT,
        Occasion.SUBJECT,
    ),
    ("another Patient of the same", but(subject="Patient/pat-0"), RECORD, Occasion.SUBJECT, Occasion.SUBJECT),
    ("literal at last", but(subject=""), RECORD, None, Occasion.UPDATED),
    ("an old record without a patient", but(raw={}), RECORD, None, Occasion.UPDATED),
    ("withdrawn", RECORD, but(status="entered-in-error"), Occasion.RETRACTED, Occasion.RETRACTED),
    ("cancelled", RECORD, but(status="cancelled"), Occasion.RETRACTED, Occasion.RETRACTED),
    ("inactive", RECORD, but(status="inactive"), Occasion.RETRACTED, Occasion.RETRACTED),
    ("withdrawn, ledger lost", None, but(status="cancelled"), Occasion.RETRACTED, Occasion.RETRACTED),
    ("withdrawn otherwise", but(status="cancelled"), but(status="entered-in-error"), None, Occasion.UPDATED),
    ("back again", but(status="cancelled"), RECORD, None, Occasion.UPDATED),
    ("replaces", None, but(raw={"patient": "pat-1", "replaces": ["9"]}), Occasion.REPLACED, Occasion.REPLACED),
    (
        "replaces as before",
        but(raw={"patient": "pat-1", "replaces": ["9"]}),
        but(raw={"patient": "pat-1", "replaces": ["9"]}),
        None,
        Occasion.UPDATED,
    ),
    (
        "replaces one more",
        but(raw={"patient": "pat-1", "replaces": ["9"]}),
        but(raw={"patient": "pat-1", "replaces": ["8", "9"]}),
        Occasion.REPLACED,
        Occasion.REPLACED,
    ),
]


@pytest.mark.parametrize(
    ("before", "after", "corrections", "everything"), [one[1:] for one in CASES], ids=[c[0] for c in CASES]
)
def test_the_scope_says_what_is_owed(
    before: StudyRecord | None, after: StudyRecord, corrections: Occasion | None, everything: Occasion
) -> None:
    """RULES B8, docs/settings.md, POLICY__PROVENANCE."""
    assert occasion(before, after, "corrections") is corrections
    assert occasion(before, after, "all") is everything
    assert occasion(before, after, "off") is None


def test_a_debt_says_everything() -> None:
    """MAPPING J.5: the id follows from the ImagingStudy and its content; the time is the intent's."""
    after = but(raw={"patient": "pat-1", "replaces": ["8", "9"]})
    (entry,) = provenance_owed(None, after, scope="corrections", intended_at=5.0)
    assert (entry.kind, entry.sink, entry.attempts) == (PROVENANCE, FHIR, 0)
    debt = OwedProvenance.of_entry(replace(entry, payload=json.loads(json.dumps(entry.payload))))
    assert (debt.study_uid, debt.resource_id, debt.version) == ("1.2.3", "1.2.3", "2")
    assert (debt.recorded, debt.sources, debt.provenance_id) == (5.0, ("8", "9"), entry.key)


def test_the_id_differs_with_resource_and_content_only() -> None:
    """MAPPING J.5: a retry says the same, whatever it knows by then of version and time."""

    def made(**changed: Any) -> str:
        return provenance_owed(None, but(**changed), scope="all", intended_at=len(changed))[0].key

    assert made() == made(version="7", last_updated="x")
    assert len({made(), made(digest="e"), made(resource_id="x-1")}) == 3
    assert made().startswith("prov-") and len(made()) == 45
