"""Rejection notes are remembered; studies that were parked because an older version did not know them are looked at."""

from __future__ import annotations

import time

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_REPAIR = 1
_AMONG = "study_uid IN (SELECT study_uid FROM parked WHERE reason = 'rejection-unsupported')"


def upgrade() -> None:
    op.create_table(
        "rejections",
        *(sa.Column(name, sa.Text(), primary_key=True) for name in ("note_uid", "source_uid", "target_uid")),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("title", "patient", "instances")),
        sa.Column("first_missing_at", sa.Double(), nullable=False),
    )
    op.create_index("rejections_by_source", "rejections", ["source_uid"])
    op.create_index("rejections_by_target", "rejections", ["target_uid"])
    _mark_parked()


def _mark_parked() -> None:
    """Nothing else would look at them again: what was never published has no fingerprint to be outdated."""
    connection = op.get_bind()
    parked = set(connection.scalars(sa.text("SELECT study_uid FROM parked WHERE reason = 'rejection-unsupported'")))
    dirty = set(connection.scalars(sa.text(f"SELECT study_uid FROM dirty WHERE {_AMONG}")))  # noqa: S608 - a constant
    if not parked - dirty:
        return
    op.execute("UPDATE sequences SET value = value + 1 WHERE name = 'generation'")
    generation = connection.scalar(sa.text("SELECT value FROM sequences WHERE name = 'generation'"))
    row = {
        "generation": generation,
        "priority": _REPAIR,
        "due": 0.0,
        "first_marked": time.time(),
        "last_event": 0.0,
        "streaming_since": 0.0,
        "read_fhir": False,
        "attempts": 0,
        "not_before": 0.0,
        "reason": "rejection",
    }
    names = ("study_uid", *row)
    marked = sa.table("dirty", *map(sa.column, names))
    connection.execute(marked.insert(), [{"study_uid": uid, **row} for uid in sorted(parked - dirty)])
    tallies = sa.table("tallies", *map(sa.column, ("kind", "word", "number")))
    counted = sa.and_(tallies.c.kind == "dirty", tallies.c.word == "")
    number = len(parked - dirty)
    if not connection.execute(tallies.update().where(counted).values(number=tallies.c.number + number)).rowcount:
        connection.execute(tallies.insert(), {"kind": "dirty", "word": "", "number": number})
