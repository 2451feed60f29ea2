"""What becomes of an exception: always a problem document under /api, whatever was raised and wherever."""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import DataError, InterfaceError, InternalError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, UnreadablePostError
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt
from rest_framework.exceptions import APIException, ErrorDetail, NotAcceptable, UnsupportedMediaType, ValidationError
from rest_framework.response import Response
from rest_framework.settings import api_settings

from access.keys import AlreadyRevoked, InvalidKeyRequest
from runs.errors import WrongState as RunWrongState
from scheduler_project.problems import (
    DATABASE_RETRY_SECONDS,
    MEDIA_TYPE,
    Conflict,
    FieldError,
    NotJson,
    Problem,
    TooLarge,
    Unacceptable,
    bad_fields,
    pointer_to,
    problem_body,
    problem_response,
)
from schedules.errors import WrongState as ScheduleWrongState
from targets.errors import InUse, InvalidFields

logger = logging.getLogger(__name__)
API_ROOT = "/api/"
# PostgreSQL's idle_in_transaction_session_timeout: the session is gone, though the driver files it under InternalError.
SESSION_ENDED = "25P03"


class DatabaseAway(Problem):
    """503: the database doesn't answer; ask again in `DATABASE_RETRY_SECONDS`."""

    status_code = 503

    def __init__(self) -> None:
        detail = "The database is not available. Try again in a moment."
        super().__init__(detail, headers={"Retry-After": str(DATABASE_RETRY_SECONDS)})


class Missing(Problem):
    """404: no such thing, or no longer."""

    status_code = 404


class Forbidden(Problem):
    """403: known, but not allowed."""

    status_code = 403


class BadRequest(Problem):
    """400: Django itself refuses to read the request."""

    status_code = 400


# Where REST framework only says what it didn't like.
_REMEDIES: dict[type[Exception], str] = {
    NotAcceptable: "This API answers JSON only: send Accept: application/json, or no Accept header.",
    UnsupportedMediaType: "Send the body as JSON, with Content-Type: application/json.",
}


def exception_handler(exc: Exception, context: Mapping[str, Any]) -> Response:
    """REST framework's EXCEPTION_HANDLER: every exception of a view as a problem document."""
    problem = _known(exc)
    if problem is None:
        request = context.get("request")
        logger.error("Unhandled error in %s %s", request and request.method, request and request.path, exc_info=exc)
        problem = Problem("Something went wrong on our side. It is in the service's log.")
    errors = problem.errors if isinstance(problem, Problem) else ()
    detail = _REMEDIES.get(type(problem)) or str(problem.detail)
    body = problem_body(problem.status_code, detail, errors)
    return Response(body, status=problem.status_code, headers=_headers_of(problem), content_type=MEDIA_TYPE)


def _known(exc: Exception) -> APIException | None:
    """The exception as one that carries its status; None for what nobody expected."""
    if isinstance(exc, ValidationError):
        return Unacceptable(list(_flat(exc.detail, ())))
    if isinstance(exc, APIException):
        return exc
    if is_database_away(exc):
        return DatabaseAway()
    for kinds, make in _TRANSLATIONS:
        if isinstance(exc, kinds):
            return make(exc)
    return None


def is_database_away(exc: BaseException | None) -> bool:
    """Whether the database didn't answer or has ended the session: asking again later may well succeed."""
    if isinstance(exc, InternalError):
        return getattr(exc.__cause__, "sqlstate", None) == SESSION_ENDED
    return isinstance(exc, OperationalError | InterfaceError)


def _missing(exc: Exception) -> Problem:
    owner, _, kind = type(exc).__qualname__.rpartition(".")
    if kind == "DoesNotExist" and owner:
        return Missing(f"There is no such {owner.lower()}, or it was deleted.")
    return Missing("There is nothing at this address.")


def _too_large(exc: Exception) -> Problem:
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0
    return TooLarge(f"The body is too large: at most {limit} bytes.")


def _value_refused_by_database(exc: Exception) -> Problem:
    logger.warning("The database refused a value that validation let through", exc_info=exc)
    return bad_fields({"": "A value is out of the range that can be stored."})


Translation = tuple[tuple[type[Exception], ...], Callable[[Exception], Problem]]
# In this order: RequestDataTooBig is a SuspiciousOperation.
_TRANSLATIONS: tuple[Translation, ...] = (
    ((InvalidFields, InvalidKeyRequest), lambda exc: bad_fields(getattr(exc, "errors", {}))),
    ((ScheduleWrongState, RunWrongState, AlreadyRevoked, InUse), lambda exc: Conflict(str(exc))),
    ((ObjectDoesNotExist, Http404), _missing),
    ((PermissionDenied,), lambda exc: Forbidden(str(exc) or "This is not allowed.")),
    ((RequestDataTooBig,), _too_large),
    ((UnreadablePostError,), lambda exc: NotJson("The body ended before its Content-Length.")),
    ((SuspiciousOperation,), lambda exc: BadRequest(str(exc) or "This request can't be read.")),
    ((DataError,), _value_refused_by_database),
)


def _flat(detail: Any, path: tuple[str | int, ...]) -> Iterator[FieldError]:
    """REST framework's nested error details as a flat list with pointers."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            yield from _flat(inner, path if name == api_settings.NON_FIELD_ERRORS_KEY else (*path, name))
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            # A list holds several messages of one place, or one mapping per element of a list field.
            yield from _flat(inner, (*path, index) if isinstance(inner, Mapping | list) else path)
    else:
        code = detail.code if isinstance(detail, ErrorDetail) and detail.code else "invalid"
        yield FieldError(pointer_to(*path), str(code), str(detail))


def _headers_of(problem: APIException) -> dict[str, str]:
    headers = dict(problem.headers) if isinstance(problem, Problem) else {}
    challenge = getattr(problem, "auth_header", None)
    if challenge:
        headers["WWW-Authenticate"] = str(challenge)
    wait = getattr(problem, "wait", None)
    if wait is not None:
        headers["Retry-After"] = str(max(1, math.ceil(wait)))
    return headers


# --- Django's own handlers: what happens outside REST framework's views ---------------------------------------
@csrf_exempt
def unknown_address(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
    """The view behind every path under /api that nothing else answers, also those with a trailing slash."""
    hint = " Addresses have no trailing slash." if request.path.endswith("/") else ""
    return problem_response(404, f"There is nothing at this address.{hint}")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Django's handler400: a wrong Host header, a cookie that can't be read, and the like."""
    if request.path.startswith(API_ROOT):
        problem = _known(exception)
        if isinstance(problem, Problem):
            return problem_response(problem.status_code, str(problem.detail), headers=problem.headers)
        return problem_response(400, "This request can't be read.")
    return defaults.bad_request(request, exception)


def server_error(request: HttpRequest) -> HttpResponseBase:
    """Django's handler500: errors raised in middleware; 503 where the database is away, for the admin too."""
    # Django calls this inside its `except` block, so the exception is at hand.
    away = is_database_away(sys.exception())
    headers = {"Retry-After": str(DATABASE_RETRY_SECONDS)} if away else {}
    status = 503 if away else 500
    detail = DatabaseAway().detail if away else "Something went wrong on our side. It is in the service's log."
    if request.path.startswith(API_ROOT):
        return problem_response(status, str(detail), headers=headers)
    if away:
        return HttpResponse(f"{detail}\n", status=status, content_type="text/plain; charset=utf-8", headers=headers)
    return defaults.server_error(request)
