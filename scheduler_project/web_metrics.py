"""Counts web requests for Prometheus without letting a request choose the labels."""

from __future__ import annotations

import re
from typing import Any

from django.http import HttpRequest
from django_prometheus.middleware import PrometheusAfterMiddleware

LENGTH = re.compile(r"[0-9]{1,18}", re.ASCII)


class WebMetricsMiddleware(PrometheusAfterMiddleware):  # type: ignore[misc] # the library has no types
    """django-prometheus' middleware, safe against hostile requests.

    The original labels latencies with the method as sent, so that made-up methods would add series for ever, and it
    fails on a Content-Length that is no number.
    """

    def label_metric(self, metric: Any, request: HttpRequest, response: Any = None, **labels: str) -> Any:
        """The metric's child for `labels`; methods that HTTP doesn't know share one."""
        if "method" in labels:
            labels["method"] = self._method(request)
        return super().label_metric(metric, request, response, **labels)

    def process_request(self, request: HttpRequest) -> None:
        """Count the request; one whose length can't be read counts as empty."""
        if not LENGTH.fullmatch(request.META.get("CONTENT_LENGTH") or "0"):
            request.META["CONTENT_LENGTH"] = ""
        super().process_request(request)
