"""Provenances that are owed, Patients of ours that another one replaced, and the studies of a subject."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "owed_provenance",
        sa.Column("provenance_id", sa.Text(), primary_key=True),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("study_uid", "resource_id", "version", "occasion")),
        sa.Column("recorded", sa.Double(), nullable=False),
        sa.Column("sources", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due", sa.Double(), nullable=False),
    )
    op.create_index("owed_provenance_by_study", "owed_provenance", ["study_uid"])
    op.create_index("owed_provenance_by_due", "owed_provenance", ["due", "provenance_id"])
    op.add_column("companions", sa.Column("replaced_by", sa.Text(), nullable=False, server_default=""))
    op.create_index("records_by_subject", "records", ["subject", "study_uid"])
