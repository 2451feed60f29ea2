"""Masks that come back, and secrets that don't follow a target to another place."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import pytest

from targets.errors import InvalidFields
from targets.masking import MASK
from targets.models import Target
from targets.request_template import live_signing_secrets
from targets.services import create_target, update_target
from targets.signing import OVERLAP
from tests.factories import NOW
from tests.targets.auths import BASIC, BEARER, EACH, HEADER_KEY, OAUTH2

pytestmark = pytest.mark.django_db
URL = "https://api.example.com/orders"
ELSEWHERE = "https://evil.example/orders"
OLD, NEW, NEWER = ("whsec_" + base64.b64encode(bytes([number]) * 32).decode() for number in range(3))


def created(**fields: Any) -> Target:
    return create_target(fields={"name": "Orders", "url": URL, **fields}, now=NOW)


def changed(target: Target, **changes: Any) -> Target:
    update_target(target_id=target.id, changes=changes, now=NOW)
    return Target.objects.get(pk=target.pk)


def refusal(target: Target, **changes: Any) -> dict[str, str]:
    before = Target.objects.filter(pk=target.pk).values().get()
    with pytest.raises(InvalidFields) as caught:
        changed(target, **changes)
    assert Target.objects.filter(pk=target.pk).values().get() == before
    return caught.value.errors


class TestMasks:
    @pytest.mark.parametrize("auth", EACH.values(), ids=EACH)
    def test_auth_that_is_sent_back_as_it_is_shown_stays(self, auth: dict[str, str]) -> None:
        shown = {
            name: MASK if "secret" in name or name in ("password", "token", "value") else auth[name] for name in auth
        }
        assert MASK in shown.values()
        assert changed(created(auth=auth), auth=shown).auth == auth

    def test_what_is_not_secret_can_change_alone(self) -> None:
        assert changed(created(auth=BASIC), auth={**BASIC, "username": "you", "password": MASK}).auth == {
            **BASIC,
            "username": "you",
        }

    def test_a_user_name_that_is_the_credential_is_kept_too(self) -> None:
        alone = {"type": "basic", "username": "sk_live_1", "password": ""}
        assert changed(created(auth=alone), auth={**alone, "username": MASK}).auth == alone

    def test_type_none_takes_the_auth_away(self) -> None:
        assert changed(created(auth=BASIC), auth={"type": "none"}).auth is None

    @pytest.mark.parametrize(
        ("stored", "sent", "field"),
        [
            (None, {**BEARER, "token": MASK}, "auth.token"),
            (BASIC, {**BEARER, "token": MASK}, "auth.token"),
            (BEARER, {**BASIC, "password": MASK}, "auth.password"),
            (HEADER_KEY, {**OAUTH2, "client_secret": MASK}, "auth.client_secret"),
        ],
    )
    def test_a_mask_without_a_stored_value_is_refused(self, stored: Any, sent: Any, field: str) -> None:
        assert set(refusal(created(**({"auth": stored} if stored else {})), auth=sent)) == {field}

    def test_nothing_can_be_kept_by_a_new_target(self) -> None:
        with pytest.raises(InvalidFields) as caught:
            created(auth={**BEARER, "token": MASK})
        assert set(caught.value.errors) == {"auth.token"}
        with pytest.raises(InvalidFields) as caught:
            created(signing_secret=MASK)
        assert set(caught.value.errors) == {"signing_secret"}

    def test_a_masked_signing_secret_stays(self) -> None:
        target = changed(created(signing_secret=OLD), signing_secret=MASK)
        assert (target.signing_secret, target.previous_signing_secret_until) == (OLD, None)


class TestAnotherOrigin:
    @pytest.mark.parametrize(
        "url",
        [ELSEWHERE, "http://api.example.com/orders", "https://api.example.com:8443/orders", "https://example.com/"],
    )
    def test_no_stored_secret_goes_there(self, url: str) -> None:
        target = created(headers={"X-Api-Key": "k", "Cookie": "c", "Accept": "a"}, auth=HEADER_KEY, signing_secret=OLD)
        problems = refusal(target, url=url)
        assert set(problems) == {"headers", "auth.value", "signing_secret"}
        assert "Send Cookie and X-Api-Key anew" in problems["headers"]

    @pytest.mark.parametrize("auth", EACH.values(), ids=EACH)
    def test_no_stored_auth_goes_there(self, auth: dict[str, str]) -> None:
        assert len(refusal(created(auth=auth), url=ELSEWHERE)) == 1

    def test_masks_that_come_along_are_no_secrets_sent_anew(self) -> None:
        target = created(headers={"X-Api-Key": "k"}, auth=BEARER, signing_secret=OLD)
        masked = {"headers": {"X-Api-Key": MASK}, "auth": {**BEARER, "token": MASK}, "signing_secret": MASK}
        assert set(refusal(target, url=ELSEWHERE, **masked)) == {"headers", "auth.token", "signing_secret"}

    def test_it_goes_there_with_secrets_sent_anew(self) -> None:
        target = created(headers={"X-Api-Key": "k"}, auth=BEARER, signing_secret=OLD)
        anew = {"headers": {"X-Api-Key": "k"}, "auth": BEARER, "signing_secret": NEW}
        assert changed(target, url=ELSEWHERE, **anew).url == ELSEWHERE

    def test_it_goes_there_without_them(self) -> None:
        target = created(headers={"X-Api-Key": "k"}, auth=BEARER, signing_secret=OLD)
        gone = {"headers": {}, "auth": {"type": "none"}, "signing_secret": None}
        assert changed(target, url=ELSEWHERE, **gone).url == ELSEWHERE

    @pytest.mark.parametrize("url", [f"{URL}/2", "https://API.example.com:443/x?y#z", "https://api.example.com"])
    def test_another_path_asks_for_nothing(self, url: str) -> None:
        target = created(headers={"X-Api-Key": "k"}, auth=BEARER, signing_secret=OLD)
        assert changed(target, url=url).url == url

    def test_a_target_without_secrets_goes_anywhere(self) -> None:
        assert changed(created(headers={"Accept": "a"}), url=ELSEWHERE).url == ELSEWHERE

    def test_a_url_that_is_none_is_said_to_be_none(self) -> None:
        assert set(refusal(created(auth=BEARER), url="nonsense")) == {"url"}

    def test_a_clients_secret_goes_to_no_other_token_endpoint(self) -> None:
        target = created(auth=OAUTH2)
        moved = {**OAUTH2, "token_url": "https://evil.example/token", "client_secret": MASK}
        assert set(refusal(target, auth=moved)) == {"auth.client_secret"}
        assert changed(target, auth={**moved, "client_secret": "known"}).auth["client_secret"] == "known"

    def test_another_path_of_the_token_endpoint_asks_for_nothing(self) -> None:
        there = {**OAUTH2, "token_url": "https://login.example.com/v2/token"}
        assert changed(created(auth=OAUTH2), auth={**there, "client_secret": MASK}).auth == there

    def test_the_previous_signing_secret_does_not_sign_there(self) -> None:
        target = changed(created(signing_secret=OLD), signing_secret=NEW)
        target = changed(target, url=ELSEWHERE, signing_secret=NEWER)
        assert live_signing_secrets(target, now=NOW) == (NEWER,)
        assert target.previous_signing_secret is None


class TestRotation:
    def test_the_old_secret_signs_too_for_a_day(self) -> None:
        target = changed(created(signing_secret=OLD), signing_secret=NEW)
        assert target.previous_signing_secret_until == NOW + OVERLAP
        assert live_signing_secrets(target, now=NOW + OVERLAP - timedelta(seconds=1)) == (NEW, OLD)
        assert live_signing_secrets(target, now=NOW + OVERLAP) == (NEW,)

    def test_there_are_never_more_than_two(self) -> None:
        target = changed(changed(created(signing_secret=OLD), signing_secret=NEW), signing_secret=NEWER)
        assert live_signing_secrets(target, now=NOW) == (NEWER, NEW)

    def test_the_same_secret_again_is_no_rotation(self) -> None:
        target = changed(changed(created(signing_secret=OLD), signing_secret=NEW), signing_secret=NEW)
        assert live_signing_secrets(target, now=NOW) == (NEW, OLD)

    def test_other_changes_leave_a_rotation_alone(self) -> None:
        target = changed(changed(created(signing_secret=OLD), signing_secret=NEW), name="New name")
        assert live_signing_secrets(target, now=NOW) == (NEW, OLD)

    def test_null_ends_signing_at_once(self) -> None:
        target = changed(changed(created(signing_secret=OLD), signing_secret=NEW), signing_secret=None)
        assert live_signing_secrets(target, now=NOW) == ()
        assert (target.previous_signing_secret, target.previous_signing_secret_until) == (None, None)

    def test_the_first_secret_rotates_nothing(self) -> None:
        assert live_signing_secrets(changed(created(), signing_secret=NEW), now=NOW) == (NEW,)
