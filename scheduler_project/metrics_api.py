"""GET /metrics for programs and GET /metrics/prometheus for a scraper. Both read the same model, in few queries."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from runs.metrics import read_history, read_inventory, read_queue
from runs.schedule_figures import ScheduleFigures, figures_of, schedules_by_failures
from scheduler_project.any_accept import AnyAccept
from scheduler_project.live_state import read_workers
from scheduler_project.prometheus import CONTENT_TYPE, exposition, families
from scheduler_project.query import read_uuid
from scheduler_project.strict_fields import MomentField
from schedules.clock import database_now
from schedules.models import ScheduleStatus

RATE_HELP = "Successful runs in percent of those tried; 0 where none was."


def _count(help_text: str) -> serializers.IntegerField:
    return serializers.IntegerField(help_text=help_text)


def _milliseconds(help_text: str) -> serializers.FloatField:
    return serializers.FloatField(help_text=f"{help_text}, of a run's last attempt, in milliseconds; 0 without any.")


class QueueSerializer(serializers.Serializer[Any]):
    """Runs that have not ended."""

    pending = _count("Waiting for the first attempt.")
    running = _count("An attempt is on its way.")
    retrying = _count("Waiting for a further attempt.")
    oldest_due_seconds = serializers.FloatField(help_text="How long the longest waiting run or tick has been due.")


class WorkersSerializer(serializers.Serializer[Any]):
    """Worker processes."""

    live = _count("Workers whose lease is valid.")
    stale = _count("Workers whose lease ran out, not cleared away yet.")


class ScheduleFiguresSerializer(serializers.Serializer[ScheduleFigures]):
    """What became of one schedule's runs, ever."""

    schedule_id = serializers.UUIDField()
    schedule_name = serializers.CharField()
    total_runs = _count("Runs that ended; skipped and cancelled ones are counted here only.")
    successful_runs = _count("Runs that ended with success.")
    failed_runs = _count("Runs that finally failed, other than by time-out.")
    timeout_runs = _count("Runs whose last attempt timed out.")
    success_rate = serializers.FloatField(help_text=RATE_HELP)
    avg_latency_ms = _milliseconds("Average duration")
    last_run_at = MomentField(allow_null=True, help_text="When the last run that was tried started.")


class MetricsSerializer(serializers.Serializer[Any]):
    """The body of GET /metrics."""

    total_targets = _count("Targets that are not deleted.")
    total_schedules = _count("Schedules that are not deleted.")
    active_schedules = _count("Of these, active ones.")
    paused_schedules = _count("Of these, paused ones.")
    total_runs = _count("Runs that ended, whatever their final status, ever, kept or purged.")
    runs_last_hour = _count("Of these, in the last hour.")
    runs_last_24h = _count("Of these, in the last 24 hours.")
    success_rate_24h = serializers.FloatField(help_text=RATE_HELP)
    avg_latency_24h_ms = _milliseconds("Average duration")
    p50_latency_24h_ms = _milliseconds("Median duration, estimated from a histogram")
    p95_latency_24h_ms = _milliseconds("95th percentile of the duration, estimated from a histogram")
    error_breakdown_24h = serializers.DictField(
        child=serializers.IntegerField(), help_text="Runs that ended with an error, by error type; those that occurred."
    )
    queue = QueueSerializer()
    workers = WorkersSerializer()
    schedules = ScheduleFiguresSerializer(
        many=True, help_text="At most 100, most failures first; or the one asked for."
    )


def _metrics(now: datetime, schedules: list[ScheduleFigures]) -> dict[str, Any]:
    history, inventory = read_history(now), read_inventory()
    day = history.last_day
    return {
        "total_targets": inventory.targets,
        "total_schedules": sum(inventory.schedules.values()),
        "active_schedules": inventory.schedules[ScheduleStatus.ACTIVE],
        "paused_schedules": inventory.schedules[ScheduleStatus.PAUSED],
        "total_runs": history.ever.ended,
        "runs_last_hour": history.last_hour.ended,
        "runs_last_24h": day.ended,
        "success_rate_24h": day.success_rate,
        "avg_latency_24h_ms": round(day.latency.mean * 1000, 2),
        "p50_latency_24h_ms": round(day.latency.percentile(50) * 1000, 2),
        "p95_latency_24h_ms": round(day.latency.percentile(95) * 1000, 2),
        "error_breakdown_24h": {error: count for error, count in day.errors.items() if count},
        "queue": read_queue(now),
        "workers": read_workers(now),
        "schedules": schedules,
    }


class MetricsView(APIView):
    """The numbers of the service as JSON."""

    @extend_schema(
        operation_id="metrics",
        summary="Totals, the last 24 hours, the queue, the workers, and schedules by failures",
        description=(
            "Windows start at a full minute, so they are up to a minute longer than their name says. "
            "Rates are percentages."
        ),
        parameters=[
            OpenApiParameter("schedule_id", OpenApiTypes.UUID, description="Only this schedule in `schedules`.")
        ],
        responses=MetricsSerializer,
    )
    def get(self, request: Request) -> Response:
        """Read everything at one moment of the database's clock."""
        schedule_id = read_uuid(request, "schedule_id")
        schedules = [figures_of(schedule_id)] if schedule_id else schedules_by_failures()
        return Response(MetricsSerializer(_metrics(database_now(), schedules)).data)


class PrometheusView(APIView):
    """The numbers of the service and of the web process, to scrape."""

    # Scrapers prefer OpenMetrics, and get the plain text format, which all of them read.
    content_negotiation_class = AnyAccept

    @extend_schema(
        operation_id="metrics_prometheus",
        summary="The same numbers, and the web process' own, in Prometheus' text format",
        description="Counters and histograms are totals of all time; they outlive restarts and purged runs.",
        responses={(200, "text/plain"): OpenApiTypes.STR},
    )
    def get(self, request: Request) -> HttpResponse:
        """Read everything at one moment of the database's clock."""
        now = database_now()
        ours = families(
            ever=read_history(now).ever,
            inventory=read_inventory(),
            queue=read_queue(now),
            workers=read_workers(now),
        )
        return HttpResponse(exposition(ours), content_type=CONTENT_TYPE)
