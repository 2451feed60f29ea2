"""Run and Attempt: what was intended, and each HTTP try of it; and the rollups that metrics read."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from runs.outcome import ErrorType
from runs.querysets import RunQuerySet, VisibleRuns
from schedules.models import Schedule
from targets.counted import counted
from targets.models import Target


class Trigger(models.TextChoices):
    """Why a Run exists."""

    SCHEDULE = "schedule"
    MANUAL = "manual"
    REPLAY = "replay"
    BACKFILL = "backfill"
    TEST = "test"


class RunStatus(models.TextChoices):
    """Where a Run is in its life; runs.lifecycle names the arrows."""

    PENDING = "pending"
    RUNNING = "running"
    RETRYING = "retrying"
    SUCCESS = "success"
    FAILED = "failed"
    TIMEOUT = "timeout"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


ACTIVE_STATUSES = (RunStatus.PENDING, RunStatus.RUNNING, RunStatus.RETRYING)
FINAL_STATUSES = tuple(status for status in RunStatus if status not in ACTIVE_STATUSES)
DEAD_STATUSES = (RunStatus.FAILED, RunStatus.TIMEOUT)
ERROR_CHOICES = [(error.value, error.value) for error in ErrorType]
_ACTIVE = Q(status__in=ACTIVE_STATUSES)
_WAITING = Q(status__in=(RunStatus.PENDING, RunStatus.RETRYING))


class Run(models.Model):
    """One intended call: one row per nominal time, whatever became of it. The id is also the idempotency key."""

    id = models.UUIDField(primary_key=True, editable=False)
    schedule = models.ForeignKey(Schedule, null=True, on_delete=models.DO_NOTHING, related_name="runs", db_index=False)
    # Not checked by the database: each check locks the target's row, for which all Runs of all workers would queue.
    # Who inserts a Run holds the lock of its schedule, of the Run that it repeats, or of the target.
    target = models.ForeignKey(
        Target, on_delete=models.DO_NOTHING, related_name="runs", db_index=False, db_constraint=False
    )
    trigger = models.CharField(max_length=8, choices=Trigger)
    status = models.CharField(max_length=9, choices=RunStatus)
    reason = models.CharField(max_length=32, default="", blank=True)
    missed_ticks = models.PositiveIntegerField(default=0)
    # Waits until no earlier Run of its schedule is active (overlap_policy queue).
    queued = models.BooleanField(default=False)
    scheduled_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    completed_at = models.DateTimeField(null=True)
    next_attempt_at = models.DateTimeField(null=True)
    attempt_count = models.PositiveIntegerField(default=0)
    final_status_code = models.PositiveSmallIntegerField(null=True)
    final_error_type = models.CharField(max_length=20, choices=ERROR_CHOICES, default=ErrorType.NONE.value)
    final_error_message = models.CharField(max_length=1000, default="", blank=True)
    replay_of = models.UUIDField(null=True)
    resolved_at = models.DateTimeField(null=True)
    resolved_note = models.CharField(max_length=1000, default="", blank=True)
    created_at = models.DateTimeField()
    # The fence: raised by every claim and rescue, so that a late writer's token no longer matches.
    token = models.PositiveBigIntegerField(default=0)
    # WorkerProcess.id of the holder while running; no foreign key: "row missing" means dead.
    worker_id = models.UUIDField(null=True)

    objects = VisibleRuns()
    with_deleted = RunQuerySet.as_manager()

    class Meta:
        base_manager_name = "with_deleted"
        ordering = ("-id",)
        indexes = [
            # RunQuerySet.lock_ready and .next_ready_at
            models.Index(fields=["next_attempt_at", "id"], name="run_ready", condition=_WAITING),
            # RunQuerySet.lock_held_by and .holders
            models.Index(fields=["worker_id"], name="run_held", condition=Q(status=RunStatus.RUNNING)),
            # RunQuerySet.active_per_schedule, and the predecessors of a queued Run
            models.Index(fields=["schedule", "id"], name="run_active_of_schedule", condition=_ACTIVE),
            # RunViewSet.list by schedule, by target, by time, by ended status, by error
            models.Index(fields=["schedule", "-id"], name="run_of_schedule"),
            models.Index(fields=["target", "-id"], name="run_of_target"),
            models.Index(fields=["scheduled_at"], name="run_scheduled_at"),
            models.Index(
                fields=["status", "-id"], name="run_ended_badly", condition=~_ACTIVE & ~Q(status=RunStatus.SUCCESS)
            ),
            models.Index(
                fields=["final_error_type", "-id"],
                name="run_error",
                condition=~Q(final_error_type=ErrorType.NONE.value),
            ),
            # RunViewSet.list by trigger: the few among a million that no tick made
            models.Index(fields=["trigger", "-id"], name="run_not_by_schedule", condition=~Q(trigger=Trigger.SCHEDULE)),
            # runs.prune.Sweep: oldest ended first, status by status
            models.Index(
                fields=["status", "completed_at", "id"], name="run_ended", condition=Q(completed_at__isnull=False)
            ),
        ]
        constraints = [
            models.CheckConstraint(name="run_status_known", condition=Q(status__in=RunStatus.values)),
            models.CheckConstraint(
                name="run_ended_iff_final",
                condition=(_ACTIVE & Q(completed_at__isnull=True)) | (~_ACTIVE & Q(completed_at__isnull=False)),
            ),
            models.CheckConstraint(
                name="run_waiting_has_moment",
                condition=(_WAITING & Q(next_attempt_at__isnull=False)) | (~_WAITING & Q(next_attempt_at__isnull=True)),
            ),
            models.CheckConstraint(
                name="run_running_has_holder",
                condition=Q(status=RunStatus.RUNNING, worker_id__isnull=False)
                | (~Q(status=RunStatus.RUNNING) & Q(worker_id__isnull=True)),
            ),
            models.CheckConstraint(
                # The replay of a test call has no schedule either.
                name="run_schedule_unless_test",
                condition=Q(trigger__in=(Trigger.TEST, Trigger.REPLAY)) | Q(schedule__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def idempotency_key(self) -> str:
        """The value of the Idempotency-Key header on every attempt of this Run."""
        return str(self.id)

    @property
    def is_deleted(self) -> bool:
        """Whether the Run belongs to a tombstone: it ends unseen and uncounted."""
        return self.target.deleted_at is not None or (
            self.schedule is not None and self.schedule.deleted_at is not None
        )

    @property
    def retry_terms(self) -> tuple[int, float, float] | None:
        """Retries, first and longest delay of the schedule as it is now; None without a schedule."""
        schedule = self.schedule
        if schedule is None:
            return None
        return schedule.max_retries, schedule.retry_delay_seconds, schedule.max_retry_delay_seconds


class Attempt(models.Model):
    """One HTTP try. Open (`completed_at` is null) from the claim to the record: the open row is the claim ticket."""

    id = models.UUIDField(primary_key=True, editable=False)
    # Not checked by the database: who inserts an Attempt has changed its Run in the same transaction.
    run = models.ForeignKey(
        Run, on_delete=models.DO_NOTHING, related_name="attempts", db_index=False, db_constraint=False
    )
    attempt_number = models.PositiveIntegerField()
    token = models.PositiveBigIntegerField()
    worker_id = models.UUIDField()
    request_url = models.TextField()
    request_method = models.CharField(max_length=7)
    request_headers = models.JSONField(default=dict)
    request_body = models.TextField(null=True)  # noqa: DJ001 - null is "no body", "" is an empty one
    started_at = models.DateTimeField()
    completed_at = models.DateTimeField(null=True)
    latency_ms = models.FloatField(null=True)
    status_code = models.PositiveSmallIntegerField(null=True)
    response_headers = models.JSONField(default=dict)
    response_body = models.TextField(default="", blank=True)
    response_truncated = models.BooleanField(default=False)
    response_size_bytes = models.PositiveBigIntegerField(null=True)
    error_type = models.CharField(max_length=20, choices=ERROR_CHOICES, default=ErrorType.NONE.value)
    error_message = models.CharField(max_length=1000, default="", blank=True)
    fenced = models.BooleanField(default=False)
    timings = models.JSONField(default=dict)
    remote_ip = models.GenericIPAddressField(null=True)
    # When retention emptied the bodies: tells a cleared body from one that never was.
    bodies_cleared_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ("attempt_number",)
        indexes = [
            # runs.prune.old_bodies
            models.Index(
                fields=["completed_at"],
                name="attempt_with_bodies",
                condition=Q(response_body__gt="") | Q(request_body__gt=""),
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["run", "attempt_number"], name="attempt_number_unique"),
            models.UniqueConstraint(fields=["run"], name="attempt_one_open", condition=Q(completed_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.run_id} attempt {self.attempt_number}"


class MinuteRollup(models.Model):
    """A counter per minute, written in the transaction that ends the Runs it counts.

    `kind` is one of status, error, latency, lateness; `label` is a status, an error type, or the upper bound of a
    histogram bucket in seconds (`inf` for the last). Minutes older than the metrics window are folded into the
    row whose `minute` is the epoch, so that totals stay exact and the table stays small.
    """

    id = models.BigAutoField(primary_key=True)
    minute = models.DateTimeField()
    kind = models.CharField(max_length=8)
    label = models.CharField(max_length=20)
    # Spreads concurrent writers over several rows, so that they don't wait for each other.
    shard = models.PositiveSmallIntegerField()
    count = models.PositiveBigIntegerField(default=0)
    # Sum of the observed values in seconds (latency, lateness), else 0.
    total = models.FloatField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["minute", "kind", "label", "shard"], name="rollup_cell_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.minute} {self.kind} {self.label}: {self.count}"


class ScheduleRollup(models.Model):
    """What became of a schedule's Runs, ever."""

    schedule = models.OneToOneField(Schedule, primary_key=True, on_delete=models.DO_NOTHING, related_name="rollup")
    total_runs = models.PositiveBigIntegerField(default=0)
    successful_runs = models.PositiveBigIntegerField(default=0)
    failed_runs = models.PositiveBigIntegerField(default=0)
    timeout_runs = models.PositiveBigIntegerField(default=0)
    latency_count = models.PositiveBigIntegerField(default=0)
    latency_total_ms = models.FloatField(default=0)
    last_run_at = models.DateTimeField(null=True)
    last_status = models.CharField(max_length=9, default="", blank=True)
    last_error_type = models.CharField(max_length=20, default=ErrorType.NONE.value)

    class Meta:
        indexes = [
            # runs.schedule_figures.schedules_by_failures: most failures first
            models.Index(
                models.F("failed_runs") + models.F("timeout_runs"), "schedule", name="schedule_rollup_failures"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.schedule_id}: {counted(self.total_runs, 'run')}"
