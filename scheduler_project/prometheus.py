"""The service's numbers in Prometheus' text format: ours from the database, the web process' own from its registry."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from runs.histograms import Histogram
from runs.metrics import Figures, Inventory, Queue
from scheduler_project.live_state import Workers

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


class _Families:
    """Metric families that are at hand, as something that can be collected."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = tuple(families)

    def collect(self) -> Iterable[Metric]:
        return self._families


def families(*, ever: Figures, inventory: Inventory, queue: Queue, workers: Workers) -> list[Metric]:
    """Our metric families. Every label value is always present, so that no series appears only after an incident."""
    waiting = {"pending": queue.pending, "running": queue.running, "retrying": queue.retrying}
    return [
        GaugeMetricFamily("api_scheduler_targets_total", "Targets that are not deleted.", value=inventory.targets),
        _labelled(
            GaugeMetricFamily("api_scheduler_schedules_total", "Schedules by status.", labels=["status"]),
            inventory.schedules,
        ),
        _labelled(
            CounterMetricFamily("api_scheduler_runs_total", "Runs that ended, by final status.", labels=["status"]),
            ever.statuses,
        ),
        _labelled(
            CounterMetricFamily("api_scheduler_errors_total", "Runs that ended with an error.", labels=["type"]),
            ever.errors,
        ),
        _histogram("api_scheduler_run_latency_seconds", "Duration of the last attempt of ended runs.", ever.latency),
        _histogram(
            "api_scheduler_schedule_lateness_seconds",
            "Start of a run's first attempt minus the moment it was due.",
            ever.lateness,
        ),
        _labelled(
            GaugeMetricFamily("api_scheduler_queue_depth", "Runs that have not ended.", labels=["status"]), waiting
        ),
        GaugeMetricFamily(
            "api_scheduler_oldest_due_seconds",
            "How long the longest waiting run or tick has been due.",
            value=queue.oldest_due_seconds,
        ),
        _labelled(
            GaugeMetricFamily("api_scheduler_workers", "Worker processes by state of their lease.", labels=["state"]),
            {"live": workers.live, "stale": workers.stale},
        ),
    ]


def exposition(ours: Iterable[Metric]) -> bytes:
    """The page to scrape: our families, then those of the web process (all of its siblings in multiprocess mode)."""
    return generate_latest(_Families(ours)) + generate_latest(_web_collector())


def _web_collector() -> Collector:
    # In multiprocess mode each web process knows its own share only; the shares are files in this directory.
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call] # the library has no types here
    return registry


def _labelled(
    family: GaugeMetricFamily | CounterMetricFamily, values: Mapping[str, float]
) -> GaugeMetricFamily | CounterMetricFamily:
    for label, value in values.items():
        family.add_metric([label], value)
    return family


def _histogram(name: str, documentation: str, histogram: Histogram) -> HistogramMetricFamily:
    buckets = [(floatToGoString(bound), count) for bound, count in histogram.cumulative()]  # type: ignore[no-untyped-call]
    return HistogramMetricFamily(name, documentation, buckets=buckets, sum_value=histogram.total)
