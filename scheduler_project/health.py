"""GET /health: does the service do its work? For load balancers, container health checks and alarms."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any

from django.conf import settings
from django.db import Error as DatabaseError
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from scheduler_project.any_accept import AnyAccept
from scheduler_project.bounded_probe import BoundedProbe
from scheduler_project.live_state import LiveState, read_live_state
from scheduler_project.problems import DATABASE_RETRY_SECONDS
from scheduler_project.strict_fields import MomentField


class Health(StrEnum):
    """One word for the whole service."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


def judge(state: LiveState | None, *, overdue_after: float) -> Health:
    """Health from what is known; None means that the database doesn't answer.

    Unhealthy: the database is away, or work has been due for more than `overdue_after` seconds and no worker is live.
    Degraded: it is overdue although workers live, a worker is stale, or none is live but nothing is overdue (yet).
    """
    if state is None:
        return Health.UNHEALTHY
    overdue = state.queue.oldest_due_seconds > overdue_after
    if not state.workers.live:
        return Health.UNHEALTHY if overdue else Health.DEGRADED
    return Health.DEGRADED if overdue or state.workers.stale else Health.HEALTHY


class HealthWorkersSerializer(serializers.Serializer[Any]):
    """Worker processes; null while the database is away."""

    live = serializers.IntegerField(allow_null=True, help_text="Workers whose lease is valid.")
    stale = serializers.IntegerField(allow_null=True, help_text="Workers whose lease ran out, not cleared away yet.")


class HealthSerializer(serializers.Serializer[Any]):
    """The body of GET /health."""

    status = serializers.ChoiceField(choices=[health.value for health in Health])
    timestamp = MomentField(help_text="When the answer was given.")
    database = serializers.ChoiceField(choices=["ok", "unavailable"])
    workers = HealthWorkersSerializer()
    oldest_due_seconds = serializers.FloatField(
        allow_null=True,
        help_text="How long the longest waiting run or tick has been due; null while the database is away.",
    )


class HealthView(APIView):
    """Answers everybody, unthrottled, within two seconds, whether the database is there or not."""

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()
    content_negotiation_class = AnyAccept
    probe: Callable[[], LiveState] = BoundedProbe(read_live_state)

    @extend_schema(
        operation_id="health",
        summary="Is the service doing its work?",
        description=(
            "`healthy`: a worker is live and nothing is overdue. `degraded`: no worker is live yet nothing is overdue, "
            "or a worker is stale, or work is overdue although workers live. `unhealthy` (503): the database is away, "
            "or work is overdue and no worker is live. Overdue means due for longer than `WORKER_LEASE_SECONDS`. "
            "The answer is at most one second old."
        ),
        auth=[],
        responses={200: HealthSerializer, 503: HealthSerializer},
    )
    def get(self, request: Request) -> Response:
        """Judge what the probe found."""
        try:
            state = self.probe()
        except (DatabaseError, TimeoutError):
            state = None
        health = judge(state, overdue_after=settings.WORKER_LEASE_SECONDS)
        workers = state and state.workers
        body = {
            "status": health,
            "timestamp": timezone.now(),
            "database": "ok" if state else "unavailable",
            "workers": {"live": workers and workers.live, "stale": workers and workers.stale},
            "oldest_due_seconds": state and state.queue.oldest_due_seconds,
        }
        headers = {"Cache-Control": "no-store"}
        if state is None:
            headers["Retry-After"] = str(DATABASE_RETRY_SECONDS)
        status = 503 if health is Health.UNHEALTHY else 200
        return Response(HealthSerializer(body).data, status=status, headers=headers)
