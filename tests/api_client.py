"""A client of the API, as a program with a key sees it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.test import Client

from access.keys import create_key
from tests.factories import NOW

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Answer


class ApiClient:
    """Sends JSON with a fresh key. Paths are relative to /api/v1; `answer.json()` reads what came back."""

    def __init__(self, *scopes: str) -> None:
        """Make a key with the scopes; all of them unless given."""
        _, key = create_key(name="tests", scopes=list(scopes) or ["admin"], expires_at=None, now=NOW)
        self._client = Client(raise_request_exception=False, enforce_csrf_checks=True)
        self._authorization = f"Bearer {key}"

    def get(self, path: str, **query: str) -> Answer:
        """GET with a query string."""
        return self.send("GET", path, query=query)

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        """POST; None sends no body."""
        return self.send("POST", path, body, headers=headers)

    def patch(self, path: str, body: Any, **headers: str) -> Answer:
        """PATCH with a body."""
        return self.send("PATCH", path, body, headers=headers)

    def delete(self, path: str, **headers: str) -> Answer:
        """DELETE."""
        return self.send("DELETE", path, headers=headers)

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Any request. `body` is sent as JSON unless it is bytes; header names may have underscores for hyphens."""
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in (headers or {}).items()}
        return self._client.generic(
            method,
            path if path.startswith("http") else f"/api/v1{path}",
            raw,
            content_type="application/json" if raw else "",
            headers={"Authorization": self._authorization, **named},
            query_params=query or None,
        )


def wrong_places(answer: Answer) -> list[str]:
    """The pointers of a 422, in order; fails where the answer is another."""
    body = json.loads(answer.content)
    assert answer.status_code == 422, body
    assert answer["Content-Type"] == "application/problem+json"
    return [error["pointer"] for error in body["errors"]]
