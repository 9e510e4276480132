"""Corrections and ids of the server's are remembered, parked studies can be dropped, stubborn ones are found."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_STUBBORN = sa.text("attempts > 3")


def upgrade() -> None:
    op.create_table(
        "corrections",
        *(sa.Column(name, sa.Text(), primary_key=True) for name in ("study_uid", "element")),
        sa.Column("at", sa.Double(), primary_key=True),
    )
    op.create_index("corrections_by_age", "corrections", ["at"])
    op.create_table(
        "assigned_ids",
        *(sa.Column(name, sa.Text(), primary_key=True) for name in ("resource_type", "own_id")),
        sa.Column("assigned_id", sa.Text(), nullable=False),
    )
    op.create_index("assigned_ids_by_theirs", "assigned_ids", ["resource_type", "assigned_id"])
    op.add_column("parked", sa.Column("dropped", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index("dirty_stubborn", "dirty", ["due"], sqlite_where=_STUBBORN, postgresql_where=_STUBBORN)
