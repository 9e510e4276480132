"""Alembic's entry: runs the migrations on the connection, and in the transaction, that `engine.migrate` hands over."""

from __future__ import annotations

from alembic import context

from syncd.ledger.db.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite's DDL is transactional when the transaction is begun by hand, as ours is: a crash leaves no half schema.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
