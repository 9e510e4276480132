"""Studies that the site does not select, and the date of those that wait: the newest old study is worked on first."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_PLAIN = "replace(records.study_date, '-', '')"


def upgrade() -> None:
    # What waits already is sorted by what was published of it; the rest comes last.
    op.add_column("dirty", sa.Column("study_date", sa.Text(), nullable=False, server_default=""))
    dates = f"SELECT {_PLAIN} FROM records WHERE records.study_uid = dirty.study_uid"  # noqa: S608 - a constant
    known = "study_uid IN (SELECT study_uid FROM records)"
    op.execute(f"UPDATE dirty SET study_date = ({dates}) WHERE {known}")  # noqa: S608 - constants
    op.create_index("dirty_by_date", "dirty", ["priority", "study_date", "due", "study_uid"])
    op.create_table(
        "unselected",
        sa.Column("study_uid", sa.Text(), primary_key=True),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("archive", "state", "rule", "study_date")),
        sa.Column("since", sa.Double(), nullable=False),
    )
