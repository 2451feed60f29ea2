"""What this process counts about itself, and the loopback port it can be scraped on."""

from __future__ import annotations

from collections.abc import Callable
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

LOOPBACK = "127.0.0.1"
TICK_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class WorkerMetrics:
    """Process-local `api_scheduler_worker_*` metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.tick_seconds = Histogram(
            "api_scheduler_worker_tick_seconds", "Duration of a tick.", buckets=TICK_BUCKETS, registry=self.registry
        )
        self.enqueued = self._counter("schedules_enqueued", "Due schedules looked at.")
        self.claimed = self._counter("runs_claimed", "Runs claimed.")
        self.recorded = self._counter("attempts_recorded", "Attempts recorded or handed back.")
        self.rescued = self._counter("runs_rescued", "Runs of dead workers resolved.")
        self.step_errors = self._counter("step_errors", "Steps of a tick that failed, the database's absence aside.")
        self.database_errors = self._counter("database_errors", "Ticks that the database could not serve.")
        self.seats = self._gauge("seats", "Calls that this process makes at once.")
        self.seats_busy = self._gauge("seats_busy", "Seats taken.")
        self.results_held = self._gauge("results_held", "Finished calls not written yet.")
        self.heartbeat_age = self._gauge("heartbeat_age_seconds", "Since the last successful heartbeat.")

    def watch(
        self,
        *,
        seats: int,
        seats_busy: Callable[[], float],
        results_held: Callable[[], float],
        heartbeat_age: Callable[[], float],
    ) -> None:
        """Read the gauges from these at each scrape."""
        self.seats.set(seats)
        self.seats_busy.set_function(seats_busy)
        self.results_held.set_function(results_held)
        self.heartbeat_age.set_function(heartbeat_age)

    def serve(self, port: int) -> WSGIServer:
        """Answer scrapes on loopback, in a thread of its own.

        Raises:
            OSError: the port can't be used.
        """
        server, _thread = start_http_server(port, addr=LOOPBACK, registry=self.registry)
        return server

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(f"api_scheduler_worker_{name}", text, registry=self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"api_scheduler_worker_{name}", text, registry=self.registry)
