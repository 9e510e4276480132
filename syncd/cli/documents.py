"""What `audit`, `explain` and `parked` answer as JSON: one shape each, which scripts may hold on to.

Each shape is listed here by path, docs/audit.md is generated from the lists, and tests hold the answers to them. Times are
ISO 8601 in UTC, null where there is none. No name, birth date, PatientID or accession is in any of them (RULES S1).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from syncd.loop.commands.audit import Audit
from syncd.loop.commands.explain import Explanation
from syncd.model.audit import Difference, DifferenceKind, Standing
from syncd.model.work import DoubtfulStudy, ParkedStudy, StudyRecord
from syncd.plan.decide import Absent, Current, Deleted, Found

AUDIT = {
    "in_sync": "whether nothing differs and nothing is parked; studies being worked on and dropped ones do not count",
    "deep": "whether every study was rendered again",
    "archives.<name>": "studies (copies) that the archive lists",
    "fhir.listed": "ImagingStudies that carry our tag",
    "fhir.reset": "whether the FHIR server lost what was published: our sentinel is not there",
    "studies": "distinct studies compared",
    "pending": "studies that are being worked on: marked less than 2 minutes ago, or still arriving",
    "counts.<kind>": "differences by kind: `missing`, `stale`, `extra`, `duplicate`, `drifted`, `parked`, `dropped`",
    "repaired": "studies put right by `--repair`; `null` without it",
    "retractions.<archive>.number": "studies that wait at the archive's closed brake",
    "retractions.<archive>.hash": "what `--accept-retractions` takes",
    "retractions.<archive>.studies": "the first 20 of them",
    "differences[].study": "StudyInstanceUID",
    "differences[].kind": "as in `counts`",
    "differences[].detail": "why, in words",
    "differences[].resource": "id of the ImagingStudy concerned, where there is one",
    "differences[].elements": "names of the FHIR elements that differ, where they were compared",
}

EXPLAIN = {
    "study": "StudyInstanceUID",
    "known": "whether an archive holds it or the ledger knows it",
    "in_sync": "whether nothing is left to do for it",
    "copies[].archive": "the archive that holds it now",
    "copies[].orthanc_id": "Orthanc's id of it there",
    "copies[].stable": "whether Orthanc calls it stable",
    "copies[].last_update": "Orthanc's LastUpdate",
    "copies[].series": "number of series",
    "copies[].instances": "number of instances, `null` where it is not known",
    "not_asked.<server>": "why a server could not be asked; the FHIR server is `fhir`",
    "published": "what the FHIR server confirmed last; `null` if nothing was published",
    "published.resource": "id of the ImagingStudy",
    "published.version": "its version then",
    "published.status": "its status",
    "published.subject": "`own` Patient, `foreign` Patient, or `logical` reference",
    "published.at": "when",
    "published.archive": "from which archive",
    "published.settings": "`current`, `outdated` (settings or mapping changed since) or `unknown`",
    "published.series": "number of series",
    "published.instances": "number of instances",
    "published.summary": "whether without instances, because it is too large",
    "published.adopted": "whether the resource was another writer's before",
    "published.retracted": "how it was taken back: `withdrawn`, `deleted`, `kept`, `theirs`; empty while it is shown",
    "published.retracted_at": "when",
    "fhir.state": "what the FHIR server holds now: `found`, `absent`, `deleted`, or `unknown`",
    "fhir.resource": "the id asked for",
    "fhir.version": "its version",
    "fhir.equal": "names of our elements that are as they should be",
    "fhir.differing": "names of elements that a write would change",
    "fhir.foreign": "names of others' elements, which stay",
    "pending": "the mark that makes syncd look at it again; `null` if there is none",
    "pending.reason": "what made it: `event`, `stable`, `inventory`, `resync`, `rerender`, `verify`, `rejection`",
    "pending.priority": "0 new from the archive, 1 repair, 2 backfill",
    "pending.since": "when it was made",
    "pending.due": "when it will be looked at",
    "pending.attempts": "failed attempts so far",
    "pending.not_before": "no attempt before",
    "pending.reads_fhir": "whether FHIR itself is read then",
    "parked": "why it is set aside; `null` if it is not",
    "parked.reason": "one word, see the README",
    "parked.detail": "rule, tag or codes, never a value",
    "parked.since": "when",
    "parked.dropped": "whether an operator wants to hear nothing of it until it changes",
    "decision": "what a look that reads FHIR decides now; `null` if that cannot be told",
    "decision.decision": "`Create`, `Update`, `Retract`, `Skip`, `Park` or `Wait`",
    "decision.reason": "why",
    "undecided": "why no decision can be told; empty otherwise",
    "notes[].tag": "the DICOM tag, `gggg,eeee`, of something odd",
    "notes[].rule": "the rule of docs/mapping.md",
    "notes[].done": "what was done about it",
    "notes[].safety": "whether it leaves the patient, a side, a body region or an order in doubt",
    "rejections[].note": "SOP Instance UID of a rejection note that concerns it",
    "rejections[].source": "the study in which the note lies",
    "rejections[].target": "the study that it names",
    "rejections[].title": "its code",
    "rejections[].instances": "how many instances it names",
    "rejections[].missing_since": "when the note was first not found any more",
    "retraction": "its place in the plan of the closed brake; `null` if it has none",
    "retraction.archive": "whose brake",
    "retraction.cause": "`gone`, `rejected` or `deselected`",
    "retraction.planned_at": "since when it waits",
    "retraction.accepted_at": "when an operator accepted it",
    "owed[].kind": "what is owed after a write of it, such as `Provenance`",
    "owed[].sink": "to whom: `fhir`, or the name of another receiver",
    "owed[].state": "`waiting`, or `given-up`: it will not be sent any more",
    "owed[].since": "since when it is owed",
    "owed[].due": "when it is tried next, or was given up",
    "owed[].attempts": "failed attempts so far",
    "owed[].reason": "how the last one ended",
    "history[].at": "when something was decided, the latest first, at most 20",
    "history[].decision": "as in `decision`",
    "history[].reason": "why",
    "history[].correlation_id": "find it in the logs of syncd and of both servers",
}

PARKED = {
    "[].study": "StudyInstanceUID",
    "[].reason": "one word, see the README",
    "[].detail": "rule, tag or codes, never a value",
    "[].since": "when it was set aside",
    "[].archive": "an archive that holds it, empty where none is known",
    "[].study_date": "StudyDate, empty where none is known: only a study published before has one",
    "[].dropped": "whether an operator wants to hear nothing of it until it changes",
}


NOTES = {
    "number": "published studies with safety notes",
    "outdated": "published studies that an earlier version or other settings rendered, of which nothing is known yet",
    "studies[].study": "StudyInstanceUID",
    "studies[].resource": "id of the ImagingStudy",
    "studies[].archive": "from which archive it was published",
    "studies[].study_date": "StudyDate, empty where there is none",
    "studies[].since": "since when it has these notes",
    "studies[].notes[].tag": "the DICOM tag, `gggg,eeee`, or empty",
    "studies[].notes[].rule": "the rule of docs/mapping.md",
    "studies[].notes[].done": "what was done about it, never a value",
}


def audit_head(audit: Audit, *, repaired: bool, plans: dict[str, tuple[tuple[str, ...], str]]) -> dict[str, Any]:
    """The document but for `differences`, which may be a million and are written one by one."""
    report, counts = audit.report, audit.staging.counts()
    return {
        "in_sync": in_sync(counts),
        "deep": audit.deep,
        "archives": dict(report.archived),
        "fhir": {"listed": report.shown, "reset": report.reset},
        "studies": report.studies,
        "pending": report.pending,
        "counts": {kind.value: counts.get(kind, 0) for kind in DifferenceKind},
        "repaired": report.repaired if repaired else None,
        "retractions": {
            name: {"number": len(uids), "hash": accepted, "studies": list(uids[:20])}
            for name, (uids, accepted) in plans.items()
        },
    }


def in_sync(counts: dict[DifferenceKind, int]) -> bool:
    return not any(number for kind, number in counts.items() if kind is not DifferenceKind.DROPPED)


def difference_row(one: Difference) -> dict[str, Any]:
    return {
        "study": one.study_uid,
        "kind": one.kind.value,
        "detail": one.detail,
        "resource": one.resource_id,
        "elements": list(one.elements),
    }


def explain_document(told: Explanation) -> dict[str, Any]:
    """The whole answer of `syncd explain --json`."""
    known, decided = told.standing, told.rehearsed
    return {
        "study": told.study_uid,
        "known": told.is_known,
        "in_sync": told.in_sync,
        "copies": [
            {
                "archive": one.archive,
                "orthanc_id": one.orthanc_id,
                "stable": one.is_stable,
                "last_update": one.last_update,
                "series": len(one.series_ids),
                "instances": told.instances.get(one.orthanc_id),
            }
            for one in told.copies
        ],
        "not_asked": dict(told.unasked),
        "published": _publication(known.record, fingerprint=told.fingerprint),
        "fhir": {
            "state": _state(told.current),
            "resource": told.resource_id,
            "version": _version(told.current),
            "equal": list(told.comparison.equal),
            "differing": list(told.comparison.differing),
            "foreign": list(told.comparison.foreign),
        },
        "pending": _pending_work(known),
        "parked": _parking(known.parked),
        "decision": {"decision": decided.outcome.decision.value, "reason": decided.outcome.reason} if decided else None,
        "undecided": told.undecided,
        "notes": [asdict(one) for one in decided.trace.notes] if decided else [],
        "rejections": [
            {
                "note": one.note_uid,
                "source": one.source_uid,
                "target": one.target_uid,
                "title": one.title,
                "instances": len(one.instances),
                "missing_since": moment(one.first_missing_at),
            }
            for one in told.rejections
        ],
        "retraction": _retraction(known),
        "owed": [
            {
                "kind": entry.kind,
                "sink": entry.sink,
                "state": entry.state.value,
                "since": moment(entry.made_at),
                "due": moment(entry.due),
                "attempts": entry.attempts,
                "reason": entry.reason,
            }
            for entry in told.owed
        ],
        "history": [
            {
                "at": moment(one.at),
                "decision": one.decision,
                "reason": one.reason,
                "correlation_id": one.correlation_id,
            }
            for one in told.history
        ],
    }


def parked_rows(entries: Iterable[Standing]) -> list[dict[str, Any]]:
    """The answer of `syncd parked --json`."""
    return [
        {
            "study": known.study_uid,
            "reason": known.parked.reason,
            "detail": known.parked.detail,
            "since": moment(known.parked.parked_at),
            "archive": next((copy.archive for copy in known.copies), ""),
            "study_date": known.record.study_date if known.record else "",
            "dropped": known.parked.dropped,
        }
        for known in entries
        if known.parked is not None
    ]


def doubt_row(one: DoubtfulStudy, known: Standing) -> dict[str, Any]:
    """One study of `syncd audit --notes --json`."""
    record = known.record
    return {
        "study": one.study_uid,
        "resource": record.resource_id if record else "",
        "archive": record.archive if record else "",
        "study_date": record.study_date if record else "",
        "since": moment(one.since),
        "notes": [{"tag": note.tag, "rule": note.rule, "done": note.done} for note in one.notes],
    }


def moment(seconds: float) -> str | None:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds") if seconds else None


def audit_page() -> str:
    """docs/audit.md."""
    lines = [
        "# Answers of audit, explain and parked as JSON",
        "",
        "Generated from `syncd/cli/documents.py` by `scripts/generate_docs.py`; do not edit.",
        "",
        "Times are ISO 8601 in UTC, `null` where there is none. Further fields may come. No name, birth date, PatientID or",
        "accession number is in any of them.",
    ]
    for command, shape in (
        ("syncd audit --json", AUDIT),
        ("syncd audit --notes --json", NOTES),
        ("syncd explain STUDY --json", EXPLAIN),
        ("syncd parked --json", PARKED),
    ):
        lines += ["", f"## `{command}`", "", "| field | meaning |", "|---|---|"]
        lines += [f"| `{path}` | {meaning} |" for path, meaning in shape.items()]
    return "\n".join(lines) + "\n"


def _publication(record: StudyRecord | None, *, fingerprint: str) -> dict[str, Any] | None:
    if record is None:
        return None
    settings = "current" if record.fingerprint == fingerprint else "outdated"
    return {
        "resource": record.resource_id,
        "version": record.version,
        "status": record.status,
        "subject": _subject(record),
        "at": moment(record.published_at),
        "archive": record.archive,
        "settings": settings if fingerprint else "unknown",
        "series": record.series,
        "instances": record.instances,
        "summary": record.summary,
        "adopted": record.adopted,
        "retracted": record.retracted,
        "retracted_at": moment(record.retracted_at),
    }


def _subject(record: StudyRecord) -> str:
    if not record.subject:
        return "logical"
    return "own" if record.subject == f"Patient/{record.raw.get('patient', '')}" else "foreign"


def _state(current: Current | None) -> str:
    match current:
        case Found():
            return "found"
        case Absent():
            return "absent"
        case Deleted():
            return "deleted"
    return "unknown"


def _version(current: Current | None) -> str:
    return current.version if isinstance(current, Found | Deleted) else ""


def _pending_work(known: Standing) -> dict[str, Any] | None:
    row = known.dirty
    if row is None:
        return None
    return {
        "reason": row.reason,
        "priority": row.priority,
        "since": moment(row.first_marked),
        "due": moment(row.due),
        "attempts": row.attempts,
        "not_before": moment(row.not_before),
        "reads_fhir": row.read_fhir,
    }


def _parking(entry: ParkedStudy | None) -> dict[str, Any] | None:
    if entry is None:
        return None
    return {
        "reason": entry.reason,
        "detail": entry.detail,
        "since": moment(entry.parked_at),
        "dropped": entry.dropped,
    }


def _retraction(known: Standing) -> dict[str, Any] | None:
    planned = known.planned
    if planned is None:
        return None
    return {
        "archive": planned.archive,
        "cause": planned.cause.value,
        "planned_at": moment(planned.planned_at),
        "accepted_at": moment(planned.accepted_at),
    }
