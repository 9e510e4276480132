"""What an answer means: RULES C6's table, row by row."""

from __future__ import annotations

from typing import Any

import pytest

from syncd.publish.answers import TABLE, Verdict, issue_codes, verdict

REFERENCES = frozenset({"Patient/pat-1", "Endpoint/main-wado-rs"})
SILENT: dict[str, Any] = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "processing"}]}
NAMING = {
    "resourceType": "OperationOutcome",
    "issue": [{"diagnostics": "HAPI-1094: Resource Patient/pat-1 not found, specified in path: ImagingStudy.subject"}],
}
IN_DETAILS = {"resourceType": "OperationOutcome", "issue": [{"details": {"text": "Endpoint/main-wado-rs is unknown"}}]}

WITHOUT_OUTCOME = {
    200: Verdict.OK,
    201: Verdict.OK,
    204: Verdict.OK,
    301: Verdict.PAUSED,
    302: Verdict.PAUSED,
    304: Verdict.PAUSED,
    400: Verdict.REFUSED,
    401: Verdict.PAUSED,
    403: Verdict.FORBIDDEN,
    404: Verdict.PAUSED,
    405: Verdict.PAUSED,
    408: Verdict.TRANSIENT,
    409: Verdict.CONFLICT,
    410: Verdict.GONE,
    412: Verdict.CONFLICT,
    413: Verdict.TOO_LARGE,
    415: Verdict.REFUSED,
    418: Verdict.REFUSED,
    422: Verdict.REFUSED,
    425: Verdict.TRANSIENT,
    429: Verdict.TRANSIENT,
    500: Verdict.TRANSIENT,
    501: Verdict.TRANSIENT,
    502: Verdict.TRANSIENT,
    503: Verdict.TRANSIENT,
    504: Verdict.TRANSIENT,
    599: Verdict.TRANSIENT,
    100: Verdict.TRANSIENT,
    600: Verdict.TRANSIENT,
    999: Verdict.TRANSIENT,
}
WITH_OUTCOME = WITHOUT_OUTCOME | {404: Verdict.ABSENT}
WITH_REFERENCE = WITH_OUTCOME | {400: Verdict.REFERENCE, 409: Verdict.REFERENCE, 422: Verdict.REFERENCE}


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [(None, WITHOUT_OUTCOME), (SILENT, WITH_OUTCOME), (NAMING, WITH_REFERENCE), (IN_DETAILS, WITH_REFERENCE)],
    ids=["no outcome", "an outcome", "an outcome that names a reference", "a reference in details.text"],
)
def test_every_status_has_its_meaning(outcome: dict[str, Any] | None, expected: dict[int, Verdict]) -> None:
    """RULES C6, MAPPING I case 64: the table; a reference of ours in the text makes a refusal one of the reference (B4)."""
    assert {status: verdict(status, outcome=outcome, references=REFERENCES) for status in expected} == expected


def test_every_row_of_the_table_decides_something() -> None:
    """RULES C6: no row is shadowed by those above it."""
    outcomes = (None, SILENT, NAMING)

    def first(status: int, outcome: dict[str, Any] | None) -> int:
        named = outcome is NAMING
        return next(
            number
            for number, row in enumerate(TABLE)
            if row.first <= status <= row.last
            and row.outcome in (None, outcome is not None)
            and row.names_reference in (None, named)
        )

    assert {first(status, one) for status in range(200, 600) for one in outcomes} == set(range(len(TABLE)))


def test_a_reference_that_is_not_ours_is_no_reason() -> None:
    """RULES B4: only references of the resource that was sent count."""
    assert verdict(400, outcome=NAMING, references=frozenset({"Patient/other"})) is Verdict.REFUSED
    assert verdict(400, outcome=NAMING) is Verdict.REFUSED


@pytest.mark.parametrize(
    ("outcome", "codes"),
    [
        (None, "no OperationOutcome"),
        ({"issue": []}, "no issue"),
        ({"issue": "rubbish"}, "no issue"),
        ({"issue": ["rubbish", {"code": "invalid"}]}, "invalid"),
        ({"issue": [{"severity": "warning", "code": "informational"}]}, "no issue"),
        ({"issue": [{"severity": "error", "code": "invalid", "expression": ["ImagingStudy.started"]}]},
         "invalid ImagingStudy.started"),
        ({"issue": [{"severity": "fatal", "code": "structure", "location": ["/f:x"], "diagnostics": "Sam 1970"}]},
         "structure /f:x"),
        ({"issue": [{"code": "required"}] * 7}, "; ".join(["required"] * 5)),
    ],
)  # fmt: skip
def test_of_an_outcome_only_codes_and_places_are_told(outcome: dict[str, Any] | None, codes: str) -> None:
    """RULES S1: logs carry `issue.code` and `expression`, never texts."""
    assert issue_codes(outcome) == codes
