"""The API's addresses under /api/v1. No trailing slashes; what is not listed here is a 404 problem."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path
from rest_framework.routers import SimpleRouter

from scheduler_project.docs import openapi_document

router = SimpleRouter(trailing_slash=False)

urlpatterns: list[URLPattern | URLResolver] = [
    path("openapi.json", openapi_document, name="openapi"),
    path("", include(router.urls)),
]
