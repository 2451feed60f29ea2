"""What all viewsets of the API share."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from rest_framework.request import Request
from rest_framework.viewsets import GenericViewSet

from scheduler_project.json_parser import text_problem
from scheduler_project.problems import Problem, bad_query
from scheduler_project.query import UUID_PATTERN


class LengthRequired(Problem):
    """411: a body came in chunks; WSGI gives no way to know its end."""

    status_code = 411


class ResourceViewSet(GenericViewSet[Any]):
    """A resource with UUIDs: GET, POST, PATCH, DELETE.

    `required_scopes` maps actions to scopes where method and scope don't follow (see `access.permissions`). A path with
    a malformed id matches no route, so it is a 404 like an unknown one.
    """

    lookup_field = "id"
    lookup_value_regex = UUID_PATTERN
    http_method_names = ["get", "head", "post", "patch", "delete"]
    required_scopes: ClassVar[dict[str, str]] = {}

    @property
    def path_id(self) -> UUID:
        """The id in the path."""
        return UUID(self.kwargs[self.lookup_field])

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Sign in, check scope and rate; then what no handler should have to think of."""
        super().initial(request, *args, **kwargs)
        if "HTTP_TRANSFER_ENCODING" in request.META and "CONTENT_LENGTH" not in request.META:
            raise LengthRequired("Send the body with a Content-Length.")
        for name, values in request.query_params.lists():
            for text in (name, *values):
                problem = text_problem(text)
                if problem:
                    raise bad_query(name.replace("\0", "\N{REPLACEMENT CHARACTER}"), problem, "unsafe_text")
