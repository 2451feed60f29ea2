"""Workers in the admin: who is alive."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from scheduler_project.admin_parts import badge
from schedules.clock import database_now
from worker.models import WorkerProcess


@admin.register(WorkerProcess)
class WorkerProcessAdmin(admin.ModelAdmin[WorkerProcess]):
    """Processes write their own rows."""

    list_display = ("hostname", "pid", "state", "seats", "started_at", "last_seen_at", "lease_until")
    fields = ("id", "kind", "hostname", "pid", "seats", "draining", "started_at", "last_seen_at", "lease_until")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Started on the command line."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: WorkerProcess | None = None) -> bool:
        """Never by hand."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: WorkerProcess | None = None) -> bool:
        """Dead ones are removed by the living."""
        return False

    @admin.display(description="State")
    def state(self, worker: WorkerProcess) -> str:
        """Live, stopping, or dead."""
        if worker.lease_until < database_now():
            return badge("stale")
        return badge("draining" if worker.draining else "live")
