"""The schema's history, carried out by Alembic when the owner opens the ledger.

A migration is never edited after a release; a new one names its predecessor in `down_revision`. There is no way down: an
older syncd refuses a newer ledger and says so.
"""
