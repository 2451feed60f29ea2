"""/targets: what to call."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from access.models import Scope
from runs.models import Run
from runs.serializers import RunDetailSerializer
from scheduler_project.created import created_response
from scheduler_project.empty_body import NothingSerializer, expect_no_fields
from scheduler_project.etags import etag_of, if_match_check
from scheduler_project.idempotent import idempotent, idempotent_around_call
from scheduler_project.resource import ResourceViewSet
from schedules.clock import database_now
from targets.filters import TargetFilters
from targets.models import Target
from targets.serializers import TargetSerializer
from targets.services import USER_FIELDS, create_target, delete_target, update_target
from worker.single_call import call_target_once


def target_etag(target: Target) -> str:
    """The version of what users wrote, secrets included."""
    return etag_of({name: getattr(target, name) for name in USER_FIELDS}, USER_FIELDS)


class TargetViewSet(ListModelMixin, ResourceViewSet):
    """Targets. Deleting one takes its schedules and their runs along."""

    queryset = Target.objects.all()
    serializer_class = TargetSerializer
    filter_backends = (TargetFilters,)
    required_scopes: ClassVar[dict[str, str]] = {"test": Scope.RUN}

    @idempotent
    def create(self, request: Request) -> Response:
        """Create a target."""
        sent = self.get_serializer(data=request.data)
        sent.is_valid(raise_exception=True)
        target = create_target(fields=sent.validated_data, now=database_now())
        data, headers = self.get_serializer(target).data, {"ETag": target_etag(target)}
        return created_response(request, data, route="target-detail", created_id=target.id, headers=headers)

    def retrieve(self, request: Request, /, **kwargs: Any) -> Response:
        """One target."""
        return self._answer(Target.objects.get(pk=self.path_id))

    def partial_update(self, request: Request, /, **kwargs: Any) -> Response:
        """Change what the body names."""
        sent = self.get_serializer(data=request.data, partial=True)
        sent.is_valid(raise_exception=True)
        check = if_match_check(request, target_etag)
        changes = sent.validated_data
        return self._answer(update_target(target_id=self.path_id, changes=changes, now=database_now(), check=check))

    def destroy(self, request: Request, /, **kwargs: Any) -> Response:
        """Delete a target, its schedules and their runs. They are out of sight at once."""
        delete_target(target_id=self.path_id, now=database_now(), check=if_match_check(request, target_etag))
        return Response(status=204)

    @extend_schema(request=NothingSerializer, responses=RunDetailSerializer)
    @action(detail=True, methods=["post"])
    @idempotent_around_call
    def test(self, request: Request, /, **kwargs: Any) -> Response:
        """Call the target once, now, and wait for the result: a run without a schedule, with its attempt."""
        expect_no_fields(request)
        run_id = call_target_once(target_id=self.path_id)
        run = Run.objects.prefetch_related("attempts").get(pk=run_id)
        return Response(RunDetailSerializer(run).data)

    def _answer(self, target: Target) -> Response:
        return Response(self.get_serializer(target).data, headers={"ETag": target_etag(target)})
