"""The ledger's tables, and the one way to insert or update.

The rows are the dataclasses of `syncd.model.work`, column for field, so that a row is a noun without translation. It is
one schema for SQLite and PostgreSQL: only types and statements that both know, JSON as canonical text (equal values are
equal bytes), and upserts through `upsert`, the one statement that each dialect spells itself. The migrations repeat
this schema; a test holds the two equal.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Dialect,
    Double,
    Executable,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    false,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite


class CanonicalJson(TypeDecorator[Any]):
    """A JSON value as text: keys sorted, no spaces; `None` is NULL."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        if value is None:
            return None
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


def _plain(value: object) -> Any:
    """Mappings other than `dict` are stored as objects; anything else is a mistake of the caller."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} cannot be kept in the ledger")


metadata = MetaData()

facts = Table("facts", metadata, Column("name", Text, primary_key=True), Column("value", CanonicalJson, nullable=False))
"""Single values: target, installation, heartbeat."""

sequences = Table("sequences", metadata, Column("name", Text, primary_key=True), Column("value", BigInteger, nullable=False))
"""`generation` (RULES E1) and `epoch` (RULES E4)."""

tallies = Table(
    "tallies",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("word", Text, primary_key=True),
    Column("number", BigInteger, nullable=False),
)
"""How many rows are where, moved by the transaction that moves the row (RULES E8: nothing counts a million rows)."""

feeds = Table(
    "feeds",
    metadata,
    Column("archive", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("cursor", BigInteger, nullable=False),
    Column("high_water", BigInteger, nullable=False),
    Column("moved_at", Double, nullable=False),
    Column("sweep_wanted", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
)

feed_seen = Table(
    "feed_seen",
    metadata,
    Column("archive", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("change_type", Text, nullable=False),
    Column("resource_type", Text, nullable=False),
    Column("resource_id", Text, nullable=False),
    Column("date", Text, nullable=False),
    Column("first_seen", Double, nullable=False),
)

STUBBORN = text("attempts > 3")
"""Rows that share one slot (`model.work.OWN_ATTEMPTS`, RULES C6), as an index of few rows must spell it: no parameter."""

dirty = Table(
    "dirty",
    metadata,
    Column("study_uid", Text, primary_key=True),
    Column("generation", BigInteger, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("due", Double, nullable=False),
    Column("first_marked", Double, nullable=False),
    Column("last_event", Double, nullable=False),
    Column("streaming_since", Double, nullable=False),
    Column("read_fhir", Boolean, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("not_before", Double, nullable=False),
    Column("reason", Text, nullable=False),
    Column("claim_epoch", BigInteger, nullable=True),
    Column("study_date", Text, nullable=False),
    Index("dirty_by_due", "priority", "due", "study_uid"),
    Index("dirty_by_date", "priority", "study_date", "due", "study_uid"),
    Index("dirty_by_age", "first_marked"),
    Index("dirty_stubborn", "due", sqlite_where=STUBBORN, postgresql_where=STUBBORN),
)
"""`claim_epoch` is the epoch of the owner that works on the row; a claim of an older epoch is void."""

UNTOLD = text("tags_digest IS NULL")
"""Copies that nobody has read yet, or that an older version read: few, and sought in every sweep (RULES A8)."""

copies = Table(
    "copies",
    metadata,
    Column("archive", Text, primary_key=True),
    Column("orthanc_id", Text, primary_key=True),
    Column("study_uid", Text, nullable=False),
    Column("last_update", Text, nullable=False),
    Column("first_seen", Double, nullable=False),
    Column("instances", Integer, nullable=False),
    Column("counted_at", Double, nullable=False),
    Column("labels", Text, nullable=True),
    Column("tags_digest", Text, nullable=True),
    Index("copies_by_study", "study_uid"),
    Index("copies_by_count", "archive", "counted_at"),
    Index("copies_untold", "archive", "orthanc_id", sqlite_where=UNTOLD, postgresql_where=UNTOLD),
)
"""`instances` below 0: never counted; `labels` and `tags_digest` NULL: not told."""

records = Table(
    "records",
    metadata,
    Column("study_uid", Text, primary_key=True),
    Column("resource_id", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("last_updated", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("raw", CanonicalJson, nullable=False),
    Column("foreign", CanonicalJson, nullable=False),
    Column("owned", CanonicalJson, nullable=False),
    Column("subject", Text, nullable=False),
    Column("series", Integer, nullable=False),
    Column("instances", Integer, nullable=False),
    Column("study_date", Text, nullable=False),
    Column("modalities", Text, nullable=False),
    Column("summary", Boolean, nullable=False),
    Column("notes", Integer, nullable=False),
    Column("published_at", Double, nullable=False),
    Column("archive", Text, nullable=False),
    Column("adopted", Boolean, nullable=False),
    Column("retracted", Text, nullable=False),
    Column("retracted_at", Double, nullable=False),
    Index("records_by_subject", "subject", "study_uid"),
    Index("records_by_resource", "resource_id"),
)

intents = Table(
    "intents",
    metadata,
    Column("study_uid", Text, primary_key=True),
    Column("resource_id", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("expected_version", Text, nullable=False),
    Column("owned", CanonicalJson, nullable=False),
    Column("created_at", Double, nullable=False),
)

parked = Table(
    "parked",
    metadata,
    Column("study_uid", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("target_version", Text, nullable=False),
    Column("outcome", CanonicalJson, nullable=True),
    Column("parked_at", Double, nullable=False),
    Column("dropped", Boolean, nullable=False, server_default=false()),
)

unselected = Table(
    "unselected",
    metadata,
    Column("study_uid", Text, primary_key=True),
    Column("archive", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("study_date", Text, nullable=False),
    Column("since", Double, nullable=False),
)
"""What the archive holds and the site does not select: without it every inventory would find it new."""

safety_notes = Table(
    "safety_notes",
    metadata,
    Column("study_uid", Text, primary_key=True),
    Column("notes", CanonicalJson, nullable=False),
    Column("since", Double, nullable=False),
)
"""What is in doubt of a published study: tag, rule and what was done, never a value. `since`: in this very form."""

corrections = Table(
    "corrections",
    metadata,
    Column("study_uid", Text, primary_key=True),
    Column("element", Text, primary_key=True),
    Column("at", Double, primary_key=True),
    Index("corrections_by_age", "at"),
)
"""What somebody else changed of ours and we put back, for as long as it counts (RULES C4)."""

rejections = Table(
    "rejections",
    metadata,
    Column("note_uid", Text, primary_key=True),
    Column("source_uid", Text, primary_key=True),
    Column("target_uid", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("patient", Text, nullable=False),
    Column("instances", CanonicalJson, nullable=False),
    Column("first_missing_at", Double, nullable=False),
    Index("rejections_by_source", "source_uid"),
    Index("rejections_by_target", "target_uid"),
)

brakes = Table(
    "brakes",
    metadata,
    Column("archive", Text, primary_key=True),
    Column("published", BigInteger, nullable=False),
    Column("spent", BigInteger, nullable=False),
    Column("planned", BigInteger, nullable=False),
)
"""The numbers of RULES D3, moved by the transaction that moves the row that they count."""

retraction_charges = Table(
    "retraction_charges",
    metadata,
    Column("study_uid", Text, primary_key=True),
    Column("charged_at", Double, primary_key=True, autoincrement=False),
    Column("archive", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("done", Boolean, nullable=False),
    Column("accepted", Boolean, nullable=False),
    Index("retraction_charges_by_age", "archive", "charged_at"),
)
"""Retractions of the last day. One that is not `done` is claimed and under way: it is not paid for twice. An `accepted`
one had the operator's word and spends nothing."""

