"""/auth: tokens for people and scripts that sign in with a password."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.audit import Actor, record, record_refusal
from access.authentication import CHALLENGE
from access.client_address import client_address
from access.lockout import LockedOut
from access.models import ActorType, Scope
from access.principals import scopes_of_user
from access.serializers import PairSerializer, RefreshSerializer, SignInSerializer
from access.sign_in import WrongCredentials, sign_in
from access.throttles import count_stranger
from access.tokens import Pair, TokenRefused, end_sign_in, open_sign_in, refresh_pair
from scheduler_project.audit_trail import thing_of
from scheduler_project.problems import Problem


class _PasswordView(APIView):
    """Open to strangers, who are counted by address."""

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Count the address before anything costs something."""
        super().initial(request, *args, **kwargs)
        count_stranger(request)

    def answer(self, pair: Pair, user: User) -> Response:
        """The pair, for nobody else to keep."""
        body = {
            "access": pair.access,
            "refresh": pair.refresh,
            "token_type": "Bearer",
            "expires_in": pair.expires_in,
            "scopes": [scope for scope in Scope.values if scope in scopes_of_user(user)],
        }
        return Response(PairSerializer(body).data, headers={"Cache-Control": "no-store"})

    def note(self, request: Request, verb: str, user: User) -> None:
        """Put on record who did it: no credentials came with the request itself."""
        actor = Actor(ActorType.USER, str(user.pk), user.get_username(), address=client_address(request._request))
        record(f"user.{verb}", thing_of(user), now=timezone.now(), detail=request.path, actor=actor)


class TokenView(_PasswordView):
    """Signing in."""

    @extend_schema(
        operation_id="auth_token", request=SignInSerializer, responses=PairSerializer, auth=[], tags=["auth"]
    )
    def post(self, request: Request) -> Response:
        """Sign in with a password: an access token for ten minutes, and a refresh token for the next one."""
        sent = SignInSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        now = timezone.now()
        try:
            user = sign_in(request._request, **sent.validated_data, now=now)
        except WrongCredentials as refusal:
            raise NotSignedIn(str(refusal)) from refusal
        except LockedOut as refusal:
            raise TryLater(refusal) from refusal
        if not scopes_of_user(user):
            raise PermissionDenied("This account has no role. Ask an administrator for one.")
        with transaction.atomic():
            _, pair = open_sign_in(user=user, address=client_address(request._request), now=now)
            self.note(request, "login", user)
        return self.answer(pair, user)


class RefreshView(_PasswordView):
    """Staying signed in."""

    @extend_schema(
        operation_id="auth_token_refresh", request=RefreshSerializer, responses=PairSerializer, auth=[], tags=["auth"]
    )
    def post(self, request: Request) -> Response:
        """A new pair for a refresh token. Each is good once; one that comes again ends the sign-in."""
        try:
            opened, pair = refresh_pair(
                text=_refresh_text(request),
                now=timezone.now(),
                note=lambda sign_in: self.note(request, "refresh", sign_in.user),
            )
        except TokenRefused as refusal:
            if refusal.reused:
                thing = thing_of(refusal.reused.user)
                record_refusal("token.reused", thing, now=timezone.now(), detail=str(refusal))
            raise NotSignedIn(str(refusal)) from refusal
        return self.answer(pair, opened.user)


class LogoutView(_PasswordView):
    """Signing out."""

    @extend_schema(operation_id="auth_logout", request=RefreshSerializer, responses={204: None}, auth=[], tags=["auth"])
    def post(self, request: Request) -> Response:
        """Sign out: neither token of the pair opens anything from now on."""
        try:
            end_sign_in(
                text=_refresh_text(request),
                now=timezone.now(),
                note=lambda sign_in: self.note(request, "logout", sign_in.user),
            )
        except TokenRefused as refusal:
            raise NotSignedIn(str(refusal)) from refusal
        return Response(status=204)


class NotSignedIn(Problem):
    """401: wrong credentials, or a token that is over."""

    status_code = 401

    def __init__(self, detail: str) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": CHALLENGE})


class TryLater(Problem):
    """429: locked out."""

    status_code = 429

    def __init__(self, refusal: LockedOut) -> None:
        super().__init__(str(refusal), headers={"Retry-After": str(refusal.retry_after)})


def _refresh_text(request: Request) -> str:
    sent = RefreshSerializer(data=request.data)
    sent.is_valid(raise_exception=True)
    return str(sent.validated_data["refresh"])
