"""Who asks: a key or a signed-in user, and what either may do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rest_framework.request import Request

from access.models import ApiKey, Scope

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractUser

EVERYTHING = frozenset(Scope.values)


class KeyPrincipal:
    """Stands in for a user where a request was authenticated by a key."""

    is_authenticated = True
    is_anonymous = False
    is_active = True
    is_staff = False
    is_superuser = False

    def __init__(self, key: ApiKey) -> None:
        self.pk = key.pk
        self.username = key.name

    def __str__(self) -> str:
        return self.username

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        """Keys have scopes, no admin permissions."""
        return False


def principal_of(request: Request) -> str:
    """A stable name for whoever sent the request, at most 64 characters: `key:ID` or `user:ID`."""
    if isinstance(request.auth, ApiKey):
        return f"key:{request.auth.pk}"
    return f"user:{request.user.pk}"


def scopes_of(request: Request) -> frozenset[str]:
    """What the sender may do; nothing for strangers."""
    if isinstance(request.auth, ApiKey):
        return scopes_of_key(request.auth)
    user: Any = request.user
    return scopes_of_user(user) if user and user.is_authenticated else frozenset()


def scopes_of_key(key: ApiKey) -> frozenset[str]:
    """The key's own scopes; admin implies all."""
    return EVERYTHING if Scope.ADMIN in key.scopes else frozenset(key.scopes) & EVERYTHING


def scopes_of_user(user: AbstractUser) -> frozenset[str]:
    """Superusers may do everything; staff read, and write or run with the matching admin permission."""
    if not user.is_active or not user.is_staff:
        return EVERYTHING if user.is_active and user.is_superuser else frozenset()
    if user.is_superuser:
        return EVERYTHING
    granted = {Scope.READ.value}
    if user.has_perm("schedules.change_schedule"):
        granted.add(Scope.WRITE.value)
    if user.has_perm("runs.add_run"):
        granted.add(Scope.RUN.value)
    return frozenset(granted)
