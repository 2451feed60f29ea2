"""The API's documentation: the OpenAPI document and two pages that show it. Open to all, and all from this host."""

from __future__ import annotations

import functools
import json

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator

from scheduler_project.problems import problem_response

# Styles are inline because both viewers set them from their scripts; nothing else may come from anywhere else.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; worker-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@functools.cache
def _document() -> str:
    # The same for everybody, and half a second of work: once per process.
    generator = SchemaGenerator()  # type: ignore[no-untyped-call]
    return json.dumps(generator.get_schema(request=None, public=True))  # type: ignore[no-untyped-call]


@csrf_exempt
def openapi_document(request: HttpRequest) -> HttpResponse:
    """GET /api/v1/openapi.json."""
    if request.method not in ("GET", "HEAD"):
        return problem_response(405, "This document can only be read.", headers={"Allow": "GET, HEAD"})
    return HttpResponse(_document(), content_type="application/json")


@require_safe
def swagger_page(request: HttpRequest) -> HttpResponse:
    """GET /docs: try the API out."""
    return _page(request, "docs/swagger.html")


@require_safe
def redoc_page(request: HttpRequest) -> HttpResponse:
    """GET /redoc: read about the API."""
    return _page(request, "docs/redoc.html")


def _page(request: HttpRequest, template: str) -> HttpResponse:
    response = render(request, template, {"openapi_url": reverse("openapi")})
    response["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    return response
