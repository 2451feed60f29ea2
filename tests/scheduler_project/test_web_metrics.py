from __future__ import annotations

from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from prometheus_client import REGISTRY

from scheduler_project.web_metrics import WebMetricsMiddleware


def send(**environ: Any) -> HttpResponse:
    """One request through the middleware."""

    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse(b"fine")

    response: HttpResponse = WebMetricsMiddleware(view)(RequestFactory().generic(path="/", **environ))
    return response


def methods_in_labels() -> set[str]:
    return {
        sample.labels["method"]
        for family in REGISTRY.collect()
        for sample in family.samples
        if family.name.startswith("django_http") and "method" in sample.labels
    }


@pytest.mark.parametrize("method", ["BREW", "GETS", "X" * 1000])
def test_made_up_methods_share_one_series(method: str) -> None:
    send(method=method)
    assert method not in methods_in_labels()
    assert "<invalid method>" in methods_in_labels()


def test_a_known_method_has_its_own_series() -> None:
    send(method="PATCH")
    assert "PATCH" in methods_in_labels()


@pytest.mark.parametrize("length", ["abc", "-1", "1e3", "٣", "", "9" * 400])
def test_a_length_that_is_no_number_does_not_break_the_answer(length: str) -> None:
    assert send(method="POST", CONTENT_LENGTH=length).status_code == 200


def test_the_length_of_a_body_is_observed() -> None:
    def observed() -> float:
        return REGISTRY.get_sample_value("django_http_requests_body_total_bytes_sum") or 0

    before = observed()
    send(method="POST", CONTENT_LENGTH="123")
    assert observed() - before == 123
