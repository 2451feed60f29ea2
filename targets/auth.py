"""How a call proves who it is: the shapes of a target's `auth`, what of them is secret, and what they send. Pure.

The shapes are checked by `auth_problems` before they are stored; everything else here relies on that.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from targets.masking import MASK
from targets.placeholders import RenderContext, fill_secrets

NONE, BASIC, BEARER, API_KEY, OAUTH2 = "none", "basic", "bearer", "api_key", "oauth2_client_credentials"
# Per type: the members that must be there, and those that may, with their defaults.
REQUIRED: Mapping[str, tuple[str, ...]] = {
    NONE: (),
    BASIC: ("username", "password"),
    BEARER: ("token",),
    API_KEY: ("name", "value", "in"),
    OAUTH2: ("token_url", "client_id", "client_secret"),
}
OPTIONAL: Mapping[str, tuple[str, ...]] = {OAUTH2: ("scope", "client_auth")}
# RFC 6749, section 2.3.1: in the Authorization header, or in the body for servers that take nothing else.
CLIENT_AUTH = ("header", "body")
_SECRET = frozenset({"password", "token", "value", "client_secret"})

Auth = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """What gets an access token (RFC 6749, section 4.4). Equal ones share a token."""

    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str = ""
    client_auth: str = "header"
    verify_tls: bool = True


def secret_members(auth: Auth) -> frozenset[str]:
    """The members whose values are secret. With an empty password the user name is one: some APIs take their key so."""
    if auth.get("type") == BASIC and auth.get("password") == "":
        return frozenset({"username"})
    return _SECRET & auth.keys()


def mask_auth(auth: Auth | None) -> dict[str, str]:
    """The auth as it is shown; None is `{"type": "none"}`."""
    if not auth:
        return {"type": NONE}
    secret = secret_members(auth)
    return {name: MASK if name in secret else value for name, value in auth.items()}


def kept_members(new: Auth, stored: Auth | None) -> frozenset[str]:
    """The members of `new` that came back masked, so that the stored value is meant."""
    shown = mask_auth(stored)
    return frozenset(
        name for name, value in new.items() if value == MASK and (name in _SECRET or shown.get(name) == MASK)
    )


def authorization_names(auth: Auth | None) -> tuple[str, ...]:
    """The headers that the auth sets."""
    kind = auth["type"] if auth else NONE
    if kind in (BASIC, BEARER, OAUTH2):
        return ("Authorization",)
    return (auth["name"],) if auth and kind == API_KEY and auth["in"] == "header" else ()


def filled(auth: Auth | None, context: RenderContext) -> dict[str, str] | None:
    """The auth with `{{secret.NAME}}` filled in; masked where the context has no secrets to show.

    Raises:
        TemplateProblem: a secret is unknown.
    """
    if auth is None:
        return None
    source = mask_auth(auth) if context.secrets is None else auth
    return {name: fill_secrets(value, context) for name, value in source.items()}


def auth_headers(auth: Auth | None) -> dict[str, str]:
    """The headers that carry the credentials; that of an access token is added once there is one."""
    kind = auth["type"] if auth else NONE
    if not auth:
        return {}
    if kind == BASIC:
        # RFC 7617, section 2; UTF-8 is what section 2.1 recommends.
        pair = f"{auth['username']}:{auth['password']}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
    if kind == BEARER:
        return {"Authorization": f"Bearer {auth['token']}"}
    if kind == API_KEY and auth["in"] == "header":
        return {auth["name"]: auth["value"]}
    return {}


def with_query_key(url: str, auth: Auth | None) -> str:
    """The rendered URL with an API key added to its query, where the auth puts one there."""
    if not auth or auth["type"] != API_KEY or auth["in"] != "query":
        return url
    # A mask stays readable.
    value = MASK if auth["value"] == MASK else quote(auth["value"], safe="")
    return f"{url}{'&' if '?' in url else '?'}{quote(auth['name'], safe='')}={value}"


def client_credentials(auth: Auth | None, *, verify_tls: bool) -> ClientCredentials | None:
    """What gets the access token, for auth of that type."""
    if not auth or auth["type"] != OAUTH2:
        return None
    return ClientCredentials(
        token_url=auth["token_url"],
        client_id=auth["client_id"],
        client_secret=auth["client_secret"],
        scope=auth.get("scope", ""),
        client_auth=auth.get("client_auth", CLIENT_AUTH[0]),
        verify_tls=verify_tls,
    )
