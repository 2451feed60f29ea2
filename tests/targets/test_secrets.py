"""Secret headers: what they are, how they are masked, kept and stored (guarantee D7)."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet
from django.db import connection, transaction
from pytest_django import Settings

from targets.errors import InvalidFields
from targets.masking import MASK, is_secret_header, mask_headers
from targets.models import Target
from targets.secrets import Undecryptable, keep_masked
from tests.factories import make_target

CANARY = "canary-4f1c9e77"


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "AUTHORIZATION",
        "cookie",
        "X-API-Key",
        "apikey",
        "X-Auth-Token",
        "Client-Secret",
        "X-Password",
        "X-Hub-Signature-256",
    ],
)
def test_it_knows_a_secret_by_its_name(name: str) -> None:
    assert is_secret_header(name)


@pytest.mark.parametrize("name", ["Accept", "User-Agent", "Content-Type", "X-Note", "Idempotency-Key", "Cookies"])
def test_it_takes_no_other_header_for_a_secret(name: str) -> None:
    assert not is_secret_header(name)


def test_it_masks_secret_values_only() -> None:
    assert mask_headers({"Authorization": "Bearer x", "Accept": "*/*"}) == {"Authorization": MASK, "Accept": "*/*"}


def test_a_mask_that_comes_back_keeps_the_stored_value() -> None:
    stored = {"Authorization": "Bearer x", "X-Note": "a"}
    assert keep_masked({"Authorization": MASK, "X-Note": "b"}, stored) == {"Authorization": "Bearer x", "X-Note": "b"}


def test_a_mask_finds_its_value_whatever_the_case_of_the_name() -> None:
    assert keep_masked({"x-api-key": MASK}, {"X-API-Key": "k"}) == {"x-api-key": "k"}


def test_a_new_value_replaces_the_stored_one() -> None:
    assert keep_masked({"X-API-Key": "new"}, {"X-API-Key": "old"}) == {"X-API-Key": "new"}


def test_a_header_that_is_left_out_goes() -> None:
    assert keep_masked({}, {"X-API-Key": "old"}) == {}


@pytest.mark.parametrize("stored", [{}, {"X-Other-Key": "k"}, {"X-Note": "k"}])
def test_it_refuses_a_mask_without_a_stored_value(stored: dict[str, str]) -> None:
    with pytest.raises(InvalidFields) as refusal:
        keep_masked({"X-API-Key": MASK}, stored)
    assert refusal.value.errors == {"headers": "X-API-Key has no stored value to keep. Send its real value."}


def test_a_mask_for_a_header_that_is_no_secret_is_just_a_value() -> None:
    assert keep_masked({"X-Note": MASK}, {"X-Note": "a"}) == {"X-Note": MASK}


def test_it_changes_neither_of_its_arguments() -> None:
    new, stored = {"X-API-Key": MASK}, {"X-API-Key": "k"}
    keep_masked(new, stored)
    assert (new, stored) == ({"X-API-Key": MASK}, {"X-API-Key": "k"})


@pytest.mark.django_db
def test_headers_come_back_from_the_database_as_they_went_in() -> None:
    headers = {"Authorization": "Bearer x", "X-Note": "a\tb"}
    assert Target.objects.get(pk=make_target(headers=headers).pk).headers == headers


@pytest.mark.django_db
def test_a_database_dump_shows_nothing_of_a_header() -> None:
    make_target(headers={"X-Canary-Name": CANARY, "Authorization": f"Bearer {CANARY}"})
    with connection.cursor() as cursor:
        dump = ""
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            dump += repr(cursor.fetchall())
    assert "Orders API" in dump
    assert CANARY not in dump
    assert "X-Canary-Name" not in dump


@pytest.mark.django_db
def test_a_new_first_key_still_reads_what_an_older_one_wrote(settings: Settings) -> None:
    target = make_target(headers={"X-Note": "a"})
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode(), *settings.FIELD_ENCRYPTION_KEYS]
    assert Target.objects.get(pk=target.pk).headers == {"X-Note": "a"}


@pytest.mark.django_db
def test_the_first_key_is_the_one_that_encrypts(settings: Settings) -> None:
    older = settings.FIELD_ENCRYPTION_KEYS
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode(), *older]
    target = make_target(headers={"X-Note": "a"})
    settings.FIELD_ENCRYPTION_KEYS = older
    assert isinstance(Target.objects.get(pk=target.pk).headers, Undecryptable)


@pytest.mark.django_db
def test_a_row_that_no_key_opens_breaks_no_list_and_is_never_overwritten(settings: Settings) -> None:
    make_target(headers={"X-Note": "a"})
    keys = settings.FIELD_ENCRYPTION_KEYS
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    (target,) = Target.objects.all()
    with pytest.raises(ValueError, match="must not be written back"), transaction.atomic():
        Target.objects.filter(pk=target.pk).update(headers=target.headers)
    settings.FIELD_ENCRYPTION_KEYS = keys
    assert Target.objects.get(pk=target.pk).headers == {"X-Note": "a"}


@pytest.mark.django_db
@pytest.mark.parametrize("stored", ['{"X-Api-Key": "plain"}', "gAAAAA", "", "\u00fc"])
def test_what_is_no_token_is_never_taken_for_a_value(stored: str) -> None:
    """Whoever can write to the database, or has restored it by hand, must not get text sent unencrypted."""
    target = make_target(headers={"X-Note": "a"})
    with connection.cursor() as cursor:
        cursor.execute("UPDATE targets_target SET headers = %s", [stored])
    found = Target.objects.get(pk=target.pk).headers
    assert isinstance(found, Undecryptable)
    assert found == {}
