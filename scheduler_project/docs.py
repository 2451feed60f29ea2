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

from scheduler_project.page_policy import CONTENT_SECURITY_POLICY
from scheduler_project.problems import problem_response

# ReDoc makes style elements: empty ones, which its script fills through the DOM, and one whose text never changes.
# Both are named by their hashes, so that no other inline style is let in.
_STYLES_OF_REDOC = (
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' 'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='"
)
REDOC_POLICY = (
    CONTENT_SECURITY_POLICY.replace("style-src 'self'", f"style-src 'self' {_STYLES_OF_REDOC}") + "; worker-src blob:"
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
    response = _page(request, "docs/redoc.html")
    response["Content-Security-Policy"] = REDOC_POLICY
    return response


def _page(request: HttpRequest, template: str) -> HttpResponse:
    return render(request, template, {"openapi_url": reverse("openapi")})
