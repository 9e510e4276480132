"""The Provenance that is owed becomes the first kind of an outbox; findings of the FHIR inventory, which nobody read, go."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_AT_ONCE = 1000
"""Rows read before they are written: a long backlog is not held in memory."""


def upgrade() -> None:
    outbox = op.create_table(
        "outbox",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("kind", "sink", "study_uid", "key", "payload")),
        *(sa.Column(name, sa.Double(), nullable=False) for name in ("made_at", "due")),
        sa.Column("attempts", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("state", "reason", "correlation_id")),
        sqlite_autoincrement=True,
    )
    op.create_index("outbox_by_lane", "outbox", ["study_uid", "kind", "sink", "state", "seq"])
    op.create_index("outbox_by_due", "outbox", ["state", "kind", "sink", "due", "seq"])
    moved = _move(outbox)
    if moved:
        counted = sa.text("INSERT INTO tallies (kind, word, number) VALUES ('outbox', 'Provenance/fhir', :moved)")
        op.get_bind().execute(counted, {"moved": moved})
    op.drop_table("owed_provenance")
    op.drop_table("findings")


def _move(outbox: sa.Table) -> int:
    """In the order in which the writes were intended: their order in the outbox from now on."""
    owed = sa.text("SELECT * FROM owed_provenance ORDER BY recorded, provenance_id LIMIT :most OFFSET :moved")
    moved = 0
    while rows := op.get_bind().execute(owed, {"most": _AT_ONCE, "moved": moved}).mappings().all():
        op.bulk_insert(outbox, [_entry(row) for row in rows])
        moved += len(rows)
    return moved


def _entry(row: sa.RowMapping) -> dict[str, object]:
    payload = {name: row[name] for name in ("resource_id", "version", "occasion", "recorded")}
    payload["sources"] = json.loads(row["sources"])
    return {
        "kind": "Provenance",
        "sink": "fhir",
        "study_uid": row["study_uid"],
        "key": row["provenance_id"],
        "payload": json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False),
        "made_at": row["recorded"],
        "due": row["due"],
        "attempts": row["attempts"],
        "state": "waiting",
        "reason": "",
        "correlation_id": "",
    }
