"""What is taken back is remembered and budgeted: tombstones, charges and plans per archive (RULES D2, D3)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ARCHIVE = "(SELECT MIN(copies.archive) FROM copies WHERE copies.study_uid = records.study_uid)"
_ONLY = "(SELECT MIN(feeds.archive) FROM feeds)"


def upgrade() -> None:
    for name in ("archive", "retracted"):
        op.add_column("records", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    op.add_column("records", sa.Column("adopted", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("records", sa.Column("retracted_at", sa.Double(), nullable=False, server_default="0"))
    _create_brakes()
    _fill_records()
    _fill_brakes()


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _create_brakes() -> None:
    numbers = (sa.Column(name, sa.BigInteger(), nullable=False) for name in ("published", "spent", "planned"))
    op.create_table("brakes", sa.Column("archive", sa.Text(), primary_key=True), *numbers)
    op.create_table(
        "retraction_charges",
        sa.Column("study_uid", sa.Text(), primary_key=True),
        sa.Column("charged_at", sa.Double(), primary_key=True, autoincrement=False),
        *map(_text, ("archive", "cause")),
        *(sa.Column(name, sa.Boolean(), nullable=False) for name in ("done", "accepted")),
    )
    op.create_index("retraction_charges_by_age", "retraction_charges", ["archive", "charged_at"])
    op.create_table(
        "retraction_plan",
        sa.Column("study_uid", sa.Text(), primary_key=True),
        *map(_text, ("archive", "cause")),
        *(sa.Column(name, sa.Double(), nullable=False) for name in ("planned_at", "accepted_at")),
    )
    op.create_index("retraction_plan_by_archive", "retraction_plan", ["archive", "study_uid"])


def _fill_records() -> None:
    """Older versions knew one archive, adopted nothing, and withdrew only what rejection notes named."""
    op.execute(f"UPDATE records SET archive = COALESCE({_ARCHIVE}, {_ONLY}, '')")  # noqa: S608 - constants
    op.execute("UPDATE records SET adopted = (1 = 1) WHERE resource_id <> study_uid AND resource_id NOT LIKE 'x-%'")
    op.execute(
        "UPDATE records SET retracted = 'withdrawn', retracted_at = published_at "
        "WHERE status IN ('cancelled', 'entered-in-error', 'inactive')"
    )


def _fill_brakes() -> None:
    op.execute(
        "INSERT INTO brakes (archive, published, spent, planned) "
        "SELECT archive, COUNT(*), 0, 0 FROM records WHERE retracted = '' GROUP BY archive"
    )
