"""The closed list of placeholders, and filling them in once: what a value brings is not filled in again (D5). Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID, uuid5

from targets.masking import MASK

SECRET_PREFIX = "secret."  # noqa: S105 - a prefix of names
# Values that are numbers may stand outside quotes in a JSON body.
NUMBERS = frozenset({"unix_timestamp", "attempt"})

# More than any part of a request may have in the end.
MAX_FILLED_CHARS = 1_048_576
PLACEHOLDER = re.compile(r"\{\{([^{}]*)\}\}")


class TemplateProblem(ValueError):
    """A template that gives no request; the message is one sentence for the user."""


@dataclass(frozen=True, slots=True)
class RenderContext:
    """The values behind the placeholders. Moments are aware; `attempted_at` is when the attempt was claimed.

    `secrets` has the named secrets by name. None stands for a rendering that is shown: each of them is `MASK`.
    """

    run_id: UUID
    created_at: datetime
    scheduled_at: datetime
    attempt_number: int
    schedule_id: UUID | None
    schedule_name: str
    target_name: str
    attempted_at: datetime
    secrets: Mapping[str, str] | None = field(default_factory=dict, repr=False)


def rfc3339(moment: datetime) -> str:
    """An aware moment in UTC, with `Z`; fractions of a second only where there are any."""
    return moment.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"


# All but `attempt` are the same on every attempt of a Run.
PLACEHOLDERS: Mapping[str, Callable[[RenderContext], str]] = {
    "timestamp": lambda context: rfc3339(context.created_at),
    "unix_timestamp": lambda context: str(int(context.created_at.timestamp())),
    "run_id": lambda context: str(context.run_id),
    "scheduled_at": lambda context: rfc3339(context.scheduled_at),
    "attempt": lambda context: str(context.attempt_number),
    "schedule_id": lambda context: str(context.schedule_id or ""),
    "schedule_name": lambda context: context.schedule_name,
    "target_name": lambda context: context.target_name,
    "uuid": lambda context: str(uuid5(context.run_id, "uuid")),
}


def find_placeholders(text: str) -> list[str]:
    """The names between double braces, known or not, in the order in which they stand."""
    return [name.strip() for name in PLACEHOLDER.findall(text)]


def secret_names(texts: Iterable[str | None]) -> set[str]:
    """The names of the secrets that the texts ask for with `{{secret.NAME}}`."""
    # Most texts have none, and a body can be long.
    asking = (text for text in texts if text and SECRET_PREFIX in text)
    names = (name for text in asking for name in find_placeholders(text))
    return {name.removeprefix(SECRET_PREFIX) for name in names if name.startswith(SECRET_PREFIX)}


def fill(text: str, context: RenderContext, escape: Callable[[str], str]) -> str:
    """The text with every placeholder replaced by its escaped value.

    Raises:
        TemplateProblem: a placeholder is unknown, or a secret is, or the values are too much together.
    """
    refuse_unknown(text)
    room = MAX_FILLED_CHARS

    def replaced(match: re.Match[str]) -> str:
        nonlocal room
        value = _value(match[1].strip(), context, escape)
        # Now, not when all is done: a body full of placeholders, each with a long value, would be gigabytes.
        room -= len(value)
        if room < 0:
            raise TemplateProblem(f"The values of its placeholders have more than {MAX_FILLED_CHARS} characters.")
        return value

    return PLACEHOLDER.sub(replaced, text)


def fill_secrets(text: str, context: RenderContext) -> str:
    """The text with secrets filled in, and every other pair of braces as it is: passwords may have some.

    Raises:
        TemplateProblem: a secret is unknown.
    """

    def replaced(match: re.Match[str]) -> str:
        name = match[1].strip()
        return _value(name, context, str) if name.startswith(SECRET_PREFIX) else match[0]

    return PLACEHOLDER.sub(replaced, text)


def refuse_unknown(text: str) -> None:
    """Let a text pass whose placeholders are all on the list.

    Raises:
        TemplateProblem: names the first that isn't.
    """
    for name in find_placeholders(text):
        if name not in PLACEHOLDERS and not name.startswith(SECRET_PREFIX):
            known = ", ".join((*PLACEHOLDERS, "secret.NAME"))
            raise TemplateProblem(f"{{{{{name[:50]}}}}} is not a placeholder. The placeholders are: {known}.")


def _value(name: str, context: RenderContext, escape: Callable[[str], str]) -> str:
    if not name.startswith(SECRET_PREFIX):
        return escape(PLACEHOLDERS[name](context))
    if context.secrets is None:
        return MASK
    secret = context.secrets.get(name.removeprefix(SECRET_PREFIX))
    if secret is None:
        raise TemplateProblem(f"There is no secret for {{{{{name[:80]}}}}}. Create it, or correct the name.")
    return escape(secret)