retraction_plan = Table(
    "retraction_plan",
    metadata,
    Column("study_uid", Text, primary_key=True),
    Column("archive", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("planned_at", Double, nullable=False),
    Column("accepted_at", Double, nullable=False),
    Index("retraction_plan_by_archive", "archive", "study_uid"),
)

companions = Table(
    "companions",
    metadata,
    Column("resource_type", Text, primary_key=True),
    Column("resource_id", Text, primary_key=True),
    Column("version", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("source_key", Text, nullable=False),
    Column("replaced_by", Text, nullable=False, server_default=""),
)

outbox = Table(
    "outbox",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("sink", Text, nullable=False),
    Column("study_uid", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("payload", CanonicalJson, nullable=False),
    Column("made_at", Double, nullable=False),
    Column("due", Double, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("correlation_id", Text, nullable=False),
    Index("outbox_by_lane", "study_uid", "kind", "sink", "state", "seq"),
    Index("outbox_by_due", "state", "kind", "sink", "due", "seq"),
    sqlite_autoincrement=True,
)
"""`seq` is never given twice: whoever sends an entry settles that one, and not one that came in its place (RULES B8)."""

assigned_ids = Table(
    "assigned_ids",
    metadata,
    Column("resource_type", Text, primary_key=True),
    Column("own_id", Text, primary_key=True),
    Column("assigned_id", Text, nullable=False),
    Index("assigned_ids_by_theirs", "resource_type", "assigned_id"),
)
"""Which id a server that insists on its own gave to which of ours (RULES C1)."""

history = Table(
    "history",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("study_uid", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("decision", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("correlation_id", Text, nullable=False),
    Index("history_by_study", "study_uid", "id"),
    Index("history_by_age", "at"),
)


swept = Table(
    "swept",
    metadata,
    Column("archive", Text, primary_key=True),
    Column("orthanc_id", Text, primary_key=True),
    Column("study_uid", Text, nullable=False),
    Column("last_update", Text, nullable=False),
    Column("study_date", Text, nullable=False),
    Column("is_stable", Boolean, nullable=False),
    Column("labels", Text, nullable=True),
    Column("tags_digest", Text, nullable=True),
)
"""An archive's listing while it is compared (RULES A8); `study_uid` is empty until the details came."""

listed = Table(
    "listed",
    metadata,
    Column("resource_id", Text, primary_key=True),
    Column("study_uid", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("last_updated", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Index("listed_by_study", "study_uid"),
)
"""The FHIR server's listing while it is compared."""


def upsert(connection: Connection, table: Table, *, rows: Iterable[Mapping[str, Any]]) -> None:
    """Insert `rows`, or update those whose primary key exists. All rows name the same columns; others keep their value."""
    values = [dict(row) for row in rows]
    if values:
        connection.execute(upsert_statement(connection.dialect.name, table, tuple(values[0])), values)


@lru_cache(maxsize=64)
def upsert_statement(dialect: str, table: Table, names: Sequence[str]) -> Executable:
    """The one that inserts these columns, or updates them where the primary key exists."""
    # Kept, because SQLAlchemy spends more time on building the statement than SQLite on carrying it out.
    keys = [column.name for column in table.primary_key]
    changed = [name for name in names if name not in keys]
    if dialect == "postgresql":
        insert_pg = postgresql.insert(table)
        if not changed:
            return insert_pg.on_conflict_do_nothing(index_elements=keys)
        return insert_pg.on_conflict_do_update(
            index_elements=keys, set_={name: insert_pg.excluded[name] for name in changed}
        )
    insert = sqlite.insert(table)
    if not changed:
        return insert.on_conflict_do_nothing(index_elements=keys)
    return insert.on_conflict_do_update(index_elements=keys, set_={name: insert.excluded[name] for name in changed})
