"""The image's health check, against the real service."""

from __future__ import annotations

import socket

import pytest
from pytest_django.live_server_helper import LiveServer

from deploy.check_health import check, first_allowed_host
from scheduler_project.bounded_probe import BoundedProbe
from scheduler_project.health import HealthView
from scheduler_project.live_state import read_live_state


def test_it_is_content_with_a_service_that_answers(live_server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    # The process's own probe may still have what an earlier test saw, or a look of its own that never ended.
    monkeypatch.setattr(HealthView, "probe", BoundedProbe(read_live_state, deadline_seconds=20))
    monkeypatch.setattr("deploy.check_health.TIMEOUT_SECONDS", 30)
    assert check(f"{live_server.url}/api/v1/health", host="localhost") == ""


def test_it_tells_what_the_service_answered(live_server: LiveServer) -> None:
    assert check(f"{live_server.url}/api/v1/nowhere", host="localhost").endswith("/api/v1/nowhere answered 404")


def test_it_tells_that_nothing_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed_in_a_moment:
        port = closed_in_a_moment.getsockname()[1]
    assert "doesn't answer" in check(f"http://127.0.0.1:{port}/api/v1/health", host="localhost")


@pytest.mark.parametrize(
    ("setting", "host"),
    [
        ("", "127.0.0.1"),
        ("*", "127.0.0.1"),
        ("api.example.com,localhost", "api.example.com"),
        (" .example.com", "example.com"),
    ],
)
def test_it_asks_under_a_name_that_the_service_admits(setting: str, host: str) -> None:
    assert first_allowed_host(setting) == host
