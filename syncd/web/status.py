"""The status as JSON: the same document for `/api/status` and `syncd status --json`.

Its shape is listed in `SHAPE`, from which docs/status.md is generated, and scripts may hold on to it.
Times are ISO 8601 in UTC; null where there is none.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from syncd.model.outbox import Queue
from syncd.model.overview import Counts, FailingStudy, Heartbeat

SHAPE = {
    "version": "syncd's version",
    "pid": "the daemon's process",
    "started_at": "when the daemon started",
    "heartbeat_at": "when the daemon last said that it is alive",
    "web": "the address of health, metrics and this document; empty if it has none",
    "ready": "whether nothing stands in the way",
    "reasons": "why it is not ready, a list of texts",
    "archives.<name>.state": "`bootstrapping`, `ok`, `paused`, or `removed` (from the settings, and not forgotten yet)",
    "archives.<name>.reason": "why",
    "archives.<name>.behind_changes": "changes that are not read yet",
    "archives.<name>.behind_seconds": "for how many seconds some have been waiting",
    "archives.<name>.brake": "`open`, or `closed`: nothing of it is taken back",
    "archives.<name>.brake_reason": "why",
    "archives.<name>.retractions": "studies taken back in the last 24 hours, those that the operator accepted not counted",
    "archives.<name>.retractions_allowed": "at how many of them the brake closes",
    "archives.<name>.retractions_waiting": "studies that wait at the closed brake for the operator's word",
    "archives.<name>.inventory.at": "when the archive was last listed and compared (`inventory` is null before that)",
    "archives.<name>.inventory.listed": "how many studies it had then",
    "archives.<name>.inventory.found.<kind>": "marked then: `new`, `changed`, `stable`, `gone`, `count` (of instances)",
    "target.state": "the FHIR server: `ok`, `open` (does not answer, tried again) or `paused` (refuses us)",
    "target.reason": "why",
    "target.inventory.at": "when what was published was last listed and compared (`inventory` is null before that)",
    "target.inventory.listed": "how many resources that were",
    "target.inventory.found.<kind>": "marked then: `missing`, `drifted`, `lower` (a restored backup), `unknown`, "
    "`outdated` (refers to what is gone or replaced); "
    "reported then: `duplicate`, `foreign`, `elsewhere`",
    "studies.dirty": "studies to be looked at again",
    "studies.due": "those of them that wait for nothing else",
    "studies.oldest_mark_at": "since when the oldest of them has been waiting",
    "studies.published.<status>": "published studies by status, `registered` or `available`; those taken back by theirs",
    "studies.parked.<reason>": "studies set aside, by reason",
    "studies.backfill": "those of `studies.due` that are old: worked on when nothing else is",
    "studies.unselected.<state>": "studies that the settings do not select, `excluded` or `outside-history`",
    "backfill.paused": "why old studies wait at this hour; empty when they do not. No trouble, hence not in `reasons`",
    "studies.safety": "published studies of which the patient, a side, a body region or an order is in doubt: "
    "`syncd audit --notes` lists them",
    "studies.outdated": "published studies that an earlier version or other settings rendered",
    "rerender.held": "whether those stay as they are (`SYNCD_POLICY__RERENDER` is `hold`), until they change",
    "outbox.<kind>.<sink>.waiting": "what is owed after studies' writes, by kind and receiver: how many wait to be sent",
    "outbox.<kind>.<sink>.given_up": "how many were refused for good, of those that are still kept",
    "studies.dropped": "studies set aside of which nobody wants to hear until they change; in none of the reasons' numbers",
}
"""Every field by its path, and what it means. Further fields may come."""

COMMAND_SHAPE = {
    "alive": "whether a daemon holds the ledger and beats",
    "failing_studies[].study": "StudyInstanceUID of a pending study whose last try failed (at most 100 of them)",
    "failing_studies[].attempts": "failures that count against it; at 20 it is set aside",
    "failing_studies[].since": "since when it has been pending",
    "failing_studies[].reason": "how the last try ended",
    "parked_studies[].study": "StudyInstanceUID of a study set aside",
    "parked_studies[].reason": "why, as in `studies.parked`",
    "parked_studies[].detail": "what exactly: rule, element or code, never a value",
}
"""What `syncd status --json` says besides."""


def status_document(*, counts: Counts, heartbeat: Heartbeat, reasons: tuple[str, ...]) -> dict[str, Any]:
    """The document. It holds no name, id or UID of a patient or study."""
    return {
        "version": heartbeat.version,
        "pid": heartbeat.pid,
        "started_at": _time(heartbeat.started_at),
        "heartbeat_at": _time(heartbeat.at),
        "web": heartbeat.web,
        "ready": not reasons,
        "reasons": list(reasons),
        "archives": {
            name: {
                "state": facts.get("state", ""),
                "reason": facts.get("reason", ""),
                "behind_changes": facts.get("behind_changes", 0),
                "behind_seconds": facts.get("behind_seconds", 0),
                "brake": facts.get("brake", ""),
                "brake_reason": facts.get("brake_reason", ""),
                "retractions": facts.get("retractions", 0),
                "retractions_allowed": facts.get("retractions_allowed", 0),
                "retractions_waiting": facts.get("retractions_waiting", 0),
                "inventory": _inventory(facts.get("inventory")),
            }
            for name, facts in heartbeat.archives.items()
        },
        "target": {
            "state": heartbeat.target.get("state", ""),
            "reason": heartbeat.target.get("reason", ""),
            "inventory": _inventory(heartbeat.target.get("inventory")),
        },
        "studies": {
            "dirty": counts.dirty,
            "due": counts.due,
            "oldest_mark_at": _time(counts.oldest_mark),
            "published": dict(counts.published),
            "parked": dict(counts.parked),
            "backfill": counts.backfill,
            "unselected": dict(counts.unselected),
            "dropped": counts.dropped,
            "safety": counts.safety,
            "outdated": counts.outdated,
        },
        "outbox": _queues(counts.outbox),
        "rerender": {"held": counts.held},
        "backfill": {"paused": heartbeat.backfill},
    }


def _queues(queues: Iterable[Queue]) -> dict[str, dict[str, dict[str, int]]]:
    found: dict[str, dict[str, dict[str, int]]] = {}
    for queue in queues:
        found.setdefault(queue.kind, {})[queue.sink] = {"waiting": queue.waiting, "given_up": queue.given_up}
    return found


def _inventory(told: Any) -> dict[str, Any] | None:
    return {"at": _time(told["at"]), "listed": told["listed"], "found": dict(told["found"])} if told else None


def status_page() -> str:
    """docs/status.md."""
    lines = [
        "# Status as JSON",
        "",
        "Generated from `syncd/web/status.py` by `scripts/generate_docs.py`; do not edit.",
        "",
        "The answer of `/api/status` and of `syncd status --json`. Times are ISO 8601 in UTC, `null` where there is none.",
        "",
        "| field | meaning |",
        "|---|---|",
        *(f"| `{path}` | {meaning} |" for path, meaning in SHAPE.items()),
        "",
        "Only `syncd status --json`:",
        "",
        "| field | meaning |",
        "|---|---|",
        *(f"| `{path}` | {meaning} |" for path, meaning in COMMAND_SHAPE.items()),
    ]
    return "\n".join(lines) + "\n"


def failing_rows(failing: Iterable[FailingStudy]) -> list[dict[str, Any]]:
    """`failing_studies` of `syncd status --json`."""
    return [
        {"study": one.study_uid, "attempts": one.attempts, "since": _time(one.since), "reason": one.reason}
        for one in failing
    ]


def _time(seconds: float) -> str | None:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds") if seconds else None
