"""Schedule: when to call a target, and the pauses of that schedule."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import F, Q

from schedules.querysets import ScheduleQuerySet, VisibleSchedules
from targets.models import Target


class ScheduleType(models.TextChoices):
    """How nominal times arise."""

    INTERVAL = "interval"
    CRON = "cron"
    ONCE = "once"


class ScheduleStatus(models.TextChoices):
    """Whether new nominal times arise."""

    ACTIVE = "active"
    PAUSED = "paused"
    EXPIRED = "expired"


class CatchUp(models.TextChoices):
    """What becomes of ticks that were due while nobody looked."""

    LATEST = "latest"
    ALL = "all"
    NONE = "none"


class OverlapPolicy(models.TextChoices):
    """What becomes of a tick while an earlier Run of the schedule has not ended."""

    SKIP = "skip"
    ALLOW = "allow"
    QUEUE = "queue"


class OnWorkerLost(models.TextChoices):
    """What becomes of a Run whose worker died after its bytes may have left."""

    AUTO = "auto"
    RETRY = "retry"
    FAIL = "fail"


def _fields_of_type(schedule_type: ScheduleType, own: str) -> Q:
    others = {"interval_seconds", "cron_expression", "run_at"} - {own}
    return Q(schedule_type=schedule_type, **{f"{own}__isnull": False}, **{f"{name}__isnull": True for name in others})


class Schedule(models.Model):
    """Timing, window and policies of repeated (or single) calls to one target.

    `next_run_at`, `status`, `run_count`, `last_run_at`, `last_error` and `enqueue_failures` are written by enqueue,
    the rest by schedules.services; both write `next_run_at` and `status`, always under the row lock.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=200)
    target = models.ForeignKey(Target, on_delete=models.DO_NOTHING, related_name="schedules")
    schedule_type = models.CharField(max_length=8, choices=ScheduleType)
    interval_seconds = models.PositiveIntegerField(null=True, blank=True)
    cron_expression = models.CharField(max_length=200, null=True, blank=True)  # noqa: DJ001 - null: not a cron
    run_at = models.DateTimeField(null=True, blank=True)
    timezone = models.CharField(max_length=64)
    start_at = models.DateTimeField(null=True, blank=True)
    duration_seconds = models.PositiveBigIntegerField(null=True, blank=True)
    max_runs = models.PositiveIntegerField(null=True, blank=True)
    jitter_seconds = models.PositiveIntegerField(default=0)
    catch_up = models.CharField(max_length=6, choices=CatchUp, default=CatchUp.LATEST)
    misfire_grace_seconds = models.PositiveIntegerField()
    overlap_policy = models.CharField(max_length=5, choices=OverlapPolicy, default=OverlapPolicy.SKIP)
    max_retries = models.PositiveSmallIntegerField()
    retry_delay_seconds = models.FloatField()
    max_retry_delay_seconds = models.FloatField(default=3600)
    on_worker_lost = models.CharField(max_length=5, choices=OnWorkerLost, default=OnWorkerLost.AUTO)
    status = models.CharField(max_length=7, choices=ScheduleStatus, default=ScheduleStatus.ACTIVE)
    paused_reason = models.CharField(max_length=500, default="", blank=True)
    started_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    run_count = models.PositiveIntegerField(default=0)
    last_run_at = models.DateTimeField(null=True)
    next_run_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=500, default="", blank=True)
    enqueue_failures = models.PositiveSmallIntegerField(default=0)
    # Where computing the next fire raised, enqueue tries again at this moment; next_run_at keeps the nominal time.
    held_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    deleted_at = models.DateTimeField(null=True, editable=False)

    objects = VisibleSchedules()
    with_deleted = ScheduleQuerySet.as_manager()

    class Meta:
        base_manager_name = "with_deleted"
        ordering = ("-created_at", "-id")
        indexes = [
            # ScheduleQuerySet.lock_due and .next_to_fire
            models.Index(
                fields=["next_run_at", "id"], name="schedule_due", condition=Q(status="active", deleted_at__isnull=True)
            ),
            # ScheduleQuerySet.next_held
            models.Index(fields=["held_until"], name="schedule_held", condition=Q(held_until__isnull=False)),
            # ScheduleViewSet.list: newest first
            models.Index(fields=["-created_at", "-id"], name="schedule_newest", condition=Q(deleted_at__isnull=True)),
            # runs.maintenance.purge_deleted
            models.Index(fields=["deleted_at"], name="schedule_tombstones", condition=Q(deleted_at__isnull=False)),
        ]
        constraints = [
            models.CheckConstraint(
                name="schedule_fields_of_type",
                condition=_fields_of_type(ScheduleType.INTERVAL, "interval_seconds")
                | _fields_of_type(ScheduleType.CRON, "cron_expression")
                | _fields_of_type(ScheduleType.ONCE, "run_at"),
            ),
            models.CheckConstraint(
                name="schedule_interval_in_range",
                condition=Q(interval_seconds__isnull=True)
                | Q(interval_seconds__gte=1, interval_seconds__lte=366 * 86_400),
            ),
            models.CheckConstraint(
                name="schedule_duration_positive",
                condition=Q(duration_seconds__isnull=True) | Q(duration_seconds__gt=0),
            ),
            models.CheckConstraint(
                name="schedule_max_runs_positive", condition=Q(max_runs__isnull=True) | Q(max_runs__gt=0)
            ),
            models.CheckConstraint(
                name="schedule_ends_after_start",
                condition=Q(expires_at__isnull=True) | Q(expires_at__gte=F("started_at")),
            ),
            models.CheckConstraint(
                name="schedule_retry_delays_not_negative",
                condition=Q(retry_delay_seconds__gte=0, max_retry_delay_seconds__gte=0),
            ),
            models.CheckConstraint(
                name="schedule_active_has_next_fire",
                condition=Q(status="active", next_run_at__isnull=False)
                | Q(status__in=("paused", "expired"), next_run_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class SchedulePause(models.Model):
    """One stretch in which a schedule was paused: why no tick was due then."""

    id = models.BigAutoField(primary_key=True)
    schedule = models.ForeignKey(Schedule, on_delete=models.DO_NOTHING, related_name="pauses")
    paused_at = models.DateTimeField()
    resumed_at = models.DateTimeField(null=True)
    reason = models.CharField(max_length=500, default="", blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["schedule"], name="schedule_one_open_pause", condition=Q(resumed_at__isnull=True)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.schedule_id} paused at {self.paused_at}"
