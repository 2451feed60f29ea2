"""One worker process's configuration."""

from __future__ import annotations

from pytest_django import Settings

from worker.config import RunMode, worker_config


def test_it_takes_the_settings(settings: Settings) -> None:
    settings.WORKER_POLL_SECONDS, settings.WORKER_LEASE_SECONDS, settings.WORKER_DRAIN_SECONDS = 0.5, 9, 4
    settings.MAX_CONCURRENT_JOBS = 12

    config = worker_config()

    assert (config.poll_seconds, config.lease_seconds, config.drain_seconds, config.seats) == (0.5, 9, 4, 12)
    assert config.heartbeat_seconds == 3
    assert config.mode is RunMode.FOREVER


def test_an_option_overrides_the_seats(settings: Settings) -> None:
    settings.MAX_CONCURRENT_JOBS = 12
    assert worker_config(seats=3).seats == 3


def test_calls_per_host_are_not_limited_unless_asked_for(settings: Settings) -> None:
    assert worker_config().calls_per_host is None
    settings.MAX_CALLS_PER_HOST = 5
    assert worker_config().calls_per_host == 5
