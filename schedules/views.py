"""/schedules: when to call, and what a schedule has done and will do."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from django.db import transaction
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from access.models import Scope
from runs.explain import explain
from runs.serializers import ExplanationSerializer, RunSerializer
from runs.services import run_now
from scheduler_project.audit_trail import Watch, note_created, note_done, note_gone, note_updated
from scheduler_project.created import created_response
from scheduler_project.empty_body import NothingSerializer, expect_no_fields
from scheduler_project.etags import etag_of, if_match_check
from scheduler_project.idempotent import idempotent
from scheduler_project.list_filters import refuse_other_parameters
from scheduler_project.problems import bad_fields, bad_query
from scheduler_project.query import read_integer, read_moment
from scheduler_project.resource import ResourceViewSet
from scheduler_project.schedule_cap import make_room, note_maker
from schedules.clock import database_now
from schedules.drafts import USER_FIELDS
from schedules.filters import ScheduleFilters
from schedules.models import Schedule
from schedules.preview import preview_draft, preview_saved
from schedules.serializers import (
    DEFAULT_PREVIEWED,
    MOST_PREVIEWED,
    DraftSerializer,
    PauseSerializer,
    PreviewSerializer,
    ScheduleSerializer,
)
from schedules.services import create_schedule, delete_schedule, pause_schedule, resume_schedule, update_schedule

PREVIEW_FIRST = datetime(1970, 1, 1, tzinfo=UTC)
PREVIEW_END = datetime(2101, 1, 1, tzinfo=UTC)
PREVIEW_YEARS = "Must lie in the years 1970 to 2100."
FROM = OpenApiParameter("from", datetime, description="Fires strictly later than this (1970-2100); default now.")
COUNT = OpenApiParameter("count", int, description=f"1 to {MOST_PREVIEWED}, default {DEFAULT_PREVIEWED}.")
AT = OpenApiParameter("at", datetime, required=True, description="The moment; a whole second means all of it.")


def schedule_etag(schedule: Schedule) -> str:
    """The version of what users wrote: nothing that a worker writes changes it."""
    return etag_of({name: getattr(schedule, name) for name in USER_FIELDS}, USER_FIELDS)


def _read(serializer: Any) -> dict[str, Any]:
    serializer.is_valid(raise_exception=True)
    fields: dict[str, Any] = serializer.validated_data
    return fields


def _in_preview(moment: datetime) -> bool:
    return PREVIEW_FIRST <= moment < PREVIEW_END


class ScheduleViewSet(ListModelMixin, ResourceViewSet):
    """Schedules. Deleting one takes its runs along."""

    queryset = Schedule.objects.all()
    serializer_class = ScheduleSerializer
    filter_backends = (ScheduleFilters,)
    required_scopes: ClassVar[dict[str, str]] = {"run": Scope.RUN, "preview_unsaved": Scope.READ}

    @idempotent
    def create(self, request: Request) -> Response:
        """Create a schedule; it is active at once."""
        fields = _read(self.get_serializer(data=request.data))
        make_room(request)
        schedule = create_schedule(fields=fields, now=database_now())
        note_maker(request, schedule)
        note_created(schedule)
        data, headers = self.get_serializer(schedule).data, {"ETag": schedule_etag(schedule)}
        return created_response(request, data, route="schedule-detail", created_id=schedule.id, headers=headers)

    def retrieve(self, request: Request, /, **kwargs: Any) -> Response:
        """One schedule."""
        return self._answer(Schedule.objects.get(pk=self.path_id))

    @transaction.atomic
    def partial_update(self, request: Request, /, **kwargs: Any) -> Response:
        """Change what the body names. Another `start_at` or interval moves the grid."""
        changes = _read(self.get_serializer(data=request.data, partial=True))
        watch = Watch(if_match_check(request, schedule_etag))
        schedule = update_schedule(schedule_id=self.path_id, changes=changes, now=database_now(), check=watch)
        note_updated(schedule, watch.before)
        return self._answer(schedule)

    @transaction.atomic
    def destroy(self, request: Request, /, **kwargs: Any) -> Response:
        """Delete a schedule and its runs. They are out of sight at once."""
        watch = Watch(if_match_check(request, schedule_etag))
        delete_schedule(schedule_id=self.path_id, now=database_now(), check=watch)
        note_gone(watch.thing)
        return Response(status=204)

    @extend_schema(request=PauseSerializer, responses=ScheduleSerializer)
    @action(detail=True, methods=["post"])
    @idempotent
    def pause(self, request: Request, /, **kwargs: Any) -> Response:
        """Stop new fires. Runs that exist go on; cancel them singly."""
        reason = _read(PauseSerializer(data=request.data))["reason"]
        schedule = pause_schedule(schedule_id=self.path_id, now=database_now(), reason=reason)
        note_done("pause", schedule, detail=reason)
        return self._answer(schedule)

    @extend_schema(request=NothingSerializer, responses=ScheduleSerializer)
    @action(detail=True, methods=["post"])
    @idempotent
    def resume(self, request: Request, /, **kwargs: Any) -> Response:
        """Go on at the next nominal time after now, on the same grid."""
        expect_no_fields(request)
        schedule = resume_schedule(schedule_id=self.path_id, now=database_now())
        note_done("resume", schedule)
        return self._answer(schedule)

    @extend_schema(request=NothingSerializer, responses={202: RunSerializer})
    @action(detail=True, methods=["post"])
    @idempotent
    def run(self, request: Request, /, **kwargs: Any) -> Response:
        """Run it now, in any status, whatever its overlap policy and max_runs say."""
        expect_no_fields(request)
        run = run_now(schedule_id=self.path_id, now=database_now())
        note_done("run", run.schedule or run, detail=f"run {run.id}")
        return created_response(request, RunSerializer(run).data, route="run-detail", created_id=run.id, status=202)

    @extend_schema(parameters=[COUNT, FROM], responses=PreviewSerializer, filters=False)
    @action(detail=True, methods=["get"], filter_backends=(), pagination_class=None)
    def preview(self, request: Request, /, **kwargs: Any) -> Response:
        """The next nominal times. Start, end and remaining max_runs count; jitter and status don't."""
        refuse_other_parameters(request, ("count", "from"))
        schedule = Schedule.objects.get(pk=self.path_id)
        count = read_integer(request, "count", DEFAULT_PREVIEWED, low=1, high=MOST_PREVIEWED)
        after = read_moment(request, "from") or database_now()
        if not _in_preview(after):
            raise bad_query("from", PREVIEW_YEARS)
        fires = preview_saved(schedule, after=after, count=count)
        return Response(PreviewSerializer({"results": fires}).data)

    @extend_schema(request=DraftSerializer, responses=PreviewSerializer)
    @action(detail=False, methods=["post"], url_path="preview")
    @idempotent
    def preview_unsaved(self, request: Request) -> Response:
        """The nominal times of a schedule that isn't saved; without `start_at` it starts at `from`."""
        fields = _read(DraftSerializer(data=request.data))
        now, count = database_now(), fields.pop("count")
        after = fields.pop("from", now)
        if not _in_preview(after):
            raise bad_fields({"from": PREVIEW_YEARS})
        fires = preview_draft(fields, after=after, count=count, now=now)
        return Response(PreviewSerializer({"results": fires}).data)

    @extend_schema(parameters=[AT], responses=ExplanationSerializer, filters=False)
    @action(detail=True, methods=["get"], filter_backends=(), pagination_class=None)
    def explain(self, request: Request, /, **kwargs: Any) -> Response:
        """Why the schedule did, or did not, run at a moment."""
        refuse_other_parameters(request, ("at",))
        schedule = Schedule.objects.get(pk=self.path_id)
        at = read_moment(request, "at")
        if at is None:
            raise bad_query("at", "Is required: the moment to explain.", "required")
        return Response(ExplanationSerializer(explain(schedule=schedule, at=at, now=database_now())).data)

    def _answer(self, schedule: Schedule) -> Response:
        return Response(self.get_serializer(schedule).data, headers={"ETag": schedule_etag(schedule)})
