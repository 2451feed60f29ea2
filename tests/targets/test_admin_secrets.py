"""Credentials, signing secrets and named secrets in the admin: written there, never shown there."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from targets.masking import MASK
from targets.models import Secret, Target
from targets.secret_services import create_secret
from targets.services import create_target
from tests.factories import NOW
from tests.html_forms import errors_of, form_data
from tests.staff import staff, superuser
from tests.targets.auths import BASIC, BEARER, EACH, OAUTH2, QUERY_KEY
from tests.targets.test_kept_secrets import NEW, OLD

pytestmark = pytest.mark.django_db
TARGETS, SECRETS = "/admin/targets/target/", "/admin/targets/secret/"


def root() -> Client:
    """A browser of the one superuser, who is made at the first call."""
    user = User.objects.filter(username="root").first()
    if user is None:
        return superuser()
    client = Client()
    client.force_login(user)
    return client


def target_of(**fields: Any) -> Target:
    return create_target(fields={"name": "Orders", "url": "https://api.example.com/", **fields}, now=NOW)


def secret_of(**fields: Any) -> Secret:
    return create_secret(fields={"name": "STRIPE", "value": "canary-4f1c9e77", **fields}, now=NOW)


def save(client: Client, path: str, form_id: str, **changes: str) -> Any:
    """Open the form, change some fields, and send it as a browser does."""
    page = client.get(path).content.decode()
    return client.post(path, {**form_data(page, form_id), **changes})


def saved(path: str, form_id: str, **changes: str) -> None:
    response = save(root(), path, form_id, **changes)
    assert response.status_code == 302, errors_of(response)


@pytest.mark.parametrize("auth", EACH.values(), ids=EACH)
def test_each_type_of_auth_can_be_filled_in(auth: dict[str, str]) -> None:
    fields = {f"auth_{name}": value for name, value in auth.items() if name != "type"}
    saved(f"{TARGETS}add/", "target_form", name="A", url="https://a.example/", auth=auth["type"], **fields)
    assert Target.objects.get().auth == auth


@pytest.mark.parametrize("auth", EACH.values(), ids=EACH)
def test_the_form_shows_masks_and_keeps_what_they_stand_for(auth: dict[str, str]) -> None:
    target = target_of(auth=auth, signing_secret=OLD, headers={"X-Api-Key": "canary-4f1c9e77"})
    path = f"{TARGETS}{target.id}/change/"
    page = root().get(path).content.decode()
    assert "canary" not in page
    assert OLD not in page
    assert MASK in page
    saved(path, "target_form", name="New name")
    target.refresh_from_db()
    assert (target.name, target.auth, target.signing_secret) == ("New name", auth, OLD)


def test_another_type_takes_the_place_of_the_first() -> None:
    target = target_of(auth=BASIC)
    saved(f"{TARGETS}{target.id}/change/", "target_form", auth="bearer", auth_token="t")
    assert Target.objects.get().auth == {"type": "bearer", "token": "t"}
    saved(f"{TARGETS}{target.id}/change/", "target_form", auth="none")
    assert Target.objects.get().auth is None


def test_what_is_wrong_stands_at_its_field() -> None:
    response = save(root(), f"{TARGETS}add/", "target_form", name="A", url="https://a.example/", auth="bearer")
    assert errors_of(response) == {"auth_token": ["Is empty."]}
    target = target_of(auth=OAUTH2)
    response = save(root(), f"{TARGETS}{target.id}/change/", "target_form", url="https://evil.example/")
    assert set(errors_of(response)) == {"auth_client_secret"}


def test_a_signing_secret_is_replaced_and_taken_away() -> None:
    target = target_of(signing_secret=OLD)
    saved(f"{TARGETS}{target.id}/change/", "target_form", signing_secret=NEW)
    target.refresh_from_db()
    assert (target.signing_secret, target.previous_signing_secret) == (NEW, OLD)
    saved(f"{TARGETS}{target.id}/change/", "target_form", signing_secret="")
    target.refresh_from_db()
    assert target.signing_secret is None


def test_who_may_only_look_sees_masks() -> None:
    secret_of()
    target = target_of(auth=QUERY_KEY, signing_secret=OLD, headers={"X-A": "{{secret.STRIPE}}"})
    page = staff("targets.view_target").get(f"{TARGETS}{target.id}/change/").content.decode()
    assert "canary" not in page
    assert OLD not in page
    assert "type: api_key" in page
    assert "STRIPE" in page


def test_a_named_secret_is_made_changed_and_never_shown() -> None:
    saved(
        f"{SECRETS}add/", "secret_form", name="STRIPE", value="canary-4f1c9e77", allowed_hosts="a.example\r\nb.example"
    )
    secret = Secret.objects.get()
    assert (secret.value, secret.allowed_hosts) == ("canary-4f1c9e77", ["a.example", "b.example"])
    path = f"{SECRETS}{secret.id}/change/"
    for address in (path, SECRETS, f"{SECRETS}{secret.id}/delete/"):
        assert "canary" not in root().get(address).content.decode()
    saved(path, "secret_form", allowed_hosts="a.example")
    assert Secret.objects.get().value == "canary-4f1c9e77"
    saved(path, "secret_form", value="", reference="env:API_SCHEDULER_SECRET_A")
    secret.refresh_from_db()
    assert (secret.value, secret.reference) == (None, "env:API_SCHEDULER_SECRET_A")


def test_a_reference_that_leads_elsewhere_is_refused_at_its_field() -> None:
    response = save(root(), f"{SECRETS}add/", "secret_form", name="A", reference="env:SECRET_KEY")
    assert set(errors_of(response)) == {"reference"}


def test_who_may_only_look_at_secrets_sees_where_they_are() -> None:
    secret = secret_of()
    page = staff("targets.view_secret").get(f"{SECRETS}{secret.id}/change/").content.decode()
    assert "stored encrypted" in page
    assert "canary" not in page


def test_its_page_and_the_list_tell_which_targets_use_it() -> None:
    secret = secret_of()
    target = target_of(auth={**BEARER, "token": "{{secret.STRIPE}}"})
    link = f"{TARGETS}{target.id}/change/"
    assert link in root().get(f"{SECRETS}{secret.id}/change/").content.decode()
    assert '<td class="field-uses">1</td>' in root().get(SECRETS).content.decode()


def test_one_in_use_is_not_deleted_and_the_page_names_the_targets() -> None:
    secret = secret_of()
    target_of(headers={"X-A": "{{secret.STRIPE}}"})
    path = f"{SECRETS}{secret.id}/delete/"
    page = root().get(path).content.decode()
    assert "Orders</a> uses STRIPE" in page
    root().post(path, {"post": "yes"})
    assert Secret.objects.exists()
    Target.objects.get().secret_uses.all().delete()
    root().post(path, {"post": "yes"})
    assert not Secret.objects.exists()
