"""What is in doubt of published studies, and how many of them each fingerprint rendered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "safety_notes",
        sa.Column("study_uid", sa.Text(), primary_key=True),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.Column("since", sa.Double(), nullable=False),
    )
    counted = "SELECT 'fingerprint', fingerprint, count(*) FROM records GROUP BY fingerprint"
    op.execute(f"INSERT INTO tallies (kind, word, number) {counted}")
