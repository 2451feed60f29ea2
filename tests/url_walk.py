"""Every address that the service answers, read from its URL patterns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from django.contrib.admindocs.views import simplify_regex
from django.urls import URLPattern, URLResolver, get_resolver

API_PREFIX = "/api/v1/"
VERBS = ("get", "post", "put", "patch", "delete")


def views(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    """Address and pattern of every view below `resolver`."""
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            yield from views(pattern, prefix + str(pattern.pattern))
        else:
            yield prefix + str(pattern.pattern), pattern


def api_operations() -> set[tuple[str, str]]:
    """Verb and path (relative to /api/v1/, ids as `{id}`) of everything that the API answers."""
    found = set()
    for address, pattern in views(get_resolver()):
        path = re.sub(r"<[^>]+>", "{id}", simplify_regex(address))
        if path.startswith(API_PREFIX) and path != API_PREFIX:
            found |= {(verb, path.removeprefix(API_PREFIX)) for verb in _verbs_of(pattern.callback)}
    return found


def _verbs_of(view: Any) -> set[str]:
    actions = getattr(view, "actions", None)
    if actions:
        return set(actions) & set(VERBS)
    kind = getattr(view, "cls", None) or getattr(view, "view_class", None)
    return {verb for verb in VERBS if hasattr(kind, verb)} if kind else {"get"}
