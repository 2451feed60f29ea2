"""Workers in the admin: who is alive."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from scheduler_project.admin_cells import badge, moment
from scheduler_project.admin_lists import ReadOnly
from schedules.clock import database_now
from worker.models import WorkerProcess


@admin.register(WorkerProcess)
class WorkerProcessAdmin(ReadOnly[WorkerProcess]):
    """Processes write their own rows."""

    list_display = ("process", "state", "seats", "started", "seen")
    sortable_by = ()
    fields = ("process", "state", "kind", "seats", "started", "seen", "leased_until", "id")

    def get_queryset(self, request: HttpRequest) -> QuerySet[WorkerProcess]:
        """With who is alive, judged once for all by the database's clock."""
        return super().get_queryset(request).annotate(is_live=Q(lease_until__gte=database_now()))

    @admin.display(description="Process")
    def process(self, worker: WorkerProcess) -> str:
        """Host and process id."""
        return f"{worker.hostname}, process {worker.pid}"

    @admin.display(description="State")
    def state(self, worker: WorkerProcess) -> str:
        """Live, stopping, or no longer seen; in the words of the metrics."""
        if not getattr(worker, "is_live"):  # noqa: B009 - annotated by get_queryset
            return badge("stale")
        return badge("draining" if worker.draining else "live")

    @admin.display(description="Started at")
    def started(self, worker: WorkerProcess) -> str:
        """When the process came up."""
        return moment(worker.started_at)

    @admin.display(description="Last seen")
    def seen(self, worker: WorkerProcess) -> str:
        """Its last heartbeat."""
        return moment(worker.last_seen_at)

    @admin.display(description="Lease until")
    def leased_until(self, worker: WorkerProcess) -> str:
        """When the others take it for dead unless it is seen again."""
        return moment(worker.lease_until)
