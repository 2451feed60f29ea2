"""Signing in to the API with `Authorization: Bearer <key>` (RFC 6750)."""

from __future__ import annotations

from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.request import Request

from access.client_address import client_address
from access.keys import KeyElsewhere, KeyRefused, find_key, note_use
from access.models import ApiKey
from access.principals import KeyPrincipal
from access.throttles import count_stranger


class BearerKeyAuthentication(BaseAuthentication):
    """Takes an API key; other schemes are left to the next class, so a proxy's Basic header does no harm."""

    def authenticate(self, request: Request) -> tuple[KeyPrincipal, ApiKey] | None:
        """The key's stand-in user and the key, or None where no key was sent.

        Raises:
            AuthenticationFailed: a key was sent and is unknown, revoked or expired.
            PermissionDenied: the key can't be used from this address.
            Throttled: this address failed too often.
        """
        parts = get_authorization_header(request).split()
        if not parts or parts[0].lower() != b"bearer":
            return None
        now = timezone.now()
        try:
            key = find_key(
                text=b" ".join(parts[1:]).decode("latin-1"), now=now, address=client_address(request._request)
            )
        except KeyRefused as refusal:
            # For the audit trail, see AuditMiddleware.
            request._request.key_refusal = refusal  # type: ignore[attr-defined]
            count_stranger(request)
            if isinstance(refusal, KeyElsewhere):
                raise PermissionDenied(str(refusal)) from refusal
            raise AuthenticationFailed(str(refusal)) from refusal
        note_use(key_id=key.pk, now=now)
        return KeyPrincipal(key), key

    def authenticate_header(self, request: Request) -> str:
        """The challenge of a 401 (RFC 6750, section 3: with at least one parameter)."""
        return 'Bearer realm="API Scheduler"'
