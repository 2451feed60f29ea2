"""An API of the tests' own, on the project's infrastructure: what every resource gets without asking for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from django.urls import include, path
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter

from runs.models import Run
from scheduler_project import urls
from scheduler_project.etags import check_if_match, etag_of
from scheduler_project.idempotent import idempotent, idempotent_around_call
from scheduler_project.pagination import NewestFirst
from scheduler_project.resource import ResourceViewSet
from scheduler_project.strict_fields import (
    MomentField,
    StrictBooleanField,
    StrictCharField,
    StrictChoiceField,
    StrictIntegerField,
    StrictModelSerializer,
    StrictNumberField,
    StrictSerializer,
    StrictUUIDField,
)
from targets.models import Target
from tests.factories import make_target

WRITTEN = ("name", "url")


class ProbeSerializer(StrictSerializer):
    """One field of every strict kind."""

    id = StrictUUIDField(read_only=True)
    text = StrictCharField(required=False, max_length=10)
    number = StrictNumberField(required=False)
    interval_seconds = StrictIntegerField(required=False, min_value=1)
    flag = StrictBooleanField(required=False)
    choice = StrictChoiceField(("red", "green"), required=False)
    other = StrictUUIDField(required=False)
    moment = MomentField(required=False)
    texts = serializers.ListField(child=StrictCharField(), required=False)
    inner = serializers.DictField(child=StrictIntegerField(), required=False)


class ThingSerializer(StrictModelSerializer):
    """A target in short."""

    class Meta:
        model = Target
        fields = ("id", "name", "url", "method", "timeout_seconds", "created_at")
        read_only_fields = ("id", "created_at", "method", "timeout_seconds")


class Failure:
    """What the `fail` action does next; tests put an exception in its place."""

    raise_it: ClassVar[Callable[[], Any]] = staticmethod(lambda: None)


class ThingViewSet(ResourceViewSet):
    """Targets as things."""

    queryset = Target.objects.all()
    serializer_class = ThingSerializer
    required_scopes: ClassVar[dict[str, str]] = {"call": "run", "manage": "admin"}

    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @idempotent
    def create(self, request: Request) -> Response:
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        target = make_target(**serializer.validated_data)
        data = ThingSerializer(target).data
        return Response(data, status=201, headers={"ETag": etag_of(data, WRITTEN)})

    def retrieve(self, request: Request, **kwargs: Any) -> Response:
        target = Target.objects.get(id=self.path_id)
        data = ThingSerializer(target).data
        return Response(data, headers={"ETag": etag_of(data, WRITTEN)})

    def partial_update(self, request: Request, **kwargs: Any) -> Response:
        target = self.get_object()
        check_if_match(request, etag_of(ThingSerializer(target).data, WRITTEN))
        serializer = self.get_serializer(target, data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        Target.objects.filter(id=target.id).update(**serializer.validated_data)
        return self.retrieve(request)

    @action(detail=False, methods=["post"])
    def check(self, request: Request) -> Response:
        serializer = ProbeSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        return Response(ProbeSerializer(serializer.validated_data).data)

    @action(detail=False, methods=["post"])
    @idempotent
    def fail(self, request: Request) -> Response:
        make_target(name="half done")
        Failure.raise_it()
        return Response({"fine": True})

    @action(detail=False, methods=["post"])
    @idempotent_around_call
    def call(self, request: Request) -> Response:
        make_target(name="called")
        Failure.raise_it()
        return Response({"called": True})

    @action(detail=False, methods=["post"])
    def manage(self, request: Request) -> Response:
        return Response({"managed": True})


class RunSerializer(StrictModelSerializer):
    """A run in short."""

    class Meta:
        model = Run
        fields = ("id",)


class LogViewSet(ResourceViewSet):
    """Runs by cursor."""

    queryset = Run.objects.all()
    serializer_class = RunSerializer
    pagination_class = NewestFirst

    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(self.get_serializer(page, many=True).data)


router = SimpleRouter(trailing_slash=False)
router.register("things", ThingViewSet, "thing")
router.register("log", LogViewSet, "log")
urlpatterns = [path("api/v1/", include(router.urls)), *urls.urlpatterns]
handler400 = urls.handler400
handler500 = urls.handler500
