"""Filters of lists. A query parameter that is misspelt, repeated or wrong is a 422: a typo must not list everything."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from rest_framework.filters import BaseFilterBackend
from rest_framework.request import Request

from scheduler_project.problems import Unacceptable, bad_query

if TYPE_CHECKING:
    from rest_framework.views import APIView  # it imports filters through its settings

Json = dict[str, Any]
UUID_SCHEMA: Json = {"type": "string", "format": "uuid"}
MOMENT_SCHEMA: Json = {"type": "string", "format": "date-time"}
TEXT_SCHEMA: Json = {"type": "string"}


def refuse_other_parameters(request: Request, known: Collection[str]) -> None:
    """Let the request pass if each of its query parameters is one of `known` and occurs once.

    Raises:
        Unacceptable: names the first that isn't.
    """
    for name, values in request.query_params.lists():
        if name not in known:
            raise _unknown(name, known)
        if len(values) > 1:
            raise bad_query(name, "Is given more than once; give it once.", "repeated")


def _unknown(name: str, known: Collection[str]) -> Unacceptable:
    near = difflib.get_close_matches(name[:100], known, n=3)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(sorted(known)) or 'none'}."
    return bad_query(name[:100], f"There is no such parameter. {hint}", "unknown")


def read_choices(request: Request, name: str, choices: Collection[str]) -> list[str] | None:
    """One of `choices`, or several with commas between them; None where the parameter is absent."""
    text = request.query_params.get(name)
    if text is None:
        return None
    chosen = text.split(",")
    if not set(chosen) <= set(choices):
        raise bad_query(name, f"Must be one or more, with commas, of: {', '.join(choices)}.", "invalid_choice")
    return chosen


def choices_schema(choices: Collection[str]) -> Json:
    """What `read_choices` takes, in OpenAPI's words."""
    one = "|".join(choices)
    return {"type": "string", "pattern": f"^({one})(,({one}))*$"}


class ListFilters(BaseFilterBackend):
    """Base of a list's filters: `parameters` maps each name to its OpenAPI schema and description."""

    parameters: ClassVar[Mapping[str, tuple[Json, str]]] = {}

    def filter_queryset(self, request: Request, queryset: Any, view: APIView) -> Any:
        """What the parameters leave of the list."""
        paging = {parameter["name"] for parameter in view.paginator.get_schema_operation_parameters(view)}  # type: ignore[attr-defined]
        refuse_other_parameters(request, {*self.parameters, *paging})
        return self.narrow(request, queryset)

    def narrow(self, request: Request, queryset: Any) -> Any:
        """Apply each parameter that is there; raises Unacceptable where one can't be read."""
        raise NotImplementedError

    def get_schema_operation_parameters(self, view: APIView) -> list[Json]:
        """The parameters in OpenAPI's words."""
        return [
            {"name": name, "in": "query", "required": False, "description": description, "schema": schema}
            for name, (schema, description) in self.parameters.items()
        ]
