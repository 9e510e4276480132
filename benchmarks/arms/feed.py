"""The feed's intake: how fast a long stretch of it comes into the ledger.

A hundred thousand changes would take a real Orthanc minutes to make, so it is stopped, and what stands in its index is
written there again and again: the mix, the numbers and the answers are its own. Each repetition begins with the same
copy of the ledger.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from structlog.testing import capture_logs

from benchmarks.floor import Connection
from benchmarks.plan import Plan
from benchmarks.report import Row, at_least
from benchmarks.site.multiplied import opened_index
from benchmarks.site.program import Installation
from benchmarks.site.session import Content, Session
from syncd.archive.orthanc import OrthancArchive
from syncd.archive.rest.connection import ArchiveConnection
from syncd.ledger.ledger import Ledger
from syncd.loop.archives.intake import Intake
from syncd.model.ids import ArchiveName
from tests.servers import Archive

PAGE = 4000
"""Changes a page, as syncd asks for them."""


def rows(session: Session, plan: Plan, *, content: Content, installation: Installation) -> Iterator[Row]:
    """Rate of the intake beside that of the calls alone."""
    archive = content.archive
    session.say(f"{plan.changes:,} changes into the feed, and from there into the ledger, {plan.repetitions} times")
    before = archive.last_change()
    lengthen(archive, by=plan.changes)
    changes = archive.last_change() - before
    ours, calls = [], []
    for _ in range(plan.repetitions):
        ours.append(changes / _taken_in(session, archive, installation, until=before + changes))
        calls.append(changes / _asked(archive, since=before))
    yield Row(
        measure=f"{changes:,} changes of the feed into the ledger, Orthanc {archive.version}",
        value=median(ours),
        unit="changes/s",
        digits=0,
        goal=at_least(20_000, unit="changes/s", digits=0),
        raw={"changes/s": ours, "Orthanc's pages alone, changes/s": calls},
    )


def lengthen(archive: Archive, *, by: int) -> None:
    """Write the feed's own entries behind it again, oldest first, until there are `by` more; Orthanc is started again."""
    with opened_index(archive) as database:
        (there,) = database.execute("SELECT COUNT(*) FROM Changes").fetchone()
        left = by
        while left:
            some = min(left, there)
            database.execute(
                "INSERT INTO Changes (changeType, internalId, resourceType, date) "
                "SELECT changeType, internalId, resourceType, date FROM Changes ORDER BY seq LIMIT ?",
                [some],
            )
            left -= some


def _taken_in(session: Session, archive: Archive, installation: Installation, *, until: int) -> float:
    """Seconds until the cursor stands at `until`."""
    folder = session.new_folder("intake")
    shutil.copyfile(installation.directory / "ledger.db", folder / "ledger.db")
    (folder / "ledger.db").chmod(0o600)
    name = ArchiveName(installation.name)
    there = ArchiveConnection(name=name, url=archive.url, username=archive.username, password=archive.password, timeout=60)
    with capture_logs(), contextlib.closing(OrthancArchive(there)) as orthanc, contextlib.closing(_ledger(folder)) as ledger:
        intake = Intake(orthanc, ledger, name=name, settle_after=30.0, clock=time.time)
        began = time.perf_counter()
        for _ in range(1000):
            polled = intake.poll()
            if polled.position is not None and polled.position.cursor >= until:
                return time.perf_counter() - began
    raise AssertionError("the feed was not read to its end")


def _ledger(folder: Path) -> Ledger:
    return Ledger.open(f"sqlite:///{folder}/ledger.db")


def _asked(archive: Archive, *, since: int) -> float:
    """Seconds that the pages take, read and thrown away."""
    with contextlib.closing(Connection(archive.url, headers=dict(archive._headers))) as connection:
        began = time.perf_counter()
        done = False
        while not done:
            page = connection.ask("GET", f"/changes?since={since}&limit={PAGE}")
            done = b'"Done" : true' in page
            since += PAGE
        return time.perf_counter() - began
