"""WorkerProcess: who is alive. The row's lease covers every Run that the worker holds."""

from __future__ import annotations

import uuid

from django.db import models


class ProcessKind(models.TextChoices):
    """What kind of process holds Runs."""

    WORKER = "worker"
    # The web process for the length of one test call.
    WEB = "web"


class WorkerProcess(models.Model):
    """One process that may hold Runs. A new id at each start; the row goes at clean exit; row missing means dead."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=6, choices=ProcessKind, default=ProcessKind.WORKER)
    hostname = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    seats = models.PositiveIntegerField()
    draining = models.BooleanField(default=False)
    started_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    lease_until = models.DateTimeField()

    class Meta:
        verbose_name = "worker"
        ordering = ("started_at", "id")
        indexes = [models.Index(fields=["lease_until"], name="worker_lease")]

    def __str__(self) -> str:
        return f"{self.hostname}:{self.pid}"
