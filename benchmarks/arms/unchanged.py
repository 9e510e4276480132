"""An archive that is published and has not changed: `resync` again, `audit`, and the feed's intake.

One Orthanc and one installation serve all of it. The first `resync` is the one whose SQL is counted; that of the second is
counted apart from the timed ones, together with what it sends to the FHIR server.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator, Mapping
from statistics import median
from urllib.parse import quote, urlencode, urlsplit

from benchmarks.arms import feed
from benchmarks.arms.started import Started, started
from benchmarks.plan import Plan
from benchmarks.report import Row, at_least, at_most
from benchmarks.site.program import Installation
from benchmarks.site.session import Content, Session
from tests.postgres import Postgres
from tests.postgres import running as postgres_running
from tests.servers import VERSIONS, FhirServer, Unavailable

PAGE = "500"
"""ImagingStudies a page, as syncd asks for them."""
ELEMENTS = "id,meta,identifier,status,numberOfSeries,numberOfInstances"
MB = 1e6


def rows(session: Session, plan: Plan, *, start: Started) -> Iterator[Row]:
    """SQL of the first `resync`, rate and memory of the second, `audit`, the feed."""
    content = session.filled(plan.unchanged)
    installation = session.installation(content.archive)
    session.say(f"{content.shape}: published, its SQL counted")
    empty = _counted_empty(session)
    yield from _sql("SQLite", _counted(installation), empty=empty, studies=content.shape.studies, statements=4.0)
    session.say(f"{content.shape}: unchanged, {plan.repetitions} times")
    yield from _again(content, installation, plan, start=start)
    session.say(f"{content.shape}: audit, {plan.repetitions} times")
    yield _audit(session, content, installation, plan)
    yield from feed.rows(session, plan, content=content, installation=installation)
    content.archive.discard()
    yield from _postgresql(session, plan)


def _again(content: Content, installation: Installation, plan: Plan, *, start: Started) -> Iterator[Row]:
    studies, of = content.shape.studies, f"of {content.shape} unchanged"
    costs = [installation.command("resync") for _ in range(plan.repetitions)]
    rates = [studies / start.seconds(cost) for cost in costs]
    whole, peaks = [cost.wall for cost in costs], [cost.peak / MB for cost in costs]
    yield Row(
        measure=f"resync {of}",
        value=median(rates),
        unit="studies/s",
        digits=0,
        goal=at_least(3000, unit="studies/s", digits=0),
        raw={"studies/s": rates, "seconds with its start": whole},
    )
    counted = _counted(installation)
    yield Row(measure=f"FHIR writes of a resync {of}", value=counted["writes"], digits=0, goal=at_most(0, digits=0))
    yield Row(
        measure=f"peak memory of a resync {of}",
        value=max(peaks),
        unit="MB",
        digits=0,
        goal=at_most(150, unit="MB", digits=0),
        raw={"MB": peaks},
    )


def _audit(session: Session, content: Content, installation: Installation, plan: Plan) -> Row:
    start = started(session, "audit", repetitions=plan.repetitions)
    ours, theirs = [], []
    for _ in range(plan.repetitions):
        ours.append(content.shape.studies / start.seconds(installation.command("audit")))
        theirs.append(
            content.shape.studies / listing_seconds(session.hapi, installation.name, studies=content.shape.studies)
        )
    return Row(
        measure=f"audit of {content.shape}: rate ÷ the rate at which HAPI lists",
        value=median(ours) / median(theirs),
        goal=at_least(0.8),
        raw={"audit, studies/s": ours, "HAPI lists, studies/s": theirs},
    )


def listing_seconds(hapi: FhirServer, name: str, *, studies: int) -> float:
    """How long the server takes to give all ImagingStudies of an installation, page by page, to a client that only reads."""
    tag = f"urn:syncd:installation|{name}"
    connection = http.client.HTTPConnection(urlsplit(hapi.base_url).netloc, timeout=300)
    path = f"{urlsplit(hapi.base_url).path}/ImagingStudy?{urlencode({'_tag': tag, '_count': PAGE, '_elements': ELEMENTS})}"
    seen = 0
    began = time.perf_counter()
    while path:
        connection.request("GET", path, headers={"Cache-Control": "no-cache", "Accept": "application/fhir+json"})
        bundle = json.loads(connection.getresponse().read())
        seen += len(bundle.get("entry", []))
        following = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), "")
        path = quote(following.partition(urlsplit(hapi.base_url).netloc)[2], safe="/?&=%:,|")
    took = time.perf_counter() - began
    assert seen == studies, f"HAPI lists {seen} of {studies}"
    return took


def _postgresql(session: Session, plan: Plan) -> Iterator[Row]:
    """The same with the ledger in PostgreSQL, where there is one."""
    try:
        with postgres_running() as postgres:
            session.versions["PostgreSQL"] = _version(postgres)
            content = session.filled(plan.backlogs[0])
            session.say(f"{content.shape}: its SQL counted with the ledger in PostgreSQL")
            empty = _counted(session.installation(session.orthanc(), LEDGER__URL=postgres.new_database()))
            counts = _counted(session.installation(content.archive, LEDGER__URL=postgres.new_database()))
            yield from _sql("PostgreSQL", counts, empty=empty, studies=content.shape.studies, statements=5.0)
            content.archive.discard()
    except Unavailable as reason:
        yield Row(measure="SQL statements per study, PostgreSQL", value=None, goal=at_most(5.0), note=str(reason))


def _sql(
    database: str, counts: Mapping[str, int], *, empty: Mapping[str, int], studies: int, statements: float
) -> Iterator[Row]:
    each = {name: (counts[name] - empty[name]) / studies for name in ("statements", "transactions", "fences")}
    raw = {"all of it": [counts["statements"]], "of a resync of nothing": [empty["statements"]]}
    fences = f"The question who owns the ledger, before each write: {each['fences']:.2f} more." if each["fences"] else ""
    yield Row(
        measure=f"SQL statements per study in a backlog of {studies:,}, {database}",
        value=each["statements"],
        goal=at_most(statements),
        raw=raw,
        note=fences,
    )
    yield Row(
        measure=f"write transactions per study in a backlog of {studies:,}, {database}",
        value=each["transactions"],
        goal=at_most(0.2),
        raw={"all of it": [counts["transactions"]], "of a resync of nothing": [empty["transactions"]]},
    )


def _counted_empty(session: Session) -> Mapping[str, int]:
    archive = session.orthanc(VERSIONS[0])
    found = _counted(session.installation(archive))
    archive.discard()
    return found


def _counted(installation: Installation) -> dict[str, int]:
    """A `resync` by a syncd whose SQL and writes are counted."""
    file = installation.directory / "counted.json"
    installation.module("benchmarks.site.counted", str(file), "resync")
    found: dict[str, int] = json.loads(file.read_text(encoding="utf-8"))
    if not found["asked"]:
        raise AssertionError("not one request to the FHIR server was seen: what is sent cannot be counted")
    return found


def _version(postgres: Postgres) -> str:
    with postgres.admin() as admin:
        found = admin.execute("SHOW server_version").fetchone()
    return str(found[0]).split()[0] if found else "?"
