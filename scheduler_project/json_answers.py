"""Answers are JSON, whatever else a client would have liked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rest_framework.exceptions import NotAcceptable
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request

from scheduler_project.problems import MEDIA_TYPE


class AnswerRenderer(JSONRenderer):
    """JSON that always renders: text that UTF-8 can't carry becomes question marks instead of an error."""

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        """The body's bytes."""
        try:
            body: bytes = super().render(data, accepted_media_type, renderer_context)
        except UnicodeEncodeError:
            body = super().render(_encodable(data), accepted_media_type, renderer_context)
        return body


def _encodable(value: Any) -> Any:
    """`value` with every lone surrogate replaced."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {_encodable(name): _encodable(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_encodable(inner) for inner in value]
    return value


class JsonOrProblem(DefaultContentNegotiation):
    """A client that accepts problem documents only still gets its errors; what excludes both is a 406."""

    def get_accept_list(self, request: Request) -> list[str]:
        """The accepted media types; an empty header accepts anything, like an absent one."""
        return list(super().get_accept_list(request)) or ["*/*"]

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """The JSON renderer.

        Raises:
            NotAcceptable: Accept excludes JSON.
        """
        choices = list(renderers)
        try:
            chosen: tuple[BaseRenderer, str] = super().select_renderer(request, choices, format_suffix)
        except NotAcceptable:
            accepted = (entry.partition(";")[0].strip().lower() for entry in self.get_accept_list(request))
            if MEDIA_TYPE not in accepted:
                raise
            chosen = choices[0], choices[0].media_type
        return chosen
