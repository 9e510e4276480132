"""Metrics: what an operator needs first, under names that stay.

Counters are told by the loop as things happen; gauges that the ledger knows are read when Prometheus asks, at most once
a second. A label that appears only when something goes wrong helps nobody: a rule on it cannot see the change from
nothing to one. Every label value that can be known beforehand therefore exists from the start, at zero.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from syncd.errors import SyncdError
from syncd.model.outbox import FHIR, EntryState, Queue
from syncd.model.overview import Counts, Heartbeat
from syncd.model.provenance import PROVENANCE
from syncd.model.words import NOTE_RULES, BrakeState, Decision, ParkedReason, StudyState
from syncd.web.facts import Facts

CACHED_FOR = 1.0
"""Seconds for which facts are kept: several scrapers cost the ledger one reading."""

BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Seconds: a small study takes tenths of one, a study of 50,000 instances minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """One metric as Prometheus and the documents name it."""

    name: str
    kind: str
    labels: tuple[str, ...] = ()
    text: str


BEHIND_CHANGES = Described(
    name="syncd_behind_changes", kind="gauge", labels=("archive",), text="Changes of the archive that are not read yet."
)
BEHIND_SECONDS = Described(
    name="syncd_behind_seconds",
    kind="gauge",
    labels=("archive",),
    text="For how long changes of the archive have been waiting to be read.",
)
STUDIES_DIRTY = Described(name="syncd_studies_dirty", kind="gauge", text="Studies to be looked at again.")
OLDEST_MARK = Described(
    name="syncd_oldest_mark_seconds", kind="gauge", text="For how long the oldest of them has been waiting."
)
STUDIES = Described(name="syncd_studies", kind="gauge", labels=("status",), text="Published studies by status.")
PARKED = Described(name="syncd_parked", kind="gauge", labels=("reason",), text="Studies set aside, by reason.")
UNSELECTED = Described(
    name="syncd_unselected",
    kind="gauge",
    labels=("state",),
    text="Studies that the settings do not select: excluded, or outside the history.",
)
SAFETY = Described(
    name="syncd_safety_studies",
    kind="gauge",
    text="Published studies of which the patient, a side, a body region or an order is in doubt (`syncd audit --notes`).",
)
OUTBOX = Described(
    name="syncd_outbox_entries",
    kind="gauge",
    labels=("kind", "sink", "state"),
    text="What is owed after studies' writes, by kind and receiver: waiting to be sent, or given up and still kept.",
)
OUTDATED = Described(
    name="syncd_outdated_studies",
    kind="gauge",
    text="Published studies that an earlier version or other settings rendered: to be rendered again, or held.",
)
BRAKE_CLOSED = Described(
    name="syncd_brake_closed",
    kind="gauge",
    labels=("archive",),
    text="1 if nothing of the archive is taken back any more: too much was, or it looks like another archive.",
)
RETRACTIONS_WAITING = Described(
    name="syncd_retractions_waiting",
    kind="gauge",
    labels=("archive",),
    text="Studies that wait at the closed brake for the operator's word.",
)
SWEPT = Described(
    name="syncd_archive_inventory_timestamp_seconds",
    kind="gauge",
    labels=("archive",),
    text="When the archive was last listed and compared.",
)
SWEEP_FOUND = Described(
    name="syncd_archive_inventory_found",
    kind="gauge",
    labels=("archive", "kind"),
    text="Studies that this comparison marked, by what was found.",
)
VERIFIED = Described(
    name="syncd_fhir_inventory_timestamp_seconds",
    kind="gauge",
    text="When what syncd published was last listed and compared.",
)
VERIFY_FOUND = Described(
    name="syncd_fhir_inventory_found",
    kind="gauge",
    labels=("kind",),
    text="Resources that this comparison marked or reported, by what was found.",
)
AT_ONCE = Described(
    name="syncd_fhir_requests_at_once",
    kind="gauge",
    text="How many requests the FHIR server gets at once now: fewer than FHIR__CONCURRENCY where it asked for patience.",
)
READY = Described(name="syncd_ready", kind="gauge", text="1 if nothing stands in the way; /readyz says what does.")
BUILD = Described(name="syncd_build_info", kind="gauge", labels=("version",), text="Always 1; the version is its label.")
DECISIONS = Described(
    name="syncd_decisions_total", kind="counter", labels=("decision",), text="Decisions about studies, by what was decided."
)
NOTES = Described(
    name="syncd_notes_total",
    kind="counter",
    labels=("rule",),
    text="Publications of a study with something odd in its values, by the rule that dealt with it.",
)
SAFETY_NOTES = Described(
    name="syncd_safety_notes_total",
    kind="counter",
    labels=("rule",),
    text="Those of them that leave the patient, a side, a body region or an order in doubt, by the rule.",
)
REQUESTS = Described(
    name="syncd_http_requests_total",
    kind="counter",
    labels=("server", "outcome"),
    text="HTTP calls to the archive and the FHIR server, by HTTP status, or in a word why there was none.",
)
DURATION = Described(
    name="syncd_reconcile_duration_seconds", kind="histogram", text="How long it took to look at a study and act on it."
)

METRICS = (
    *(READY, BEHIND_CHANGES, BEHIND_SECONDS, STUDIES_DIRTY, OLDEST_MARK, STUDIES, PARKED, UNSELECTED),
    *(SAFETY, OUTDATED, OUTBOX),
    *(BRAKE_CLOSED, RETRACTIONS_WAITING),
    *(SWEPT, SWEEP_FOUND, VERIFIED, VERIFY_FOUND),
    AT_ONCE,
    *(DECISIONS, DURATION, NOTES, SAFETY_NOTES, REQUESTS, BUILD),
)
"""All metrics of ours, in the order of the documents. Those of the process (`process_…`) come with the client library."""


class Metrics:
    """The metrics of one daemon, in a registry of their own."""

    def __init__(self, *, version: str, clock: Callable[[], float] = time.time) -> None:
        # A second series for each counter, which nobody asked for.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._clock = clock
        ProcessCollector(registry=self.registry)
        self._decisions = Counter(DECISIONS.name, DECISIONS.text, DECISIONS.labels, registry=self.registry)
        self._notes = Counter(NOTES.name, NOTES.text, NOTES.labels, registry=self.registry)
        self._safety = Counter(SAFETY_NOTES.name, SAFETY_NOTES.text, SAFETY_NOTES.labels, registry=self.registry)
        self._requests = Counter(REQUESTS.name, REQUESTS.text, REQUESTS.labels, registry=self.registry)
        self._duration = Histogram(DURATION.name, DURATION.text, DURATION.labels, buckets=BUCKETS, registry=self.registry)
        self.registry.register(_Build(version))
        for decision in Decision:
            self._decisions.labels(decision.value)
        for rule in NOTE_RULES:
            self._notes.labels(rule)
            self._safety.labels(rule)

    def follow(self, facts: Facts) -> None:
        """Read the gauges from `facts` from now on. To be called once."""
        self.registry.register(_Gauges(facts, clock=self._clock))

    def count_decision(self, decision: str, seconds: float) -> None:
        """A study was looked at: what was decided, and how long it took."""
        self._decisions.labels(str(decision)).inc()
        self._duration.observe(seconds)

    def count_notes(self, rules: Iterable[str], *, safety: Iterable[str] = ()) -> None:
        """A study was published although something in it was odd: the rules that dealt with it, each once; and those of
        them that leave something in doubt."""
        for rule in rules:
            self._notes.labels(rule).inc()
        for rule in safety:
            self._safety.labels(rule).inc()

    def count_call(self, server: str, outcome: str) -> None:
        """A server was called. `outcome` is the HTTP status or one word, never anything that the server said."""
        self._requests.labels(server, str(outcome)).inc()


class _Build(Collector):
    def __init__(self, version: str) -> None:
        self._version = version

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield _family(BUILD, {(self._version,): 1.0})


class _Gauges(Collector):
    """What the ledger and the daemon know, read when asked for. Without an answer `syncd_ready` is 0 and they are absent."""

    def __init__(self, facts: Facts, *, clock: Callable[[], float]) -> None:
        self._facts = facts
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: tuple[GaugeMetricFamily, ...] = ()
        self._read_at = -CACHED_FOR

    def describe(self) -> tuple[GaugeMetricFamily, ...]:
        """Named beforehand, so that registering does not read the ledger."""
        of_archives = (BEHIND_CHANGES, BEHIND_SECONDS, BRAKE_CLOSED, RETRACTIONS_WAITING)
        inventories = (SWEPT, SWEEP_FOUND, VERIFIED, VERIFY_FOUND)
        gauges = (
            *of_archives,
            *inventories,
            STUDIES_DIRTY,
            OLDEST_MARK,
            STUDIES,
            PARKED,
            SAFETY,
            OUTDATED,
            OUTBOX,
            READY,
            AT_ONCE,
        )
        return tuple(_family(gauge, {}) for gauge in gauges)

    def collect(self) -> tuple[GaugeMetricFamily, ...]:
        with self._lock:
            if time.monotonic() - self._read_at >= CACHED_FOR or not self._kept:
                self._kept = tuple(self._read())
                self._read_at = time.monotonic()
            return self._kept

    def _read(self) -> Iterator[GaugeMetricFamily]:
        try:
            counts, heartbeat, ready = self._facts.counts(), self._facts.heartbeat(), not self._facts.ready()
        except SyncdError:
            yield _family(READY, {(): 0.0})
            return
        yield _family(READY, {(): float(ready)})
        yield from _of_archives(heartbeat)
        yield from _of_inventories(heartbeat)
        yield from _of_studies(counts, now=self._clock())


def _of_archives(heartbeat: Heartbeat) -> Iterator[GaugeMetricFamily]:
    numbers = (
        (BEHIND_CHANGES, "behind_changes"),
        (BEHIND_SECONDS, "behind_seconds"),
        (RETRACTIONS_WAITING, "retractions_waiting"),
    )
    for gauge, key in numbers:
        followed = {name: facts for name, facts in heartbeat.archives.items() if key in facts}
        yield _family(gauge, {(name,): float(facts[key]) for name, facts in followed.items()})
    yield _family(
        BRAKE_CLOSED,
        {
            (name,): float(facts["brake"] == BrakeState.CLOSED)
            for name, facts in heartbeat.archives.items()
            if "brake" in facts
        },
    )


def _of_inventories(heartbeat: Heartbeat) -> Iterator[GaugeMetricFamily]:
    """Absent before the first one: a zero would say that all was found well in 1970."""
    swept = {name: facts["inventory"] for name, facts in heartbeat.archives.items() if facts.get("inventory")}
    verified = heartbeat.target.get("inventory")
    yield _family(SWEPT, {(name,): float(told["at"]) for name, told in swept.items()})
    yield _family(
        SWEEP_FOUND,
        {(name, kind): float(number) for name, told in swept.items() for kind, number in told["found"].items()},
    )
    yield _family(VERIFIED, {(): float(verified["at"])} if verified else {})
    at_once = heartbeat.target.get("requests_at_once")
    yield _family(AT_ONCE, {(): float(at_once)} if at_once else {})
    yield _family(VERIFY_FOUND, {(kind,): float(n) for kind, n in verified["found"].items()} if verified else {})


def _of_studies(counts: Counts, *, now: float) -> Iterator[GaugeMetricFamily]:
    age = max(0.0, now - counts.oldest_mark) if counts.oldest_mark else 0.0
    published = {StudyState.REGISTERED.value: 0, StudyState.AVAILABLE.value: 0, **counts.published}
    parked = {**{reason.value: 0 for reason in ParkedReason}, **counts.parked}
    yield _family(STUDIES_DIRTY, {(): float(counts.dirty)})
    yield _family(OLDEST_MARK, {(): age})
    yield _family(STUDIES, {(status,): float(number) for status, number in published.items()})
    yield _family(PARKED, {(reason,): float(number) for reason, number in parked.items()})
    unselected = {StudyState.EXCLUDED.value: 0, StudyState.OUTSIDE_HISTORY.value: 0, **counts.unselected}
    yield _family(UNSELECTED, {(state,): float(number) for state, number in unselected.items()})
    yield _family(SAFETY, {(): float(counts.safety)})
    yield _family(OUTDATED, {(): float(counts.outdated)})
    queues = {(one.kind, one.sink): one for one in (Queue(kind=PROVENANCE, sink=FHIR), *counts.outbox)}
    numbers: dict[tuple[str, ...], float] = {}
    for names, one in queues.items():
        numbers |= {(*names, EntryState.WAITING): float(one.waiting), (*names, EntryState.GIVEN_UP): float(one.given_up)}
    yield _family(OUTBOX, numbers)


def _family(metric: Described, values: Mapping[tuple[str, ...], float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(metric.name, metric.text, labels=metric.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def metrics_page() -> str:
    """docs/metrics.md."""
    lines = [
        "# Metrics",
        "",
        "Generated from `syncd/web/metrics.py` by `scripts/generate_docs.py`; do not edit.",
        "",
        "At `/metrics`, without a credential. Nothing in them identifies a patient or a study. Those of the process itself",
        "(`process_cpu_seconds_total`, `process_resident_memory_bytes`, …) are there too.",
        "",
        "| metric | kind | labels | meaning |",
        "|---|---|---|---|",
    ]
    for metric in METRICS:
        labels = ", ".join(f"`{label}`" for label in metric.labels) or "–"
        lines.append(f"| `{metric.name}` | {metric.kind} | {labels} | {metric.text} |")
    return "\n".join(lines) + "\n"
