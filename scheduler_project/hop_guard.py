"""A schedule can't drive the scheduler that calls it: loops end at the first hop (guarantee D12)."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase
from rest_framework.permissions import SAFE_METHODS

from scheduler_project.problems import FieldError, problem_response

# On every request that a worker sends; a target can't take it out (targets.header_rules).
HOP_HEADER = "X-Scheduler-Run-Id"
_DETAIL = (
    "This is a call made by a scheduler, and such calls may read here but change nothing: "
    "a schedule that changes schedules could set itself off without end."
)


class HopGuardMiddleware:
    """Answers 403 to whatever a worker's call wants to change. Reading stays open: a schedule may watch /health."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """The answer, or the refusal."""
        if request.method in SAFE_METHODS or HOP_HEADER not in request.headers:
            return self._get_response(request)
        return problem_response(403, _DETAIL, [FieldError(f"{HOP_HEADER}:", "loop", _DETAIL)])
