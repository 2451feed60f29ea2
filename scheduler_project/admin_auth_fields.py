"""The part of the target form that is about credentials: one field per member of `auth`, and the signing secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms

from targets.auth import CLIENT_AUTH, OPTIONAL, REQUIRED, Auth, mask_auth
from targets.masking import MASK

TYPES = (
    ("none", "None"),
    ("basic", "Basic: user name and password"),
    ("bearer", "Bearer token"),
    ("api_key", "API key in a header or the query"),
    ("oauth2_client_credentials", "OAuth 2 client credentials"),
)
KEEP = "Stored encrypted and shown as ********; leave that as it is to keep it."
OR_BY_NAME = "Or {{secret.NAME}} for a named one."


class StoredSecretInput(forms.PasswordInput):
    """Dots instead of text, also for the mask of a stored value; browsers keep their own passwords out of it."""

    def __init__(self) -> None:
        super().__init__(attrs={"size": 50, "autocomplete": "new-password"}, render_value=True)


def _text(label: str, help_text: str = "", size: int = 50) -> forms.CharField:
    widget = forms.TextInput(attrs={"size": size, "class": "code", "autocomplete": "off"})
    return forms.CharField(label=label, help_text=help_text, widget=widget, required=False)


def _secret(label: str, help_text: str = "") -> forms.CharField:
    return forms.CharField(
        label=label, help_text=f"{KEEP} {help_text}".strip(), widget=StoredSecretInput(), required=False, strip=False
    )


class AuthFields(forms.Form):
    """`auth` is the type; `auth_MEMBER` are its members, of which only those of the type count."""

    auth = forms.ChoiceField(label="Type", choices=TYPES, required=False)
    auth_username = _text("User name")
    auth_password = _secret("Password", OR_BY_NAME)
    auth_token = _secret("Token", OR_BY_NAME)
    auth_name = _text("Name", "Of the header or the query parameter that takes the key.")
    auth_value = _secret("Key", OR_BY_NAME)
    auth_in = forms.ChoiceField(
        label="Sent in", choices=[("header", "a header"), ("query", "the query")], required=False
    )
    auth_token_url = _text("Token URL", size=80)
    auth_client_id = _text("Client id")
    auth_client_secret = _secret("Client secret", OR_BY_NAME)
    auth_scope = _text("Scope", "Scopes with spaces between them. Empty: whatever the server gives.")
    auth_client_auth = forms.ChoiceField(
        label="Client sent in",
        choices=[("header", "the Authorization header"), ("body", "the body")],
        required=False,
        help_text="How the client proves itself to the token endpoint.",
    )
    signing_secret = _text(
        "Signing secret",
        "whsec_ and base64: requests are then signed by the Standard Webhooks specification. Copy a new one to the "
        "receiver before you save, it is not shown again. The old one signs too for 24 hours. Empty: not signed.",
        size=70,
    )


AUTH_NAMES = tuple(name for name in AuthFields.base_fields if name != "signing_secret")


def auth_initial(auth: Auth | None, signing_secret: object) -> dict[str, str]:
    """What the fields show for stored values."""
    shown = mask_auth(auth)
    members = {f"auth_{name}": value for name, value in shown.items() if name != "type"}
    return {"auth": shown["type"], **members, "signing_secret": "" if signing_secret is None else MASK}


def auth_from(cleaned: Mapping[str, Any]) -> dict[str, str]:
    """The auth that the fields mean; a member without a field of its own keeps its default."""
    kind = cleaned.get("auth") or "none"
    auth = {"type": kind} | {name: cleaned.get(f"auth_{name}") or "" for name in REQUIRED[kind]}
    for name in OPTIONAL.get(kind, ()):
        value = cleaned.get(f"auth_{name}") or ""
        if value and not (name == "client_auth" and value == CLIENT_AUTH[0]):
            auth[name] = value
    return auth


def auth_as_text(auth: Auth | None) -> str:
    """For people who may only look."""
    return "\n".join(f"{name}: {value}" for name, value in mask_auth(auth).items())
