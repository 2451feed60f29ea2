"""Signing in with a password: the one way for the admin's login page and for POST /auth/token."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth import authenticate, get_user_model
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest

from access.audit import Actor, record_refusal
from access.client_address import client_address
from access.lockout import LockedOut, begin_attempt, succeed
from access.models import ActorType

# Longer texts are no user's name (150) or password: hashing a megabyte would be work for free.
LONGEST_NAME = 150
LONGEST_PASSWORD = 4096


class WrongCredentials(Exception):
    """Unknown user, wrong password or a disabled account: the answer doesn't say which."""

    def __init__(self) -> None:
        super().__init__("This user name and password don't go together, or the account is disabled.")


def sign_in(request: HttpRequest, *, username: str, password: str, now: datetime) -> User:
    """The active user with this name and password.

    Whether the account exists shows neither in the answer nor in its cost: Django hashes the password in any case.

    Raises:
        WrongCredentials: no such user and password.
        LockedOut: too many failures before; the password is not looked at.
    """
    if len(username) > LONGEST_NAME or len(password) > LONGEST_PASSWORD or "\0" in username:
        username, password = username[:LONGEST_NAME].replace("\0", ""), ""
    address = client_address(request)
    known = get_user_model().objects.filter(username=username).exists()
    somebody = Actor(ActorType.ANONYMOUS, name=username if known else "", address=address)
    try:
        attempt = begin_attempt(username=username, address=address, known=known, now=now)
    except LockedOut as refusal:
        record_refusal("login.locked", now=now, detail=str(refusal), actor=somebody)
        raise
    user = authenticate(request, username=username, password=password)
    if not isinstance(user, User):
        # Locked from now on: worth an event of its own, whatever else was written in this minute.
        action = "login.lockout" if attempt.last else "login.failed"
        record_refusal(action, now=now, detail="Locked for 15 minutes." if attempt.last else "", actor=somebody)
        raise WrongCredentials
    with transaction.atomic():
        succeed(attempt)
    return user
