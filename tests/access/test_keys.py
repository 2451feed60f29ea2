"""API keys."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import timedelta

import pytest

from access.keys import InvalidKeyRequest, KeyRefused, create_key, find_key, note_use, revoke_keys
from access.models import ApiKey
from tests.factories import NOW

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)


def new_key(*, days: int | None = None, scopes: Sequence[str] = ("read",), name: str = "CI") -> tuple[ApiKey, str]:
    ends = None if days is None else NOW + timedelta(days=days)
    return create_key(name=name, scopes=scopes, expires_at=ends, now=NOW)


def test_it_keeps_the_hash_and_a_prefix_only() -> None:
    key, text = new_key()
    assert text.startswith("aps_")
    assert len(text) == 47
    key.refresh_from_db()
    assert key.key_hash == hashlib.sha256(text.encode()).hexdigest()
    assert key.prefix == text[:12]
    assert text[12:] not in str(vars(key))


def test_no_two_keys_are_alike() -> None:
    assert len({new_key()[1] for _ in range(5)}) == 5


def test_scopes_are_kept_once_and_in_order() -> None:
    assert new_key(scopes=["run", "read", "run"])[0].scopes == ["read", "run"]


@pytest.mark.parametrize("name", ["", "   ", "x" * 201, "a\nb", "a\0b"])
def test_it_refuses_names_that_say_nothing(name: str) -> None:
    with pytest.raises(InvalidKeyRequest, match="name"):
        new_key(name=name)


@pytest.mark.parametrize("scopes", [[], ["root"], ["read", "READ"]])
def test_it_refuses_scopes_that_do_not_exist(scopes: list[str]) -> None:
    with pytest.raises(InvalidKeyRequest, match="choose from read, write, run, admin"):
        new_key(scopes=scopes)


def test_it_refuses_an_end_in_the_past() -> None:
    with pytest.raises(InvalidKeyRequest, match="future"):
        new_key(days=0)


def test_it_finds_a_key_by_its_text() -> None:
    key, text = new_key(days=1)
    assert find_key(text=text, now=NOW) == key


@pytest.mark.parametrize("text", ["", "aps_", "aps_" + "A" * 43, "\0", "é" * 47])
def test_it_refuses_texts_that_are_no_key(text: str) -> None:
    with pytest.raises(KeyRefused, match="not known"):
        find_key(text=text, now=NOW)


def test_a_key_ends_with_its_last_moment() -> None:
    _, text = new_key(days=1)
    end = NOW + timedelta(days=1)
    assert find_key(text=text, now=end - SECOND)
    with pytest.raises(KeyRefused, match="expired"):
        find_key(text=text, now=end)


def test_a_revoked_key_stays_revoked_since_the_first_time() -> None:
    key, text = new_key()
    assert revoke_keys(key_ids=[key.pk], now=NOW) == 1
    assert revoke_keys(key_ids=[key.pk], now=NOW + SECOND) == 0
    assert ApiKey.objects.get().revoked_at == NOW
    with pytest.raises(KeyRefused, match="revoked"):
        find_key(text=text, now=NOW)


def test_use_is_written_at_most_once_a_minute() -> None:
    key, _ = new_key()
    moments = [NOW + SECOND * seconds for seconds in (0, 1, 59, 60, 61)]
    assert [note_use(key_id=key.pk, now=moment) for moment in moments] == [True, False, False, True, False]
    assert ApiKey.objects.get().last_used_at == NOW + timedelta(minutes=1)
