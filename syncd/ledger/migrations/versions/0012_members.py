"""Members: who shares a ledger, and whose a claim, an intent or a part of a tally is; one process is a ledger's only one."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "members",
        sa.Column("member", sa.BigInteger(), primary_key=True, autoincrement=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("token", "host")),
        sa.Column("pid", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("version", "revision", "fingerprint")),
        sa.Column("joined", sa.Double(), nullable=False),
        sa.Column("says", sa.Text(), nullable=False),
    )
    op.add_column("intents", sa.Column("member", sa.BigInteger(), nullable=False, server_default="0"))
    # What is shown of an archive was a column that every publication locked.
    op.execute("INSERT INTO tallies (kind, word, number) SELECT 'shown', archive, published FROM brakes")
    _lay_out_anew(
        "tallies",
        sa.Column("kind", sa.Text(), primary_key=True),
        sa.Column("word", sa.Text(), primary_key=True),
        sa.Column("member", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        kept="kind, word, 0, number",
    )
    _lay_out_anew(
        "brakes",
        sa.Column("archive", sa.Text(), primary_key=True),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("spent", "planned")),
        kept="archive, spent, planned",
    )


def _lay_out_anew(table: str, *columns: sa.Column[Any], kept: str) -> None:
    """With these columns and what the table held: SQLite changes no key and takes no column away."""
    op.execute(f"CREATE TABLE {table}_before AS SELECT * FROM {table}")  # noqa: S608 - names of ours
    op.drop_table(table)
    op.create_table(table, *columns)
    op.execute(f"INSERT INTO {table} SELECT {kept} FROM {table}_before")  # noqa: S608 - names of ours
    op.drop_table(f"{table}_before")
