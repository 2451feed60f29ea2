"""/runs: what was intended and what became of it."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from access.models import Scope
from runs.filters import RunFilters
from runs.models import Run
from runs.serializers import ResolveSerializer, RunDetailSerializer, RunSerializer
from runs.services import cancel_run, replay_run, resolve_run
from scheduler_project.audit_trail import note_done
from scheduler_project.created import created_response
from scheduler_project.empty_body import NothingSerializer, expect_no_fields
from scheduler_project.idempotent import idempotent
from scheduler_project.pagination import NewestFirst
from scheduler_project.resource import ResourceViewSet
from schedules.clock import database_now


class RunViewSet(ListModelMixin, ResourceViewSet):
    """Runs: one row per nominal time, whatever became of it."""

    queryset = Run.objects.all()
    serializer_class = RunSerializer
    pagination_class = NewestFirst
    filter_backends = (RunFilters,)
    required_scopes: ClassVar[dict[str, str]] = dict.fromkeys(("cancel", "replay", "resolve"), Scope.RUN)

    @extend_schema(responses=RunDetailSerializer)
    def retrieve(self, request: Request, /, **kwargs: Any) -> Response:
        """One run with its attempts, in their order."""
        run = Run.objects.prefetch_related("attempts").get(pk=self.path_id)
        return Response(RunDetailSerializer(run).data)

    @extend_schema(request=NothingSerializer, responses=RunSerializer)
    @action(detail=True, methods=["post"])
    @idempotent
    def cancel(self, request: Request, /, **kwargs: Any) -> Response:
        """Cancel a run that waits for its first or next attempt."""
        expect_no_fields(request)
        run = cancel_run(run_id=self.path_id, now=database_now())
        note_done("cancel", run)
        return Response(RunSerializer(run).data)

    @extend_schema(request=NothingSerializer, responses={202: RunSerializer})
    @action(detail=True, methods=["post"])
    @idempotent
    def replay(self, request: Request, /, **kwargs: Any) -> Response:
        """Repeat a run that has ended, with the target as it is now."""
        expect_no_fields(request)
        run = replay_run(run_id=self.path_id, now=database_now())
        note_done("replay", run, detail=f"of run {run.replay_of}")
        return created_response(request, RunSerializer(run).data, route="run-detail", created_id=run.id, status=202)

    @extend_schema(request=ResolveSerializer, responses=RunSerializer)
    @action(detail=True, methods=["post"])
    @idempotent
    def resolve(self, request: Request, /, **kwargs: Any) -> Response:
        """Mark a failed run as dealt with: `dead=true` no longer lists it."""
        sent = ResolveSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        note = sent.validated_data["note"]
        run = resolve_run(run_id=self.path_id, note=note, now=database_now())
        note_done("resolve", run, detail=note)
        return Response(RunSerializer(run).data)
