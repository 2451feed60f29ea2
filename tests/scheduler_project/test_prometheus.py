from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from runs.histograms import LATENCY_BOUNDS, LATENESS_BOUNDS, Histogram, label_of
from runs.metrics import Figures, Inventory, Queue
from runs.outcome import ErrorType
from scheduler_project.live_state import Workers
from scheduler_project.prometheus import exposition, families

LATENCIES = [0.02, 0.02, 0.3, 500.0]
ERRORS = [error.value for error in ErrorType if error is not ErrorType.NONE]


def some_families() -> list[Metric]:
    figures = Figures(
        statuses={"success": 7, "failed": 2, "timeout": 1, "skipped": 3, "cancelled": 0},
        errors=dict.fromkeys(ERRORS, 0) | {"dns": 2},
        latency=Histogram.from_cells(LATENCY_BOUNDS, [(label_of(v, LATENCY_BOUNDS), 1, v) for v in LATENCIES]),
        lateness=Histogram.from_cells(LATENESS_BOUNDS, []),
    )
    return families(
        ever=figures,
        inventory=Inventory(targets=4, schedules={"active": 2, "paused": 1, "expired": 0}),
        queue=Queue(pending=5, running=1, retrying=0, oldest_due_seconds=1.5),
        workers=Workers(live=2, stale=0),
    )


@pytest.fixture
def scraped() -> dict[str, Metric]:
    """Our families as a scraper reads them, by their name in the page."""
    page = exposition(some_families()).decode()
    return {
        f"{family.name}_total" if family.type == "counter" else family.name: family
        for family in text_string_to_metric_families(page)
        if family.name.startswith("api_scheduler_")
    }


def values(family: Metric) -> dict[str, float]:
    return {next(iter(sample.labels.values()), ""): sample.value for sample in family.samples}


def test_the_families_are_those_of_the_contract(scraped: dict[str, Metric]) -> None:
    assert {name: family.type for name, family in scraped.items()} == {
        "api_scheduler_targets_total": "gauge",
        "api_scheduler_schedules_total": "gauge",
        "api_scheduler_runs_total": "counter",
        "api_scheduler_errors_total": "counter",
        "api_scheduler_run_latency_seconds": "histogram",
        "api_scheduler_schedule_lateness_seconds": "histogram",
        "api_scheduler_queue_depth": "gauge",
        "api_scheduler_oldest_due_seconds": "gauge",
        "api_scheduler_workers": "gauge",
    }


def test_every_family_says_what_it_is(scraped: dict[str, Metric]) -> None:
    assert all(family.documentation for family in scraped.values())


@pytest.mark.parametrize(
    ("name", "label", "expected"),
    [
        ("api_scheduler_schedules_total", "status", {"active": 2, "paused": 1, "expired": 0}),
        (
            "api_scheduler_runs_total",
            "status",
            {"success": 7, "failed": 2, "timeout": 1, "skipped": 3, "cancelled": 0},
        ),
        ("api_scheduler_errors_total", "type", dict.fromkeys(ERRORS, 0) | {"dns": 2}),
        ("api_scheduler_queue_depth", "status", {"pending": 5, "running": 1, "retrying": 0}),
        ("api_scheduler_workers", "state", {"live": 2, "stale": 0}),
    ],
)
def test_every_label_value_has_its_series(
    scraped: dict[str, Metric], name: str, label: str, expected: dict[str, float]
) -> None:
    assert values(scraped[name]) == expected
    assert {tuple(sample.labels) for sample in scraped[name].samples} == {(label,)}


def test_numbers_without_labels_have_none(scraped: dict[str, Metric]) -> None:
    assert values(scraped["api_scheduler_targets_total"]) == {"": 4}
    assert values(scraped["api_scheduler_oldest_due_seconds"]) == {"": 1.5}


def test_a_histogram_has_cumulative_buckets_a_sum_and_a_count(scraped: dict[str, Metric]) -> None:
    name = "api_scheduler_run_latency_seconds"
    samples = {(sample.name, sample.labels.get("le")): sample.value for sample in scraped[name].samples}
    assert len(samples) == len(LATENCY_BOUNDS) + 3
    found = [samples[f"{name}_bucket", le] for le in ("0.01", "0.025", "0.25", "0.5", "120.0", "+Inf")]
    assert found == [0, 2, 2, 3, 3, 4]
    assert (samples[f"{name}_count", None], samples[f"{name}_sum", None]) == (4, sum(LATENCIES))


def test_a_histogram_without_values_has_its_series_too(scraped: dict[str, Metric]) -> None:
    family = scraped["api_scheduler_schedule_lateness_seconds"]
    assert len(family.samples) == len(LATENESS_BOUNDS) + 3
    assert {sample.value for sample in family.samples} == {0}


def test_the_web_process_own_metrics_follow() -> None:
    assert b"python_info{" in exposition([])


def test_in_multiprocess_mode_the_shares_of_all_web_processes_add_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    share = "import prometheus_client as p; p.Counter('web_requests', 'Requests.').inc(2)"
    for _ in range(2):
        subprocess.run([sys.executable, "-c", share], check=True)
    assert "web_requests_total 4.0" in exposition([]).decode()
