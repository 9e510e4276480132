"""The metrics: their names, their values, and what they cost (issue: what an operator needs first)."""

from __future__ import annotations

import re

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from syncd.errors import LedgerUnavailable
from syncd.model.words import NOTE_RULES, Decision, ParkedReason
from syncd.web import metrics as metrics_module
from syncd.web.metrics import METRICS, Metrics, metrics_page
from tests.web.facts import NOW, SetFacts, served


def scraped(metrics: Metrics, *, facts: SetFacts) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample by name and labels, as Prometheus reads it."""
    with served(facts, metrics=metrics) as url:
        text = requests.get(f"{url}/metrics", timeout=10).text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(version="1.2.3", clock=lambda: NOW)


def test_what_the_loop_tells_is_counted(metrics: Metrics) -> None:
    """Published by decision, HTTP calls by server and outcome."""
    metrics.count_decision(Decision.CREATE, 0.2)
    metrics.count_decision("Create", 7.0)
    metrics.count_notes(("B", "C.1-1"))
    metrics.count_notes(("B",), safety=("B",))
    metrics.count_call("fhir", "201")
    metrics.count_call("archive", "unreachable")
    found = scraped(metrics, facts=SetFacts())
    assert found["syncd_decisions_total", (("decision", "Create"),)] == 2
    assert found["syncd_notes_total", (("rule", "B"),)] == 2
    assert found["syncd_notes_total", (("rule", "C.1-1"),)] == 1
    assert found["syncd_safety_notes_total", (("rule", "B"),)] == 1, "RULES B9: counted apart"
    assert found["syncd_safety_notes_total", (("rule", "C.1-1"),)] == 0
    assert found["syncd_http_requests_total", (("outcome", "201"), ("server", "fhir"))] == 1
    assert found["syncd_http_requests_total", (("outcome", "unreachable"), ("server", "archive"))] == 1
    assert found["syncd_reconcile_duration_seconds_count", ()] == 2
    assert found["syncd_reconcile_duration_seconds_bucket", (("le", "0.25"),)] == 1


def test_what_the_ledger_knows_is_read(metrics: Metrics) -> None:
    """Behind by how many changes and seconds, dirty, parked by reason."""
    found = scraped(metrics, facts=SetFacts())
    assert found["syncd_behind_changes", (("archive", "main"),)] == 7
    assert found["syncd_behind_seconds", (("archive", "main"),)] == 1.5
    assert found["syncd_brake_closed", (("archive", "main"),)] == 1
    assert found["syncd_retractions_waiting", (("archive", "main"),)] == 3
    assert found["syncd_studies_dirty", ()] == 3
    assert found["syncd_oldest_mark_seconds", ()] == 60
    assert found["syncd_studies", (("status", "available"),)] == 5
    assert found["syncd_parked", (("reason", "refused"),)] == 1
    assert found["syncd_archive_inventory_timestamp_seconds", (("archive", "main"),)] == NOW - 60
    assert found["syncd_archive_inventory_found", (("archive", "main"), ("kind", "gone"))] == 2
    assert found["syncd_fhir_inventory_timestamp_seconds", ()] == NOW - 90
    assert found["syncd_fhir_inventory_found", (("kind", "missing"),)] == 1
    assert found["syncd_unselected", (("state", "excluded"),)] == 2
    assert found["syncd_unselected", (("state", "outside-history"),)] == 0
    assert found["syncd_safety_studies", ()] == 4
    assert found["syncd_outdated_studies", ()] == 6
    provenance = (("kind", "Provenance"), ("sink", "fhir"))
    assert found["syncd_outbox_entries", (*provenance, ("state", "waiting"))] == 7
    assert found["syncd_outbox_entries", (*provenance, ("state", "given-up"))] == 8
    assert found["syncd_ready", ()] == 1
    assert found["syncd_build_info", (("version", "1.2.3"),)] == 1


def test_known_labels_exist_from_the_start(metrics: Metrics) -> None:
    """A rule cannot see the change from nothing to one."""
    found = scraped(metrics, facts=SetFacts())
    assert all(("syncd_decisions_total", (("decision", decision.value),)) in found for decision in Decision)
    assert all(("syncd_notes_total", (("rule", rule),)) in found for rule in NOTE_RULES)
    assert all(("syncd_parked", (("reason", reason.value),)) in found for reason in ParkedReason)
    assert found["syncd_studies", (("status", "registered"),)] == 0


def test_not_ready_is_zero(metrics: Metrics) -> None:
    """docs/metrics.md: the same fact as /readyz."""
    assert scraped(metrics, facts=SetFacts(reasons=("paused",)))["syncd_ready", ()] == 0


def test_without_the_ledger_the_counters_still_answer(metrics: Metrics) -> None:
    """docs/metrics.md: metrics are needed most when something is broken."""
    metrics.count_call("fhir", "500")
    found = scraped(metrics, facts=SetFacts(broken=LedgerUnavailable()))
    assert found["syncd_ready", ()] == 0
    assert found["syncd_http_requests_total", (("outcome", "500"), ("server", "fhir"))] == 1
    assert ("syncd_studies_dirty", ()) not in found


def test_several_scrapes_cost_one_reading(metrics: Metrics, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger is not asked at every request."""
    monkeypatch.setattr(metrics_module, "CACHED_FOR", 3600.0)
    facts = SetFacts()
    with served(facts, metrics=metrics) as url:
        assert facts.asked == 0
        for _ in range(3):
            requests.get(f"{url}/metrics", timeout=10)
        assert facts.asked == 1


def test_old_facts_are_not_kept(metrics: Metrics, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gauge is at most a second old."""
    monkeypatch.setattr(metrics_module, "CACHED_FOR", 0.0)
    facts = SetFacts()
    with served(facts, metrics=metrics) as url:
        for _ in range(2):
            requests.get(f"{url}/metrics", timeout=10)
    assert facts.asked == 2


@pytest.mark.parametrize(
    "accept, kind", [("", "text/plain"), ("application/openmetrics-text", "application/openmetrics-text")]
)
def test_both_text_formats_are_spoken(metrics: Metrics, accept: str, kind: str) -> None:
    """docs/metrics.md: Prometheus asks for OpenMetrics, people for text."""
    with served(SetFacts(), metrics=metrics) as url:
        assert (
            requests.get(f"{url}/metrics", headers={"Accept": accept}, timeout=10).headers["content-type"].startswith(kind)
        )


def test_names_follow_the_rules_of_prometheus(metrics: Metrics) -> None:
    """What promtool asks of names: counters end in _total, nothing else does, base units, a help text."""
    with served(SetFacts(), metrics=metrics) as url:
        lines = requests.get(f"{url}/metrics", timeout=10).text.splitlines()
    kinds = {line.split()[2]: line.split()[3] for line in lines if line.startswith("# TYPE syncd_")}
    helped = {line.split()[2] for line in lines if re.fullmatch(r"# HELP syncd_\w+ .*\.", line)}
    assert kinds == {metric.name: metric.kind for metric in METRICS}
    assert helped == set(kinds)
    for name, kind in kinds.items():
        assert name.endswith("_total") is (kind == "counter")
        assert not re.search(r"_(milliseconds|minutes|ms|count|sum|bucket|gauge|counter)$", name)
    assert not [line for line in lines if "_created" in line]


def test_the_page_names_every_metric() -> None:
    """What an operator reads is made of what the code says."""
    for metric in METRICS:
        assert f"| `{metric.name}` | {metric.kind} |" in metrics_page()
