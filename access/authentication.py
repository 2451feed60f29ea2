"""Signing in to the API with `Authorization: Bearer ...` (RFC 6750): an API key, or a token of POST /auth/token."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import APIException, AuthenticationFailed, PermissionDenied
from rest_framework.request import Request

from access.client_address import client_address
from access.keys import KeyElsewhere, KeyRefused, find_key
from access.last_use import note_use
from access.models import ApiKey, SignIn
from access.principals import KeyPrincipal
from access.throttles import count_stranger
from access.tokens import TokenRefused, find_sign_in, looks_like_token

CHALLENGE = 'Bearer realm="API Scheduler"'


class BearerTokenAuthentication(BaseAuthentication):
    """Takes an access token; anything else is left to the next class."""

    def authenticate(self, request: Request) -> tuple[User, SignIn] | None:
        """The user as the database knows him now, and his sign-in; None where no token was sent.

        Raises:
            AuthenticationFailed: the token, its sign-in or its account is over.
            Throttled: this address failed too often.
        """
        text = _bearer_text(request)
        if text is None or not looks_like_token(text):
            return None
        now = timezone.now()
        try:
            sign_in = find_sign_in(text=text, now=now)
        except TokenRefused as refusal:
            raise _refused(request, KeyRefused(str(refusal))) from refusal
        note_use(sign_in, now=now)
        return sign_in.user, sign_in

    def authenticate_header(self, request: Request) -> str:
        """The challenge of a 401 (RFC 6750, section 3: with at least one parameter)."""
        return CHALLENGE


class BearerKeyAuthentication(BaseAuthentication):
    """Takes an API key; other schemes are left to the next class, so a proxy's Basic header does no harm."""

    def authenticate(self, request: Request) -> tuple[KeyPrincipal, ApiKey] | None:
        """The key's stand-in user and the key, or None where no key was sent.

        Raises:
            AuthenticationFailed: a key was sent and is unknown, revoked or expired.
            PermissionDenied: the key can't be used from this address.
            Throttled: this address failed too often.
        """
        text = _bearer_text(request)
        if text is None:
            return None
        now, address = timezone.now(), client_address(request._request)
        try:
            key = find_key(text=text, now=now, address=address)
        except KeyRefused as refusal:
            raise _refused(request, refusal) from refusal
        note_use(key, now=now)
        return KeyPrincipal(key), key

    def authenticate_header(self, request: Request) -> str:
        """The challenge of a 401 (RFC 6750, section 3: with at least one parameter)."""
        return CHALLENGE


def _bearer_text(request: Request) -> str | None:
    parts = get_authorization_header(request).split()
    if not parts or parts[0].lower() != b"bearer":
        return None
    return b" ".join(parts[1:]).decode("latin-1")


def _refused(request: Request, refusal: KeyRefused) -> APIException:
    # For the audit trail, see AuditMiddleware.
    request._request.key_refusal = refusal  # type: ignore[attr-defined]
    count_stranger(request)
    return PermissionDenied(str(refusal)) if isinstance(refusal, KeyElsewhere) else AuthenticationFailed(str(refusal))
