"""What a target's `auth` must be like to be saved: one sentence for each member that isn't, by `auth.MEMBER`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from targets.auth import (
    API_KEY,
    BASIC,
    BEARER,
    CLIENT_AUTH,
    NONE,
    OAUTH2,
    OPTIONAL,
    REQUIRED,
    Auth,
    auth_headers,
    authorization_names,
)
from targets.egress import UrlProblem, check_url
from targets.egress_settings import egress_policy
from targets.header_rules import header_problem
from targets.placeholders import find_placeholders
from targets.secrets import Undecryptable

MAX_MEMBER_CHARS = 4096
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_PRINTABLE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
# RFC 6749, section 3.3.
_SCOPE = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]*")


def auth_problems(values: Mapping[str, Any]) -> dict[str, str]:
    """Check the auth of a target's fields, also against its headers and its URL. None is no auth."""
    auth = values.get("auth")
    if auth is None or isinstance(auth, Undecryptable):
        return {}
    if not isinstance(auth, Mapping) or not all(isinstance(part, str) for pair in auth.items() for part in pair):
        return {"auth": "Must be an object with a type and its text values."}
    kind = auth.get("type", "")
    if kind not in REQUIRED:
        return {"auth.type": f"Must be one of: {', '.join(REQUIRED)}."}
    problems = _members(kind, auth) or _KINDS[kind](auth)
    return {f"auth.{name}": sentence for name, sentence in problems.items()} or _collisions(auth, values)


def _members(kind: str, auth: Auth) -> dict[str, str]:
    """Whether exactly the members of the type are there, as texts that can be kept."""
    known = ("type", *REQUIRED[kind], *OPTIONAL.get(kind, ()))
    problems = {name: f"Is required for {kind}." for name in REQUIRED[kind] if name not in auth}
    for name, value in auth.items():
        if name not in known:
            problems[name[:80]] = f"{kind} has no such member. It has: {', '.join(known[1:]) or 'none'}."
        elif _CONTROLS.search(value):
            problems[name] = "Contains a line break or another control character. Take it out."
        elif len(value) > MAX_MEMBER_CHARS:
            problems[name] = f"Has {len(value)} characters; at most {MAX_MEMBER_CHARS} are possible."
    return problems


def _basic(auth: Auth) -> dict[str, str]:
    if ":" in auth["username"]:
        return {"username": "A user name of basic authentication can't contain a colon (RFC 7617)."}
    if not auth["username"] and not auth["password"]:
        return {"username": "User name and password can't both be empty."}
    return _too_long(auth, "password")


def _bearer(auth: Auth) -> dict[str, str]:
    return _unprintable(auth, "token") or _too_long(auth, "token")


def _api_key(auth: Auth) -> dict[str, str]:
    if auth["in"] not in ("header", "query"):
        return {"in": "Must be one of: header, query."}
    if not auth["name"]:
        return {"name": f"Name the {auth['in']} {'parameter ' if auth['in'] == 'query' else ''}that takes the key."}
    if auth["in"] == "query":
        return {} if auth["value"] else {"value": "Is empty."}
    problem = header_problem({auth["name"]: ""})
    return {"name": problem} if problem else _unprintable(auth, "value") or _too_long(auth, "value")


def _oauth2(auth: Auth) -> dict[str, str]:
    problems = {name: "Is empty." for name in ("client_id", "client_secret") if not auth[name]}
    try:
        if find_placeholders(auth["token_url"]):
            raise UrlProblem("Placeholders cannot stand in the address of the token endpoint.")
        check_url(egress_policy(), auth["token_url"])
    except UrlProblem as problem:
        problems |= {"token_url": str(problem)}
    if _SCOPE.fullmatch(auth.get("scope", "")) is None:
        problems["scope"] = "Must be printable ASCII without quotes and backslashes, scopes separated by spaces."
    if auth.get("client_auth", CLIENT_AUTH[0]) not in CLIENT_AUTH:
        problems["client_auth"] = f"Must be one of: {', '.join(CLIENT_AUTH)}."
    return problems


_KINDS: Mapping[str, Callable[[Auth], dict[str, str]]] = {
    NONE: lambda auth: {},
    BASIC: _basic,
    BEARER: _bearer,
    API_KEY: _api_key,
    OAUTH2: _oauth2,
}


def _unprintable(auth: Auth, name: str) -> dict[str, str]:
    if _PRINTABLE.fullmatch(auth[name]):
        return {}
    return {name: "Must be printable ASCII without blanks around it." if auth[name] else "Is empty."}


def _too_long(auth: Auth, name: str) -> dict[str, str]:
    problem = header_problem(auth_headers(auth))
    return {name: problem} if problem else {}


def _collisions(auth: Auth, values: Mapping[str, Any]) -> dict[str, str]:
    """Whether the auth would say something that the headers or the URL say already."""
    headers = values.get("headers")
    given = {str(name).lower(): name for name in headers} if isinstance(headers, Mapping) else {}
    for name in authorization_names(auth):
        if name.lower() in given:
            return {
                "auth": f"The headers have {given[name.lower()]} already, and auth sets it too. "
                "Take the header out, or set auth to none."
            }
    if auth["type"] == API_KEY and auth["in"] == "query":
        query = str(values.get("url", "")).partition("#")[0].partition("?")[2]
        if any(name == auth["name"] for name, _ in parse_qsl(query, keep_blank_values=True)):
            return {"auth.name": f"The URL has {auth['name'][:80]} in its query already. Take it out there."}
    return {}
