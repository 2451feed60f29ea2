"""Tokens for people who sign in with a password: a short-lived access token, a refresh token that is good once.

A sign-in is a row. Both tokens name it, and it is read with every request: what ends the sign-in, the account or the
role ends the tokens at once. A refresh token is good once; if one comes a second time, somebody has a copy, and the
sign-in ends.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.utils.crypto import constant_time_compare
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import AccessToken, Token

from access.models import SignIn

SIGN_IN_CLAIM = "sid"


class RefreshToken(Token):
    """Good for one new pair."""

    token_type = "refresh"  # noqa: S105 - a kind, no secret
    lifetime = api_settings.REFRESH_TOKEN_LIFETIME


class AlreadyEnded(Exception):
    """The sign-in is over."""

    def __init__(self) -> None:
        super().__init__("This sign-in has ended already.")


class TokenRefused(Exception):
    """The token opens nothing; the message says why. `reused`: the sign-in that was ended, because it came again."""

    def __init__(self, message: str, reused: SignIn | None = None) -> None:
        self.reused = reused
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Pair:
    """What a client gets; `expires_in` are the seconds that the access token is good for."""

    access: str
    refresh: str
    expires_in: int


def open_sign_in(*, user: User, address: str, now: datetime) -> tuple[SignIn, Pair]:
    """A new sign-in with its first pair."""
    sign_in = SignIn(
        user=user,
        address=address[:64],
        credentials=user.get_session_auth_hash(),
        created_at=now,
        refreshed_at=now,
        expires_at=now + _lifetime(),
    )
    pair = _new_pair(sign_in)
    sign_in.save(force_insert=True)
    return sign_in, pair


def refresh_pair(*, text: str, now: datetime, note: Callable[[SignIn], None]) -> tuple[SignIn, Pair]:
    """A new pair for a refresh token, which is good for nothing from then on; `note` is called in the transaction.

    Raises:
        TokenRefused: not one of ours, expired, used before, or of a sign-in or account that has ended.
    """
    with transaction.atomic():
        token, sign_in = _read_refresh(text, now)
        if constant_time_compare(sign_in.refresh_id, token["jti"]):
            pair = _new_pair(sign_in)
            sign_in.refreshed_at, sign_in.expires_at = now, now + _lifetime()
            sign_in.save(update_fields=["refresh_id", "refreshed_at", "expires_at"])
            note(sign_in)
            return sign_in, pair
        sign_in.ended_at = now
        sign_in.save(update_fields=["ended_at"])
    raise TokenRefused("This refresh token was used before, so its sign-in has been ended. Sign in again.", sign_in)


def end_sign_in(*, text: str, now: datetime, note: Callable[[SignIn], None]) -> None:
    """Sign out: both tokens of the pair open nothing from now on; `note` is called in the transaction.

    Raises:
        TokenRefused: not a refresh token of ours, or its sign-in has ended already.
    """
    with transaction.atomic():
        _, sign_in = _read_refresh(text, now)
        sign_in.ended_at = now
        sign_in.save(update_fields=["ended_at"])
        note(sign_in)


def find_sign_in(*, text: str, now: datetime) -> SignIn:
    """The sign-in of an access token, with its user; read from the database, so that nothing outlives its end.

    Raises:
        TokenRefused: not one of ours, expired, or of a sign-in or account that has ended.
    """
    token = _verified(AccessToken, text)
    return _alive(SignIn.objects.select_related("user").filter(pk=_sign_in_id(token)).first(), now)


def revoke_sign_in(*, sign_in_id: uuid.UUID, now: datetime) -> SignIn:
    """End somebody's sign-in: its tokens open nothing from now on. Call it in a transaction.

    Raises:
        SignIn.DoesNotExist: there is none.
        AlreadyEnded: it is over in whichever way.
    """
    sign_in = _locked().get(pk=sign_in_id)
    if state_of(sign_in, now) != "active":
        raise AlreadyEnded
    sign_in.ended_at = now
    sign_in.save(update_fields=["ended_at"])
    return sign_in


def state_of(sign_in: SignIn, now: datetime) -> str:
    """`active`, or how it ended: `ended`, `expired`, or `void` with its account or password."""
    if sign_in.ended_at is not None:
        return "ended"
    if sign_in.expires_at <= now:
        return "expired"
    return "active" if _stands(sign_in) else "void"


def looks_like_token(text: str) -> bool:
    """Whether it has the form of a JWT (RFC 7519): three parts with dots between. API keys have none."""
    return text.count(".") == 2


def forget_old(*, now: datetime, limit: int = 500) -> int:
    """Delete up to `limit` sign-ins whose refresh token has expired; how many. Ended ones stay until then."""
    old = SignIn.objects.filter(expires_at__lt=now).order_by("expires_at")
    ids = list(old.values_list("pk", flat=True)[:limit])
    return SignIn.objects.filter(pk__in=ids).delete()[0] if ids else 0


def _read_refresh(text: str, now: datetime) -> tuple[Token, SignIn]:
    token = _verified(RefreshToken, text)
    return token, _alive(_locked().filter(pk=_sign_in_id(token)).first(), now)


def _locked() -> QuerySet[SignIn]:
    return SignIn.objects.select_for_update(no_key=True, of=("self",)).select_related("user")


def _verified(kind: type[Token], text: str) -> Token:
    try:
        return kind(text)  # type: ignore[arg-type]  # simplejwt takes the text of a token for one
    except TokenError:
        raise TokenRefused("This token is not known, or has expired. Refresh it, or sign in again.") from None


def _sign_in_id(token: Token) -> uuid.UUID:
    try:
        return uuid.UUID(str(token.get(SIGN_IN_CLAIM)))
    except ValueError:
        return uuid.UUID(int=0)  # nobody's


def _alive(sign_in: SignIn | None, now: datetime) -> SignIn:
    if sign_in is None or sign_in.ended_at is not None or sign_in.expires_at <= now:
        raise TokenRefused("This sign-in has ended. Sign in again.")
    if not _stands(sign_in):
        raise TokenRefused("This sign-in has ended: the account was disabled, or its password has changed.")
    return sign_in


def _stands(sign_in: SignIn) -> bool:
    # Another password ends what was opened with the one before, as Django does with sessions.
    user = sign_in.user
    return user.is_active and constant_time_compare(sign_in.credentials, user.get_session_auth_hash())


def _new_pair(sign_in: SignIn) -> Pair:
    """A pair of tokens; only the id of the refresh token is kept, from which nobody can make one."""
    refresh, access = RefreshToken(), AccessToken()
    for token in (refresh, access):
        token[SIGN_IN_CLAIM] = str(sign_in.pk)
    sign_in.refresh_id = str(refresh["jti"])
    lifetime: timedelta = api_settings.ACCESS_TOKEN_LIFETIME
    return Pair(access=str(access), refresh=str(refresh), expires_in=int(lifetime.total_seconds()))


def _lifetime() -> timedelta:
    lifetime: timedelta = api_settings.REFRESH_TOKEN_LIFETIME
    return lifetime
