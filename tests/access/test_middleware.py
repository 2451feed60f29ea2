"""What every request passes first."""

from __future__ import annotations

import ipaddress
import logging
import re

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from pytest_django import Settings

from access.middleware import RequestIdMiddleware, TrustedProxyMiddleware
from access.request_id import current_request_id
from scheduler_project.logs import LineFormatter
from tests.signed_in import problem_of

PROXY, STRANGER = "10.0.0.1", "203.0.113.9"
HEALTH = "/api/v1/health"


@pytest.fixture(autouse=True)
def one_trusted_proxy(settings: Settings) -> None:
    settings.TRUSTED_PROXIES = [ipaddress.ip_network("10.0.0.0/8")]
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")


def seen_as_secure(peer: str, **headers: str) -> bool:
    found: list[bool] = []

    def view(request: HttpRequest) -> HttpResponse:
        found.append(request.is_secure())
        return HttpResponse()

    TrustedProxyMiddleware(view)(RequestFactory().get("/", REMOTE_ADDR=peer, headers=headers))
    return found[0]


def test_a_trusted_proxy_says_that_a_request_came_over_tls() -> None:
    assert seen_as_secure(PROXY, X_Forwarded_Proto="https")
    assert seen_as_secure(f"::ffff:{PROXY}", X_Forwarded_Proto="https")
    assert not seen_as_secure(PROXY, X_Forwarded_Proto="http")


@pytest.mark.parametrize("peer", [STRANGER, "127.0.0.1", "", "unix:", "::1"])
def test_a_stranger_does_not(peer: str) -> None:
    assert not seen_as_secure(peer, X_Forwarded_Proto="https", X_Forwarded_For=PROXY)


def test_a_stranger_chooses_no_host() -> None:
    request = RequestFactory().get("/", REMOTE_ADDR=STRANGER, headers={"X-Forwarded-Host": "evil.example"})
    TrustedProxyMiddleware(lambda seen: HttpResponse())(request)
    assert not any(name.startswith("HTTP_X_FORWARDED_") for name in request.META)


@pytest.mark.django_db
@pytest.mark.parametrize("sent", ["abc", "A.b_c-9", "x" * 64])
def test_a_clients_own_request_id_comes_back(sent: str) -> None:
    assert Client().get(HEALTH, headers={"X-Request-ID": sent})["X-Request-ID"] == sent


@pytest.mark.django_db
@pytest.mark.parametrize("sent", ["", "x" * 65, "a b", "a\x7f", 'a"b', "é", "a\n", "<script>"])
def test_an_unfit_request_id_is_replaced(sent: str) -> None:
    answered = Client().get(HEALTH, headers={"X-Request-ID": sent})["X-Request-ID"]
    assert re.fullmatch(r"[0-9a-f]{32}", answered)


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/api/v1/targets", "/api/nothing", "/api/v1/runs/1"])
def test_a_problem_names_its_request(path: str) -> None:
    response = Client().get(path, headers={"X-Request-ID": "mine"})
    assert problem_of(response, response.status_code)["request_id"] == response["X-Request-ID"] == "mine"


def test_log_lines_name_the_request_while_it_is_answered() -> None:
    lines = []
    record = logging.LogRecord("access", logging.INFO, __file__, 1, "x", (), None)

    def view(request: HttpRequest) -> HttpResponse:
        lines.append(LineFormatter().format(record))
        return HttpResponse()

    RequestIdMiddleware(view)(RequestFactory().get("/", headers={"X-Request-ID": "mine"}))
    assert lines[0].endswith(" request_id=mine")
    assert "request_id" not in LineFormatter().format(record)


def test_the_id_is_forgotten_also_after_an_error() -> None:
    def view(request: HttpRequest) -> HttpResponse:
        raise KeyError

    with pytest.raises(KeyError):
        RequestIdMiddleware(view)(RequestFactory().get("/"))
    assert current_request_id() == ""
