"""Who asks: a key or a signed-in user, and what either may do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.http import HttpRequest
from rest_framework.request import Request

from access.audit import Actor
from access.client_address import client_address
from access.models import ActorType, ApiKey, Scope
from access.roles import MANAGES_ACCESS, READS, RUNS, WRITES

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractUser

EVERYTHING = frozenset(Scope.values)
# The permissions that make a scope.
NEEDED: dict[str, frozenset[str]] = {
    Scope.READ.value: READS,
    Scope.WRITE.value: READS | WRITES,
    Scope.RUN.value: READS | RUNS,
    Scope.ADMIN.value: READS | WRITES | RUNS | MANAGES_ACCESS,
}


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


def actor_of(request: HttpRequest) -> Actor:
    """Who sent a request, as far as it has signed in by now."""
    address, key, user = client_address(request), getattr(request, "auth", None), getattr(request, "user", None)
    if isinstance(key, ApiKey):
        return actor_of_key(key, address=address)
    if user is not None and user.is_authenticated:
        return Actor(ActorType.USER, str(user.pk), user.get_username(), address=address)
    return Actor(ActorType.ANONYMOUS, address=address)


def actor_of_key(key: ApiKey, *, address: str) -> Actor:
    """A key as somebody who acts."""
    return Actor(ActorType.KEY, str(key.pk), key.name, key=key.prefix, address=address)


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
    """What active staff have follows from their permissions in the admin; superusers may do everything.

    `admin` gives all that a key with this scope could do, so it takes the permissions of all scopes.
    """
    if not user.is_active:
        return frozenset()
    if user.is_superuser:
        return EVERYTHING
    if not user.is_staff:
        return frozenset()
    return frozenset(scope for scope, needed in NEEDED.items() if user.has_perms(needed))
