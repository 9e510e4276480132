"""Where an audit lays both inventories side by side: a nameless database that is gone with the process.

A million studies of two servers do not fit into memory (RULES E8), and they come in two orders. So they are laid down as
they come and taken up in the order of their UIDs. SQLite's nameless database (an empty file name) lies in memory while it
is small and spills into a deleted file of mode 0600 when it is not; nothing of it survives, and the ledger knows nothing.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from types import TracebackType
from typing import Any

from syncd.ledger.db.rows import field_names
from syncd.model.audit import ArchivedStudy, Difference, DifferenceKind, ShownStudy
from syncd.model.ids import ArchiveName, OrthancId

_TABLES = """
    CREATE TABLE studies (study_uid TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE archived (archive TEXT, orthanc_id TEXT, study_uid TEXT, is_stable INTEGER, series INTEGER,
        instances INTEGER, tags_digest TEXT, PRIMARY KEY (study_uid, archive, orthanc_id)) WITHOUT ROWID;
    CREATE TABLE shown (resource_id TEXT, study_uid TEXT, owner TEXT, version TEXT, status TEXT, series INTEGER,
        instances INTEGER, PRIMARY KEY (study_uid, resource_id)) WITHOUT ROWID;
    CREATE TABLE differences (study_uid TEXT, kind TEXT, detail TEXT, resource_id TEXT, elements TEXT,
        PRIMARY KEY (kind, study_uid, resource_id)) WITHOUT ROWID;
"""


class Staging:
    """Both inventories of one audit, and what it found. Close it to let go of them."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("")
        self._database.executescript(_TABLES)

    def __enter__(self) -> Staging:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._database.close()

    def know(self, study_uids: Iterable[str]) -> None:
        """Studies to be compared, whether or not a side names them."""
        self._database.executemany("INSERT OR IGNORE INTO studies VALUES (?)", ((uid,) for uid in study_uids))

    def keep_archived(self, studies: Sequence[ArchivedStudy]) -> None:
        self._keep("archived", [_row(one) for one in studies])
        self.know(one.study_uid for one in studies)

    def keep_shown(self, studies: Sequence[ShownStudy]) -> None:
        self._keep("shown", [_row(one) for one in studies])
        self.know(one.study_uid for one in studies)

    def keep(self, differences: Sequence[Difference]) -> None:
        rows = [
            (one.study_uid, one.kind.value, one.detail, one.resource_id, json.dumps(one.elements)) for one in differences
        ]
        self._keep("differences", rows)

    def forget(self, difference: Difference) -> None:
        """It is put right."""
        named = (difference.kind.value, difference.study_uid, difference.resource_id)
        self._database.execute("DELETE FROM differences WHERE kind = ? AND study_uid = ? AND resource_id = ?", named)

    def number_of_studies(self) -> int:
        return int(self._database.execute("SELECT count(*) FROM studies").fetchone()[0])

    def studies(self, after: str, *, limit: int) -> list[str]:
        """A page in the order of UIDs; the next one begins after its last UID."""
        page = "SELECT study_uid FROM studies WHERE study_uid > ? ORDER BY study_uid LIMIT ?"
        return [uid for (uid,) in self._database.execute(page, (after, limit))]

    def find_archived(self, study_uids: Sequence[str]) -> dict[str, tuple[ArchivedStudy, ...]]:
        """Every copy of these studies, by UID."""
        rows = [
            ArchivedStudy(
                archive=ArchiveName(archive),
                orthanc_id=OrthancId(orthanc_id),
                study_uid=uid,
                is_stable=bool(is_stable),
                series=series,
                instances=instances,
                tags_digest=tags_digest,
            )
            for archive, orthanc_id, uid, is_stable, series, instances, tags_digest in self._of("archived", study_uids)
        ]
        return {uid: tuple(group) for uid, group in groupby(rows, key=lambda one: one.study_uid)}

    def find_shown(self, study_uids: Sequence[str]) -> dict[str, tuple[ShownStudy, ...]]:
        """Every ImagingStudy of these studies, by UID."""
        rows = [
            ShownStudy(
                resource_id=resource_id,
                study_uid=uid,
                owner=owner,
                version=version,
                status=status,
                series=series,
                instances=instances,
            )
            for resource_id, uid, owner, version, status, series, instances in self._of("shown", study_uids)
        ]
        return {uid: tuple(group) for uid, group in groupby(rows, key=lambda one: one.study_uid)}

    def differences(self, *kinds: DifferenceKind) -> Iterator[Difference]:
        """What was found, of these kinds or of all, by kind and UID. Page by page: it may be changed meanwhile."""
        for kind in kinds or tuple(DifferenceKind):
            after = ("", "")
            while page := self._page(kind, after):
                yield from page
                after = (page[-1].study_uid, page[-1].resource_id)

    def counts(self) -> dict[DifferenceKind, int]:
        """How many of each kind; kinds without any are left out."""
        rows = self._database.execute("SELECT kind, count(*) FROM differences GROUP BY kind")
        return {DifferenceKind(kind): number for kind, number in rows}

    def _page(self, kind: DifferenceKind, after: tuple[str, str]) -> list[Difference]:
        rows = self._database.execute(
            "SELECT study_uid, detail, resource_id, elements FROM differences "
            "WHERE kind = ? AND (study_uid, resource_id) > (?, ?) ORDER BY study_uid, resource_id LIMIT 500",
            (kind.value, *after),
        ).fetchall()
        return [
            Difference(study_uid=uid, kind=kind, detail=detail, resource_id=resource_id, elements=tuple(json.loads(names)))
            for uid, detail, resource_id, names in rows
        ]

    def _of(self, table: str, study_uids: Sequence[str]) -> list[Any]:
        places = ",".join("?" * len(study_uids))
        ordered = f"SELECT * FROM {table} WHERE study_uid IN ({places}) ORDER BY study_uid"  # noqa: S608 - our own names
        return self._database.execute(ordered, list(study_uids)).fetchall()

    def _keep(self, table: str, rows: Sequence[tuple[object, ...]]) -> None:
        if rows:
            places = ",".join("?" * len(rows[0]))
            self._database.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({places})", rows)  # noqa: S608 - our own


def _row(study: ArchivedStudy | ShownStudy) -> tuple[object, ...]:
    """The columns in order; not `astuple`, which copies every value."""
    return tuple(getattr(study, name) for name in field_names(type(study)))
