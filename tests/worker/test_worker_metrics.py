"""The worker's own metrics."""

from __future__ import annotations

import socket
import urllib.request

import pytest
from prometheus_client import generate_latest

from worker.worker_metrics import WorkerMetrics


def test_gauges_are_read_at_the_scrape() -> None:
    metrics, busy = WorkerMetrics(), [1.0]
    metrics.watch(seats=4, seats_busy=lambda: busy[0], results_held=lambda: 0, heartbeat_age=lambda: 2.5)
    busy[0] = 3.0

    text = generate_latest(metrics.registry).decode()

    assert "api_scheduler_worker_seats 4.0" in text
    assert "api_scheduler_worker_seats_busy 3.0" in text
    assert "api_scheduler_worker_heartbeat_age_seconds 2.5" in text


def test_every_name_carries_the_prefix() -> None:
    names = {family.name for family in WorkerMetrics().registry.collect()}
    assert all(name.startswith("api_scheduler_worker_") for name in names)


def test_it_is_served_on_loopback_only() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    metrics = WorkerMetrics()
    metrics.claimed.inc(3)
    server = metrics.serve(port)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            assert "api_scheduler_worker_runs_claimed_total 3.0" in answer.read().decode()
        assert server.server_address[0] == "127.0.0.1"
    finally:
        server.shutdown()
        server.server_close()


def test_a_port_in_use_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        WorkerMetrics().serve(taken.getsockname()[1])
