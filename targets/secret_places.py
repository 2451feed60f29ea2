"""Where a target names secrets, and to which host each of them would go. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from targets.auth import OAUTH2, Auth
from targets.egress import UrlProblem
from targets.placeholders import secret_names
from targets.request_spec import origin_of


@dataclass(frozen=True, slots=True)
class SecretSource:
    """Where a named secret's value is: here, in an environment variable, or in a file."""

    name: str
    value: str | None = field(repr=False)
    reference: str | None
    allowed_hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SecretPlace:
    """One secret in one field of a target, which sends it to `host`; None where the URL is no URL."""

    field: str
    name: str
    host: str | None


def secret_places(
    *, url: str, headers: Mapping[str, str], body_template: str | None, auth: Auth | None
) -> Iterator[SecretPlace]:
    """Every place. What a client proves itself with goes to the token endpoint, everything else to the URL."""
    texts: list[tuple[str, str | None]] = [("url", url), ("body_template", body_template)]
    texts += [("headers", value) for value in headers.values()]
    auth_url = auth["token_url"] if auth and auth["type"] == OAUTH2 else url
    texts += [(f"auth.{member}", text) for member, text in (auth or {}).items()]
    for place, text in texts:
        names = secret_names([text])
        if names:
            host = _host(auth_url if place.startswith("auth.") else url)
            yield from (SecretPlace(place, name, host) for name in sorted(names))


def place_problem(place: SecretPlace, secrets: Mapping[str, SecretSource]) -> str | None:
    """One sentence where the secret does not exist, or has hosts of its own and this is none of them; else None."""
    source = secrets.get(place.name)
    if source is None:
        return f"There is no secret named {place.name[:80]!r}. Create it, or correct the placeholder."
    if source.allowed_hosts and place.host not in source.allowed_hosts:
        return f"The secret {place.name} may not be sent to {place.host}: its allowed_hosts don't name that host."
    return None


def _host(url: str) -> str | None:
    try:
        return origin_of(url).host
    except UrlProblem:
        return None
