"""Entity tags: what `If-Match` compares, so that two people don't overwrite each other (RFC 9110, section 13.1.1)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.utils.crypto import salted_hmac
from django.utils.http import parse_etags
from rest_framework.request import Request

from scheduler_project.problems import FieldError, PreconditionFailed


def etag_of(values: Mapping[str, Any], fields: Iterable[str]) -> str:
    """A strong entity tag over the user-written `fields` of `values`, quotes included.

    It is keyed with SECRET_KEY: `values` may hold secrets in clear, nothing about them can be guessed from the tag.
    """
    chosen = {name: values.get(name) for name in sorted(fields)}
    text = json.dumps(chosen, cls=DjangoJSONEncoder, sort_keys=True, separators=(",", ":"))
    return f'"{salted_hmac("scheduler_project.etags", text, algorithm="sha256").hexdigest()[:32]}"'


def check_if_match(request: Request, etag: str) -> None:
    """Let the request pass if it has no If-Match, `*`, or `etag` in its list (strong comparison).

    Raises:
        PreconditionFailed: it names other versions only, weak ones, or nothing that is an entity tag.
    """
    header = request.headers.get("If-Match")
    if header is None:
        return
    tags = parse_etags(header)
    if "*" in tags or etag in tags:
        return
    if not tags:
        detail = f'Must be * or quoted entity tags as the ETag header gave them, such as {etag[:9]}...".'
    else:
        detail = "It has changed since you read it. Read it again, then repeat your change."
    raise PreconditionFailed(detail, [FieldError("If-Match:", "precondition_failed", detail)])


def if_match_check(request: Request, etag_now: Callable[[Any], str]) -> Callable[[Any], None] | None:
    """The `check` argument of services: called under the row lock with the row; None without an If-Match."""
    if request.headers.get("If-Match") is None:
        return None
    return lambda row: check_if_match(request, etag_now(row))
