"""Copies keep the digest of their main tags; it is not known of those that an older version read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_UNTOLD = sa.text("tags_digest IS NULL")


def upgrade() -> None:
    op.add_column("copies", sa.Column("tags_digest", sa.Text(), nullable=True))
    op.create_index("copies_untold", "copies", ["archive", "orthanc_id"], sqlite_where=_UNTOLD, postgresql_where=_UNTOLD)
    op.add_column("swept", sa.Column("tags_digest", sa.Text(), nullable=True))
