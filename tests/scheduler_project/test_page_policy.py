"""The headers that tell browsers what pages may do (guarantee D10)."""

from __future__ import annotations

import pytest
from django.test import Client
from pytest_django import Settings

from scheduler_project.page_policy import CONTENT_SECURITY_POLICY
from tests.staff import superuser

PAGES = [
    "/admin/",
    "/admin/login/",
    "/admin/targets/target/add/",
    "/admin/nothing/",
    "/api/v1/health",
    "/api/v1/targets",
    "/api/v1/openapi.json",
    "/docs",
    "/redoc",
    "/static/api_scheduler/admin.css",
    "/nothing",
]


@pytest.mark.django_db
@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("signed_in", [True, False])
def test_every_answer_carries_the_policies(path: str, signed_in: bool) -> None:
    response = (superuser() if signed_in else Client()).get(path)
    response.close()
    policy = response["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["X-Frame-Options"] == "DENY"
    assert response["Referrer-Policy"] == "same-origin"
    assert response["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "camera=()" in response["Permissions-Policy"]


@pytest.mark.django_db
@pytest.mark.parametrize("path", [path for path in PAGES if path != "/redoc"])
def test_nothing_inline_is_allowed(path: str) -> None:
    response = superuser().get(path)
    response.close()
    assert response["Content-Security-Policy"] == CONTENT_SECURITY_POLICY


@pytest.mark.django_db
def test_https_is_insisted_on_where_the_public_url_has_it(settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT, settings.SECURE_HSTS_SECONDS = True, 60
    assert Client().get("/admin/login/")["Location"] == "https://testserver/admin/login/"
    assert Client().get("/admin/login/", secure=True)["Strict-Transport-Security"].startswith("max-age=60")
