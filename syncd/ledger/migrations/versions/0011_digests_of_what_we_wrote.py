"""What we wrote is remembered by digest: accession numbers and referrers' names leave the ledger (RULES S1)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_AT_ONCE = 1000
"""Rows read before they are written: a large ledger is not held in memory."""


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("PRAGMA secure_delete = ON")  # what was there before is overwritten, not only forgotten
    for table in ("records", "intents"):
        _replace_values(table)


def _replace_values(table: str) -> None:
    page = f"SELECT study_uid, owned FROM {table} WHERE study_uid > :last ORDER BY study_uid LIMIT :most"  # noqa: S608
    changed = sa.text(f"UPDATE {table} SET owned = :owned WHERE study_uid = :study_uid")  # noqa: S608
    last = ""
    while rows := op.get_bind().execute(sa.text(page), {"last": last, "most": _AT_ONCE}).all():
        op.get_bind().execute(changed, [{"study_uid": row.study_uid, "owned": _replaced(row.owned)} for row in rows])
        last = rows[-1].study_uid


def _replaced(owned: str) -> str:
    held: Mapping[str, Any] = json.loads(owned)
    lists = {name: [_digest(value) for value in held[name]] for name in ("identifier", "extension") if name in held}
    if "filled" in held:
        lists["filled"] = {name: [_digest(one) for one in values] for name, values in held["filled"].items()}  # type: ignore[assignment]
    return _canonical({**held, **lists})


def _digest(value: object) -> str:
    return hashlib.sha256(_canonical(value).encode()).hexdigest()[:32]


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
