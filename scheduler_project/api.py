"""The API's addresses under /api/v1. No trailing slashes; what is not listed here is a 404 problem."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path
from rest_framework.routers import SimpleRouter

from access.views import ApiKeyViewSet, AuditViewSet
from runs.views import RunViewSet
from scheduler_project.docs import openapi_document
from scheduler_project.health import HealthView
from scheduler_project.metrics_api import MetricsView, PrometheusView
from scheduler_project.sign_in_api import LogoutView, RefreshView, TokenView
from schedules.views import ScheduleViewSet
from targets.views import SecretViewSet, TargetViewSet

router = SimpleRouter(trailing_slash=False)
router.register("targets", TargetViewSet, basename="target")
router.register("secrets", SecretViewSet, basename="secret")
router.register("schedules", ScheduleViewSet, basename="schedule")
router.register("runs", RunViewSet, basename="run")
router.register("api-keys", ApiKeyViewSet, basename="api-key")
router.register("audit", AuditViewSet, basename="audit")

urlpatterns: list[URLPattern | URLResolver] = [
    path("openapi.json", openapi_document, name="openapi"),
    path("health", HealthView.as_view(), name="health"),
    path("auth/token", TokenView.as_view(), name="token"),
    path("auth/token/refresh", RefreshView.as_view(), name="token-refresh"),
    path("auth/logout", LogoutView.as_view(), name="logout"),
    path("metrics", MetricsView.as_view(), name="metrics"),
    path("metrics/prometheus", PrometheusView.as_view(), name="metrics-prometheus"),
    path("", include(router.urls)),
]
