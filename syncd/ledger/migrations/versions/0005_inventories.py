"""Both inventories compare in the ledger: staging tables, what tells two looks at a copy apart, and findings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # What is known already was first seen before any listing, and was never counted.
    op.add_column("copies", sa.Column("first_seen", sa.Double(), nullable=False, server_default="0"))
    op.add_column("copies", sa.Column("instances", sa.Integer(), nullable=False, server_default="-1"))
    op.add_column("copies", sa.Column("counted_at", sa.Double(), nullable=False, server_default="0"))
    op.add_column("copies", sa.Column("labels", sa.Text(), nullable=True))
    op.create_index("copies_by_count", "copies", ["archive", "counted_at"])
    op.create_index("records_by_resource", "records", ["resource_id"])
    op.create_table(
        "swept",
        *(sa.Column(name, sa.Text(), primary_key=True) for name in ("archive", "orthanc_id")),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("study_uid", "last_update", "study_date")),
        sa.Column("is_stable", sa.Boolean(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=True),
    )
    op.create_table(
        "listed",
        sa.Column("resource_id", sa.Text(), primary_key=True),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("study_uid", "version", "last_updated")),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("status", "owner")),
    )
    op.create_index("listed_by_study", "listed", ["study_uid"])
    op.create_table(
        "findings",
        *(sa.Column(name, sa.Text(), primary_key=True) for name in ("resource_id", "kind")),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("study_uid", "owner", "version")),
        sa.Column("seen_at", sa.Double(), nullable=False),
    )
    op.create_index("findings_by_study", "findings", ["study_uid"])
