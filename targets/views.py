"""/targets: what to call. /secrets: values that targets send and nobody reads."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Prefetch, QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from access.models import Scope
from runs.models import Run
from runs.serializers import RunDetailSerializer
from scheduler_project.audit_trail import Watch, note_created, note_done, note_gone, note_updated
from scheduler_project.created import created_response
from scheduler_project.empty_body import NothingSerializer, expect_no_fields
from scheduler_project.etags import etag_of, if_match_check
from scheduler_project.idempotent import idempotent, idempotent_around_call
from scheduler_project.resource import ResourceViewSet
from schedules.clock import database_now
from targets import secret_services
from targets.filters import SecretFilters, TargetFilters
from targets.models import Secret, SecretUse, Target
from targets.secret_services import create_secret, delete_secret, update_secret
from targets.serializers import MOST_SHOWN, SecretSerializer, TargetSerializer
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
        note_created(target)
        data, headers = self.get_serializer(target).data, {"ETag": target_etag(target)}
        return created_response(request, data, route="target-detail", created_id=target.id, headers=headers)

    def retrieve(self, request: Request, /, **kwargs: Any) -> Response:
        """One target."""
        return self._answer(Target.objects.get(pk=self.path_id))

    @transaction.atomic
    def partial_update(self, request: Request, /, **kwargs: Any) -> Response:
        """Change what the body names."""
        sent = self.get_serializer(data=request.data, partial=True)
        sent.is_valid(raise_exception=True)
        watch = Watch(if_match_check(request, target_etag))
        changes = sent.validated_data
        target = update_target(target_id=self.path_id, changes=changes, now=database_now(), check=watch)
        note_updated(target, watch.before)
        return self._answer(target)

    @transaction.atomic
    def destroy(self, request: Request, /, **kwargs: Any) -> Response:
        """Delete a target, its schedules and their runs. They are out of sight at once."""
        watch = Watch(if_match_check(request, target_etag))
        delete_target(target_id=self.path_id, now=database_now(), check=watch)
        note_gone(watch.thing)
        return Response(status=204)

    @extend_schema(request=NothingSerializer, responses=RunDetailSerializer)
    @action(detail=True, methods=["post"])
    @idempotent_around_call
    def test(self, request: Request, /, **kwargs: Any) -> Response:
        """Call the target once, now, and wait for the result: a run without a schedule, with its attempt."""
        expect_no_fields(request)
        note_done("test", Target.objects.get(pk=self.path_id))
        run_id = call_target_once(target_id=self.path_id)
        run = Run.objects.prefetch_related("attempts").get(pk=run_id)
        return Response(RunDetailSerializer(run).data)

    def _answer(self, target: Target) -> Response:
        return Response(self.get_serializer(target).data, headers={"ETag": target_etag(target)})


_ID = extend_schema(
    parameters=[OpenApiParameter("id", OpenApiTypes.STR, OpenApiParameter.PATH, description="Its id or its name.")]
)


def secret_etag(secret: Secret) -> str:
    """The version of what users wrote, the value included."""
    return etag_of({name: getattr(secret, name) for name in secret_services.USER_FIELDS}, secret_services.USER_FIELDS)


@extend_schema_view(retrieve=_ID, partial_update=_ID, destroy=_ID)
class SecretViewSet(ListModelMixin, ResourceViewSet):
    """Named secrets for `{{secret.NAME}}`. Their values are never given back."""

    queryset = Secret.objects.all()
    serializer_class = SecretSerializer
    filter_backends = (SecretFilters,)
    lookup_value_regex = "[A-Za-z0-9_-]{1,64}"
    required_scopes: ClassVar[dict[str, str]] = dict.fromkeys(
        ("list", "create", "retrieve", "partial_update", "destroy"), Scope.ADMIN
    )

    def get_queryset(self) -> QuerySet[Secret]:
        """With the targets that use each."""
        uses = (
            SecretUse.objects.select_related("target").only("secret_id", "target__name").order_by("target__name", "id")
        )
        shown = Prefetch("uses", queryset=uses[:MOST_SHOWN], to_attr="shown_uses")
        counted = Secret.objects.annotate(used_by_count=Count("uses"))
        return counted.prefetch_related(shown).order_by("name", "id")

    @cached_property
    def secret_id(self) -> UUID:
        """The id of the secret that the path names by id or name."""
        named = self.kwargs[self.lookup_field]
        if secret_services.LIKE_AN_ID.fullmatch(named):
            return UUID(named)
        return Secret.objects.only("id").get(name=named).id

    @idempotent
    def create(self, request: Request) -> Response:
        """Create a secret: with a value, or with a reference such as `env:NAME` or `file:PATH`."""
        sent = self.get_serializer(data=request.data)
        sent.is_valid(raise_exception=True)
        secret = create_secret(fields=sent.validated_data, now=database_now())
        note_created(secret)
        data, headers = self._shown(secret.id), {"ETag": secret_etag(secret)}
        return created_response(request, data, route="secret-detail", created_id=secret.id, headers=headers)

    def retrieve(self, request: Request, /, **kwargs: Any) -> Response:
        """One secret, without its value, and the targets that use it."""
        return self._answer(Secret.objects.get(pk=self.secret_id))

    @transaction.atomic
    def partial_update(self, request: Request, /, **kwargs: Any) -> Response:
        """Change what the body names. Attempts that start afterwards use the new value."""
        sent = self.get_serializer(data=request.data, partial=True)
        sent.is_valid(raise_exception=True)
        watch, changes = Watch(if_match_check(request, secret_etag)), sent.validated_data
        secret = update_secret(secret_id=self.secret_id, changes=changes, now=database_now(), check=watch)
        note_updated(secret, watch.before)
        return self._answer(secret)

    @extend_schema(responses={204: None})
    @transaction.atomic
    def destroy(self, request: Request, /, **kwargs: Any) -> Response:
        """Delete a secret that no target uses."""
        watch = Watch(if_match_check(request, secret_etag))
        delete_secret(secret_id=self.secret_id, check=watch)
        note_gone(watch.thing)
        return Response(status=204)

    def _answer(self, secret: Secret) -> Response:
        return Response(self._shown(secret.id), headers={"ETag": secret_etag(secret)})

    def _shown(self, secret_id: UUID) -> Any:
        return self.get_serializer(self.get_queryset().get(pk=secret_id)).data
