"""`@idempotent`: a POST handler that honours the Idempotency-Key header."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Concatenate, ParamSpec

from cryptography.fernet import InvalidToken
from django.db import transaction
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.idempotency import (
    Claim,
    KeptAnswer,
    KeyReused,
    StillInFlight,
    claim_key,
    give_back,
    is_kept,
    keep_answer,
)
from access.principals import principal_of
from scheduler_project.json_answers import AnswerRenderer
from scheduler_project.problems import Conflict, FieldError, Unacceptable
from targets.secrets import key_ring

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replay"
KEPT_HEADERS = ("ETag", "Location", "Cache-Control")

Rest = ParamSpec("Rest")
Handler = Callable[Concatenate[Any, Request, Rest], HttpResponseBase]


def idempotent(handler: Handler[Rest]) -> Handler[Rest]:
    """For handlers that only write to the database: the answer is stored in the transaction of what it reports.

    So a process that dies leaves both or neither, and a repetition can't act twice.
    """
    return _decorated(handler, transaction.atomic)


def idempotent_with_secret(handler: Handler[Rest]) -> Handler[Rest]:
    """The same for handlers whose answer holds a secret: the stored answer is encrypted."""
    return _decorated(handler, transaction.atomic, sealed=True)


def idempotent_around_call(handler: Handler[Rest]) -> Handler[Rest]:
    """For handlers that call out: no transaction is held meanwhile, the answer is stored right after."""
    return _decorated(handler, nullcontext)


def _decorated(
    handler: Handler[Rest], unit: Callable[[], AbstractContextManager[Any]], *, sealed: bool = False
) -> Handler[Rest]:
    @functools.wraps(handler)
    def answer(view: APIView, request: Request, /, *args: Rest.args, **kwargs: Rest.kwargs) -> HttpResponseBase:
        key = _key_of(request)
        if key is None:
            with unit():
                return handler(view, request, *args, **kwargs)
        found = _claim(request, key)
        if isinstance(found, KeptAnswer):
            return _replay(found, sealed=sealed)
        try:
            with unit():
                response = handler(view, request, *args, **kwargs)
                _keep(found, response, sealed=sealed)
        except Exception as error:
            response = view.handle_exception(error)
            _keep(found, response, sealed=sealed)
        return response

    answer.honours_idempotency_key = True  # type: ignore[attr-defined]
    return answer


def _key_of(request: Request) -> str | None:
    key = request.headers.get(HEADER)
    if key is not None and not (1 <= len(key) <= 255 and key.isascii() and key.isprintable()):
        raise _refused("Must be 1 to 255 printable ASCII characters.", "invalid")
    return key


def _claim(request: Request, key: str) -> Claim | KeptAnswer:
    asked = "\n".join((str(request.method), request.get_full_path(), hashlib.sha256(request.body).hexdigest()))
    fingerprint = hashlib.sha256(asked.encode()).hexdigest()
    try:
        return claim_key(owner=principal_of(request), key=key, fingerprint=fingerprint, now=timezone.now())
    except KeyReused:
        raise _refused("This key was used for another request. Use a new one.", "reused") from None
    except StillInFlight:
        raise Conflict("The first request with this Idempotency-Key is still being worked on. Try again.") from None


def _refused(detail: str, code: str) -> Unacceptable:
    return Unacceptable([FieldError(f"{HEADER}:", code, detail)])


def _keep(claim: Claim, response: HttpResponseBase, *, sealed: bool) -> None:
    if not is_kept(response.status_code):
        give_back(claim=claim)
        return
    body = AnswerRenderer().render(response.data).decode() if isinstance(response, Response) else ""
    body = key_ring().encrypt(body.encode()).decode() if sealed else body
    headers = {name: response[name] for name in KEPT_HEADERS if name in response}
    # Until it is rendered, the response's own header is Django's default, text/html.
    headers["Content-Type"] = getattr(response, "content_type", None) or AnswerRenderer.media_type
    keep_answer(claim=claim, answer=KeptAnswer(response.status_code, body, headers))


def _replay(kept: KeptAnswer, *, sealed: bool) -> HttpResponse:
    try:
        body = key_ring().decrypt(kept.body.encode()).decode() if sealed else kept.body
    except InvalidToken:
        raise Conflict("The first answer can't be decrypted any more. Repeat the request with a new key.") from None
    return HttpResponse(body, status=kept.status, headers={**kept.headers, REPLAYED: "true"})
