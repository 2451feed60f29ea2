"""What drf-spectacular can't see by itself: keys, problems, and the headers that every operation has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema

from scheduler_project.problems import MEDIA_TYPE

Json = dict[str, Any]
PROBLEM_SCHEMA: Json = {
    "type": "object",
    "description": "What went wrong (RFC 9457).",
    "required": ["type", "title", "status", "detail", "errors", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference", "examples": ["about:blank"]},
        "title": {"type": "string", "description": "The status in words."},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "This occurrence, for people."},
        "errors": {
            "type": "array",
            "description": "Every wrong place of the request; empty where none is to blame.",
            "items": {"$ref": "#/components/schemas/ProblemError"},
        },
        "request_id": {"type": "string", "description": "As in the X-Request-ID header and in the service's log."},
    },
}
PROBLEM_ERROR_SCHEMA: Json = {
    "type": "object",
    "required": ["pointer", "code", "detail"],
    "properties": {
        "pointer": {
            "type": "string",
            "description": "A JSON pointer into the body (`/interval_seconds`), a query parameter (`?limit`), or a "
            "header (`If-Match:`); empty for the body as a whole.",
        },
        "code": {"type": "string", "description": "Stable, for programs."},
        "detail": {"type": "string", "description": "For people."},
    },
}
DESCRIPTIONS = {
    400: "The body is not JSON.",
    401: "No valid API key and no session.",
    403: "The key or user lacks the scope.",
    404: "There is no such thing.",
    406: "Accept excludes JSON.",
    409: "Its state doesn't allow this, or the first request with this Idempotency-Key is still in flight.",
    412: "If-Match names another version.",
    413: "The body is too large or too deep.",
    415: "The body is not application/json.",
    422: "The body, a query parameter or a header has unacceptable values.",
    429: "Too many requests.",
    503: "The database is not available.",
}
# Open to strangers, and without Idempotency-Key: its owner would be nobody.
SIGNING_IN = "/api/v1/auth/"
WITH_RETRY_AFTER = {429, 503}


class BearerTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """The same for `BearerTokenAuthentication`."""

    target_class = "access.authentication.BearerTokenAuthentication"
    name = "tokenAuth"

    def get_security_definition(self, auto_schema: AutoSchema) -> Json:
        """An HTTP bearer scheme."""
        about = "An access token of POST /api/v1/auth/token."
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": about}


class BearerKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Tells drf-spectacular what `BearerKeyAuthentication` is."""

    target_class = "access.authentication.BearerKeyAuthentication"
    name = "bearerAuth"

    def get_security_definition(self, auto_schema: AutoSchema) -> Json:
        """An HTTP bearer scheme."""
        return {"type": "http", "scheme": "bearer", "description": "An API key, made by manage.py create_api_key."}


def only_the_api(endpoints: list[tuple[str, str, str, Any]], **kwargs: Any) -> list[tuple[str, str, str, Any]]:
    """Preprocessing hook: leave out what is outside /api/v1."""
    return [endpoint for endpoint in endpoints if endpoint[0].startswith("/api/v1/")]


def name_actions(result: Json, **kwargs: Any) -> Json:
    """Postprocessing hook: `runs_cancel` instead of `runs_cancel_create`, wherever the short name is free."""
    taken = {operation["operationId"] for _, _, operation in _operations(result)}
    for _, path, operation in _operations(result):
        name = operation["operationId"]
        short, _, verb = name.rpartition("_")
        is_action = path.rpartition("/")[2] == short.rpartition("_")[2]
        if is_action and "_" in short and verb in ("create", "retrieve") and short not in taken:
            operation["operationId"] = short
            taken.add(short)
    return result


def add_problems(result: Json, **kwargs: Any) -> Json:
    """Postprocessing hook: the problems that each operation can answer."""
    schemas = result.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(Problem=PROBLEM_SCHEMA, ProblemError=PROBLEM_ERROR_SCHEMA)
    for method, path, operation in _operations(result):
        for status in _problems_of(method, path, operation):
            operation["responses"].setdefault(str(status), _problem_response(status))
    return result


def add_headers(result: Json, **kwargs: Any) -> Json:
    """Postprocessing hook: Idempotency-Key, If-Match and ETag."""
    for method, path, operation in _operations(result):
        parameters = operation.setdefault("parameters", [])
        if method == "post" and not path.startswith(SIGNING_IN):
            parameters.append(_header_parameter("Idempotency-Key", _IDEMPOTENCY_KEY, maximum=255))
        if method in ("patch", "delete"):
            parameters.append(_header_parameter("If-Match", "An ETag, or *: only if it still is that version."))
        for status, response in operation["responses"].items():
            if status in ("200", "201") and _has_etag(method, path):
                response.setdefault("headers", {})["ETag"] = _ETAG
    return result


_IDEMPOTENCY_KEY = "Sent again within 24 hours, the same request acts once and is answered the same."
_ETAG = {"description": "The version of the user-written fields.", "schema": {"type": "string"}}


def _operations(result: Json) -> Iterator[tuple[str, str, Json]]:
    for path, methods in result.get("paths", {}).items():
        for method, operation in methods.items():
            yield method, path, operation


def _problems_of(method: str, path: str, operation: Json) -> list[int]:
    guarded = {} not in operation.get("security", [{}])
    signs_in = path.startswith(SIGNING_IN)
    statuses = {401, 403, 406, 429, 503} if guarded or signs_in else {503}
    # /metrics takes one schedule's id in its query.
    if "{" in path or path.endswith("/metrics"):
        statuses.add(404)
    queried = any(parameter["in"] == "query" for parameter in operation.get("parameters", []))
    if queried or method in ("post", "patch"):
        statuses.add(422)
    if "requestBody" in operation:
        statuses |= {400, 413, 415}
    # A stored time zone may be gone from this machine: what needs it is refused.
    needs_timing = path.endswith("/{id}/preview") or (method == "patch" and "/schedules/" in path)
    # A secret in use, a key that is revoked.
    settled = method in ("patch", "delete") and ("/secrets/" in path or "/api-keys/" in path)
    if (method == "post" and not signs_in) or needs_timing or settled:
        statuses.add(409)
    if method in ("patch", "delete"):
        statuses.add(412)
    return sorted(statuses)


def _problem_response(status: int) -> Json:
    response: Json = {
        "description": DESCRIPTIONS[status],
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    if status in WITH_RETRY_AFTER:
        seconds = {"description": "Seconds to wait.", "schema": {"type": "integer"}}
        response["headers"] = {"Retry-After": seconds}
    return response


def _header_parameter(name: str, description: str, maximum: int | None = None) -> Json:
    schema: Json = {"type": "string"}
    if maximum is not None:
        schema.update(minLength=1, maxLength=maximum)
    return {"name": name, "in": "header", "required": False, "description": description, "schema": schema}


def _has_etag(method: str, path: str) -> bool:
    """Targets, schedules, secrets and API keys, one at a time: what people write has versions."""
    collection = path.removeprefix("/api/v1/").partition("/")
    if collection[0] not in ("targets", "schedules", "secrets", "api-keys"):
        return False
    return (method == "post" and not collection[2]) or (method in ("get", "patch") and collection[2] == "{id}")
