"""The first ledger: feed, dirty set, copies, records, intents, parked studies, companions, history."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_facts()
    _create_feed()
    _create_work()
    _create_published()
    _create_history()
    op.execute("INSERT INTO sequences (name, value) VALUES ('generation', 0), ('epoch', 0)")


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _key(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), primary_key=True)


def _time(name: str) -> sa.Column[float]:
    return sa.Column(name, sa.Double(), nullable=False)


def _big(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), nullable=False)


def _create_facts() -> None:
    op.create_table("facts", _key("name"), _text("value"))
    op.create_table("sequences", _key("name"), _big("value"))
    op.create_table("tallies", _key("kind"), _key("word"), _big("number"))


def _create_feed() -> None:
    op.create_table(
        "feeds",
        _key("archive"),
        _text("state"),
        _big("cursor"),
        _big("high_water"),
        _time("moved_at"),
        _flag("sweep_wanted"),
        _text("reason"),
    )
    op.create_table(
        "feed_seen",
        _key("archive"),
        sa.Column("seq", sa.BigInteger(), primary_key=True, autoincrement=False),
        _text("change_type"),
        _text("resource_type"),
        _text("resource_id"),
        _text("date"),
        _time("first_seen"),
    )


def _create_work() -> None:
    op.create_table(
        "dirty",
        _key("study_uid"),
        _big("generation"),
        _number("priority"),
        _time("due"),
        _time("first_marked"),
        _time("last_event"),
        _time("streaming_since"),
        _flag("read_fhir"),
        _number("attempts"),
        _time("not_before"),
        _text("reason"),
        sa.Column("claim_epoch", sa.BigInteger(), nullable=True),
    )
    op.create_index("dirty_by_due", "dirty", ["priority", "due", "study_uid"])
    op.create_index("dirty_by_age", "dirty", ["first_marked"])
    op.create_table("copies", _key("archive"), _key("orthanc_id"), _text("study_uid"), _text("last_update"))
    op.create_index("copies_by_study", "copies", ["study_uid"])


def _create_published() -> None:
    op.create_table(
        "records",
        _key("study_uid"),
        *map(_text, ("resource_id", "version", "last_updated", "digest", "fingerprint", "status")),
        *map(_text, ("raw", "foreign", "owned", "subject")),
        _number("series"),
        _number("instances"),
        _text("study_date"),
        _text("modalities"),
        _flag("summary"),
        _number("notes"),
        _time("published_at"),
    )
    op.create_table(
        "intents",
        _key("study_uid"),
        *map(_text, ("resource_id", "digest", "expected_version", "owned")),
        _time("created_at"),
    )
    op.create_table(
        "parked",
        _key("study_uid"),
        *map(_text, ("reason", "detail", "digest", "target_version")),
        sa.Column("outcome", sa.Text(), nullable=True),
        _time("parked_at"),
    )
    op.create_table(
        "companions",
        _key("resource_type"),
        _key("resource_id"),
        *map(_text, ("version", "digest", "source_key")),
    )


def _create_history() -> None:
    op.create_table(
        "history",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        _text("study_uid"),
        _time("at"),
        *map(_text, ("decision", "reason", "correlation_id")),
    )
    op.create_index("history_by_study", "history", ["study_uid", "id"])
    op.create_index("history_by_age", "history", ["at"])
