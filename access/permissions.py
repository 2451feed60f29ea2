"""What a request needs: a scope per action."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.exceptions import NotAuthenticated, PermissionDenied
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from access.models import Scope
from access.principals import scopes_of
from access.throttles import count_stranger

if TYPE_CHECKING:
    from rest_framework.views import APIView  # it imports this module through its settings


class HasScope(BasePermission):
    """Reading needs `read`, everything else `write`, unless the view's `required_scopes` says otherwise.

    `required_scopes` maps an action of a viewset (`"run"`), or the lower-case method of a plain view (`"post"`), to a
    scope.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        """True, or an exception that says what is missing.

        Raises:
            NotAuthenticated: no credentials.
            PermissionDenied: the key or user lacks the scope.
            Throttled: too many requests without credentials from this address.
        """
        if not request.user or not request.user.is_authenticated:
            count_stranger(request)
            raise NotAuthenticated(
                'Send "Authorization: Bearer <API key>"; "manage.py create_api_key --name NAME" makes a key.'
            )
        needed = required_scope(request, view)
        if needed not in scopes_of(request):
            raise PermissionDenied(f"This needs the scope {needed}, which you don't have.")
        return True


def required_scope(request: Request, view: APIView) -> str:
    """The scope that this request to this view needs."""
    method = (request.method or "").lower()
    chosen: dict[str, str] = getattr(view, "required_scopes", {})
    action = getattr(view, "action", None) or method
    default = Scope.READ if method.upper() in SAFE_METHODS else Scope.WRITE
    return str(chosen.get(action, default))
