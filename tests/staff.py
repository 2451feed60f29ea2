"""Browsers of people who are signed in to the admin."""

from __future__ import annotations

from django.test import Client

from tests.signed_in import make_user


def superuser() -> Client:
    """Someone who may do everything."""
    return _client(is_superuser=True, username="root")


def staff(*permissions: str) -> Client:
    """Someone who may do just this: permissions as `app.codename`."""
    return _client(*permissions)


def _client(*permissions: str, **fields: object) -> Client:
    client = Client()
    client.force_login(make_user(*permissions, **fields))
    return client
