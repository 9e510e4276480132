"""All that the ledger knows of some studies at once: what `audit` and `explain` hold against both servers.

A million studies are asked for in slices (RULES E8), so each table is read once per slice and not once per study.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from syncd.ledger.db import schema
from syncd.ledger.studies.records import copies_of, several
from syncd.ledger.studies.retractions import find_plans
from syncd.model.audit import Standing
from syncd.model.selection import UnselectedStudy
from syncd.model.work import DirtyRow, Intent, ParkedStudy, StudyRecord


def find_standing(connection: Connection, study_uids: Sequence[str]) -> dict[str, Standing]:
    """What is known of each of them, all of one moment."""
    records = several(connection, StudyRecord, schema.records, study_uids)
    intents = several(connection, Intent, schema.intents, study_uids)
    parked = several(connection, ParkedStudy, schema.parked, study_uids)
    unselected = several(connection, UnselectedStudy, schema.unselected, study_uids)
    dirty = several(connection, DirtyRow, schema.dirty, study_uids)
    planned = find_plans(connection, study_uids)
    copies = copies_of(connection, study_uids)
    return {
        uid: Standing(
            study_uid=uid,
            record=records.get(uid),
            intent=intents.get(uid),
            parked=parked.get(uid),
            unselected=unselected.get(uid),
            dirty=dirty.get(uid),
            planned=planned.get(uid),
            copies=copies.get(uid, ()),
        )
        for uid in study_uids
    }
