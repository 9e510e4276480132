"""A hundred thousand studies out of a few hundred real ones: in Orthanc's index, and in the ledger that has published
them.

What takes hours to store and to publish is written into both databases while their owners are stopped: every study
again, with its series and instances, under other ids. The files are not there twice, so only what asks for lists,
headers and counts may be measured with it. The ledger's copies are made of what the archive then lists, read as syncd
reads it, so that both agree.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from typing import Any

from benchmarks.site.program import Installation
from deploy.native.servers import Orthanc
from syncd.archive.orthanc import OrthancArchive
from syncd.archive.rest.connection import ArchiveConnection
from syncd.model.ids import ArchiveName
from syncd.model.study.raw import StudyListing
from tests.servers import Archive

PATIENT, STUDY = 1, 2
"""Levels, as Orthanc's index numbers them."""
UIDS = "(tagGroup = 32 AND tagElement IN (13, 14)) OR (tagGroup = 8 AND tagElement = 24)"
"""StudyInstanceUID, SeriesInstanceUID, SOPInstanceUID."""


def multiply(archive: Archive, installation: Installation, *, times: int) -> None:
    """Make `times` as many studies of those that this archive holds and this ledger has published. No syncd runs meanwhile;
    Orthanc is started again."""
    with opened_index(archive) as database:
        _multiply_index(database, times=times)
    with contextlib.closing(sqlite3.connect(installation.directory / "ledger.db")) as ledger, ledger:
        _multiply_ledger(ledger, listed(archive, name=installation.name), times=times)


@contextlib.contextmanager
def opened_index(archive: Archive) -> Iterator[sqlite3.Connection]:
    """Orthanc's index, in one transaction; it is stopped meanwhile, and started again."""
    process = archive.process
    assert isinstance(process, Orthanc)
    process.stop()
    index = next((process.directory / "storage").rglob("index"))
    with contextlib.closing(sqlite3.connect(index)) as database, database:
        yield database
    process.start()


def listed(archive: Archive, *, name: str) -> Iterator[StudyListing]:
    """All studies of the archive, as syncd lists them."""
    at = ArchiveConnection(
        name=ArchiveName(name), url=archive.url, username=archive.username, password=archive.password, timeout=120
    )
    with contextlib.closing(OrthancArchive(at)) as orthanc:
        seen = 0
        while page := orthanc.studies_page(seen):
            yield from page
            seen += len(page)


def _multiply_index(database: sqlite3.Connection, *, times: int) -> None:
    (span,) = database.execute("SELECT MAX(internalId) FROM Resources").fetchone()
    for number in range(1, times):
        told = {"off": number * span, "span": span, "prefix": f"{number:08x}", "tail": f".{number}"}
        database.execute(
            "INSERT INTO Resources (internalId, resourceType, publicId, parentId) "
            "SELECT internalId + :off, resourceType, :prefix || substr(publicId, 9), "
            f"CASE resourceType WHEN {STUDY} THEN parentId ELSE parentId + :off END "
            f"FROM Resources WHERE internalId <= :span AND resourceType > {PATIENT}",
            told,
        )
        models = f"SELECT internalId FROM Resources WHERE internalId <= :span AND resourceType > {PATIENT}"
        below = f"id <= :span AND id IN ({models})"
        for table in ("MainDicomTags", "DicomIdentifiers"):
            database.execute(
                f"INSERT INTO {table} SELECT id + :off, tagGroup, tagElement, "
                f"CASE WHEN {UIDS} THEN value || :tail ELSE value END FROM {table} WHERE {below}",
                told,
            )
        for table in ("Metadata", "AttachedFiles"):
            rest = ", ".join(_columns(database, table)[1:])
            database.execute(f"INSERT INTO {table} SELECT id + :off, {rest} FROM {table} WHERE {below}", told)


def _multiply_ledger(ledger: sqlite3.Connection, listings: Iterator[StudyListing], *, times: int) -> None:
    ledger.row_factory = sqlite3.Row
    copies = {row["study_uid"]: dict(row) for row in ledger.execute("SELECT * FROM copies")}
    records = {row["study_uid"]: dict(row) for row in ledger.execute("SELECT * FROM records")}
    for listing in listings:
        if listing.study_uid in copies:
            continue
        model = listing.study_uid.rpartition(".")[0]
        copy, record = dict(copies[model]), dict(records[model])
        told = {"study_uid": listing.study_uid, "orthanc_id": listing.orthanc_id, "last_update": listing.last_update}
        raw = record["raw"].replace(copy["orthanc_id"], listing.orthanc_id)
        _insert(ledger, "copies", copy | told | {"tags_digest": listing.tags_digest})
        same_name = {"study_uid": listing.study_uid, "resource_id": listing.study_uid}
        _insert(ledger, "records", record | same_name | {"raw": json.dumps(json.loads(raw))})
    ledger.execute(f"UPDATE tallies SET number = number * {times}")


def _insert(database: sqlite3.Connection, table: str, row: dict[str, Any]) -> None:
    names, marks = ", ".join(f'"{name}"' for name in row), ", ".join("?" * len(row))
    database.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(row.values()))


def _columns(database: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
