"""When keys and sign-ins were last used."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from access.keys import create_key
from access.last_use import note_use
from access.models import ApiKey, SignIn
from access.tokens import open_sign_in
from tests.factories import NOW
from tests.signed_in import make_user

pytestmark = pytest.mark.django_db


def new_key() -> ApiKey:
    return create_key(name="CI", scopes=["read"], expires_at=None, now=NOW)[0]


def new_sign_in() -> SignIn:
    return open_sign_in(user=make_user(), address="192.0.2.7", now=NOW)[0]


@pytest.fixture(params=[new_key, new_sign_in])
def used(request: pytest.FixtureRequest) -> ApiKey | SignIn:
    """Something that opens the API."""
    made: ApiKey | SignIn = request.param()
    return made


def test_use_is_written_at_most_once_a_minute(used: ApiKey | SignIn) -> None:
    written = []
    for seconds in (0, 1, 59, 60, 61):
        used.refresh_from_db()
        written.append(note_use(used, now=NOW + timedelta(seconds=seconds)))
    assert written == [True, False, False, True, False]
    used.refresh_from_db()
    assert used.last_used_at == NOW + timedelta(minutes=1)


def test_a_fresh_one_costs_no_statement(
    used: ApiKey | SignIn, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    used.last_used_at = NOW
    with django_assert_num_queries(0):
        note_use(used, now=NOW + timedelta(seconds=59))


def test_of_two_requests_at_once_one_writes(used: ApiKey | SignIn) -> None:
    # Both were read before either wrote, so `used` stays as it was.
    assert [note_use(used, now=NOW), note_use(used, now=NOW)] == [True, False]
