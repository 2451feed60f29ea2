"""API keys (guarantee D8)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import timedelta

import pytest

from access.keys import (
    AlreadyRevoked,
    InvalidKeyRequest,
    KeyElsewhere,
    KeyRefused,
    create_key,
    find_key,
    revoke_key,
    update_key,
)
from access.models import ApiKey
from tests.factories import NOW

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)
HERE = "192.0.2.7"


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
    assert find_key(text=text, now=NOW, address=HERE) == key


@pytest.mark.parametrize("text", ["", "aps_", "aps_" + "A" * 43, "\0", "é" * 47])
def test_it_refuses_texts_that_are_no_key(text: str) -> None:
    with pytest.raises(KeyRefused, match="not known"):
        find_key(text=text, now=NOW, address=HERE)


def test_a_key_ends_with_its_last_moment() -> None:
    _, text = new_key(days=1)
    end = NOW + timedelta(days=1)
    assert find_key(text=text, now=end - SECOND, address=HERE)
    with pytest.raises(KeyRefused, match="expired"):
        find_key(text=text, now=end, address=HERE)


def test_a_revoked_key_stays_revoked_since_the_first_time() -> None:
    key, text = new_key()
    revoke_key(key_id=key.pk, now=NOW)
    with pytest.raises(AlreadyRevoked):
        revoke_key(key_id=key.pk, now=NOW + SECOND)
    assert ApiKey.objects.get().revoked_at == NOW
    with pytest.raises(KeyRefused, match="revoked"):
        find_key(text=text, now=NOW, address=HERE)


def test_it_gives_no_scope_that_its_maker_lacks() -> None:
    with pytest.raises(InvalidKeyRequest, match="You can't give the scope admin"):
        create_key(name="x", scopes=["read", "admin"], expires_at=None, now=NOW, granted_by=frozenset({"read"}))
    assert not ApiKey.objects.exists()


def test_every_problem_is_named_at_once() -> None:
    with pytest.raises(InvalidKeyRequest) as refusal:
        create_key(name="", scopes=["root"], expires_at=NOW, now=NOW, cidrs=["home"])
    assert refusal.value.errors.keys() == {"name", "scopes", "expires_at", "cidrs"}


def test_networks_are_kept_in_their_usual_spelling() -> None:
    key, _ = create_key(
        name="x", scopes=["read"], expires_at=None, now=NOW, cidrs=[" 10.1.2.3/8", "::1", "2001:DB8::/32", "10.0.0.0/8"]
    )
    assert key.cidrs == ["10.0.0.0/8", "::1/128", "2001:db8::/32"]


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("11.0.0.0", False),
        ("9.255.255.255", False),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        ("unknown", False),
        ("", False),
    ],
)
def test_a_key_with_networks_is_good_from_there_only(address: str, allowed: bool) -> None:
    _, text = create_key(name="x", scopes=["read"], expires_at=None, now=NOW, cidrs=["10.0.0.0/8", "2001:db8::/32"])
    if allowed:
        assert find_key(text=text, now=NOW, address=address)
        return
    with pytest.raises(KeyElsewhere, match=f"can't be used from {address}"):
        find_key(text=text, now=NOW, address=address)


def test_name_networks_and_end_can_change() -> None:
    key, _ = new_key()
    update_key(key_id=key.pk, changes={"name": " other ", "cidrs": ["::/0"], "expires_at": NOW + SECOND}, now=NOW)
    key.refresh_from_db()
    assert (key.name, key.cidrs, key.expires_at) == ("other", ["::/0"], NOW + SECOND)


def test_nothing_of_a_revoked_key_changes() -> None:
    key, _ = new_key()
    revoke_key(key_id=key.pk, now=NOW)
    with pytest.raises(AlreadyRevoked):
        update_key(key_id=key.pk, changes={"name": "other"}, now=NOW)
    key.refresh_from_db()
    assert key.name == "CI"


@pytest.mark.parametrize(
    "cidrs", [["10.0.0.0/33"], [""], ["example.com"], ["1.2.3.4:80"], [f"10.0.{n}.0/24" for n in range(51)]]
)
def test_it_refuses_networks_that_are_none(cidrs: list[str]) -> None:
    with pytest.raises(InvalidKeyRequest) as refusal:
        create_key(name="x", scopes=["read"], expires_at=None, now=NOW, cidrs=cidrs)
    assert set(refusal.value.errors) == {"cidrs"}
