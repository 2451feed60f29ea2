"""Clients of the API, signed in one way or another, and what their answers say."""

from __future__ import annotations

import json
from typing import Any

from django.contrib.auth.models import Permission, User
from django.utils import timezone
from rest_framework.test import APIClient

from access.keys import create_key

ALL_BUT_ADMIN = ("read", "write", "run")


def new_key(*scopes: str) -> str:
    """The text of a new key; read, write and run unless told otherwise."""
    return create_key(name="test", scopes=scopes or ALL_BUT_ADMIN, expires_at=None, now=timezone.now())[1]


def key_client(*scopes: str) -> APIClient:
    """A client with a new key. Errors come back as answers."""
    return client_with(new_key(*scopes))


def client_with(key: str) -> APIClient:
    """A client that sends this key."""
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    return client


def post_raw(client: Any, path: str, body: bytes, content_type: str = "application/json", **extra: Any) -> Any:
    """POST exactly these bytes."""
    return client.generic("POST", path, body, content_type=content_type, **extra)


def make_user(*permissions: str, **fields: Any) -> User:
    """A saved user with admin permissions given as `app.codename`; staff unless told otherwise."""
    user = User.objects.create(**{"username": "ada", "is_staff": True, **fields})
    for name in permissions:
        app, codename = name.split(".")
        user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
    return user


def problem_of(response: Any, status: int) -> dict[str, Any]:
    """The problem document of an answer that must have this status."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = json.loads(response.content)
    assert set(body) == {"type", "title", "status", "detail", "errors", "request_id"}
    assert body["status"] == status
    return body


def pointers_of(response: Any, status: int = 422) -> list[str]:
    """Where a problem points to."""
    return [error["pointer"] for error in problem_of(response, status)["errors"]]
