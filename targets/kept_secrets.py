"""What a change keeps of a target's secrets: masks that come back, and what must not follow a URL to another place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from targets.auth import OAUTH2, Auth, kept_members, secret_members
from targets.egress import UrlProblem
from targets.errors import InvalidFields
from targets.masking import MASK, is_secret_header
from targets.models import Target
from targets.request_spec import origin_of
from targets.secrets import Undecryptable, keep_masked


def unmasked(changes: Mapping[str, Any], stored: Target | None) -> dict[str, Any]:
    """The changes, with the stored value wherever a secret came back as `MASK`; `stored` is None for a new target.

    A type none of auth is None, as it is stored.

    Raises:
        InvalidFields: where a masked value has no stored one.
    """
    values = dict(changes)
    if "headers" in values:
        values["headers"] = keep_masked(values["headers"], stored.headers if stored else {})
    if isinstance(values.get("auth"), Mapping):
        values["auth"] = _with_stored(values["auth"], stored.auth if stored else None)
    if values.get("signing_secret") == MASK:
        secret = stored.signing_secret if stored else None
        if secret is None or isinstance(secret, Undecryptable):
            raise InvalidFields({"signing_secret": "There is no stored value to keep. Send the real one."})
        del values["signing_secret"]
    return values


def _with_stored(new: Auth, stored: Auth | None) -> dict[str, str] | None:
    if new == {"type": "none"}:
        return None
    kept = {}
    for name in kept_members(new, stored):
        if not stored or stored.get("type") != new.get("type") or name not in stored:
            raise InvalidFields({f"auth.{name}": "There is no stored value to keep. Send the real one."})
        kept[name] = stored[name]
    return {**new, **kept}


def refuse_to_take_along(target: Target, changes: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Stop a change that would send stored secrets to another origin: whoever knows them can send them again.

    Otherwise anybody who may edit a target could have its credentials delivered to a place of his own.

    Args:
        target: as it is stored.
        changes: as they were sent, masks included.
        values: the same without masks.

    Raises:
        InvalidFields: names every secret that must be sent anew.
    """
    problems: dict[str, str] = {}
    if _leads_elsewhere(target.url, values.get("url")):
        problems = _kept_secrets(target, changes)
    auth = values.get("auth") or {}
    if auth.get("type") == OAUTH2 and target.auth and target.auth.get("type") == OAUTH2:
        kept = kept_members(changes["auth"], target.auth)
        if "client_secret" in kept and _leads_elsewhere(target.auth["token_url"], auth.get("token_url")):
            problems |= {"auth.client_secret": "The token URL leads to another origin. Send the client secret anew."}
    if problems:
        raise InvalidFields(problems)


def moves(target: Target, values: Mapping[str, Any]) -> bool:
    """Whether the change takes the target to another origin."""
    return _leads_elsewhere(target.url, values.get("url"))


def _leads_elsewhere(stored: str, new: object) -> bool:
    if not isinstance(new, str) or new == stored:
        return False
    try:
        return origin_of(stored).origin != origin_of(new).origin
    except UrlProblem:
        return True


def _kept_secrets(target: Target, changes: Mapping[str, Any]) -> dict[str, str]:
    """What the change keeps, by field, each with what to do."""
    why = "The URL leads to another origin."
    sent = changes.get("headers")
    names = [
        name
        for name in (target.headers if sent is None else sent)
        if is_secret_header(name) and (sent is None or sent[name] == MASK)
    ]
    problems = {}
    if names:
        problems["headers"] = f"{why} Send {' and '.join(sorted(names))} anew, or leave {_them(names)} out."
    stored: Auth = target.auth or {}
    members = secret_members(stored) if changes.get("auth") is None else kept_members(changes["auth"], stored)
    for member in sorted(members):
        problems[f"auth.{member}"] = f"{why} Send it anew, or set auth to none."
    if target.signing_secret is not None and changes.get("signing_secret", MASK) == MASK:
        problems["signing_secret"] = f"{why} Send a new one, or null."
    return problems


def _them(names: list[str]) -> str:
    return "it" if len(names) == 1 else "them"
