"""Reading a named secret's value where it is sent: from an environment variable or a file that the operator opened."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from django.conf import settings

from targets.placeholders import TemplateProblem
from targets.secret_places import SecretSource
from targets.secrets import Undecryptable

ENV, FILE = "env:", "file:"
MAX_VALUE_CHARS = 8192
MAX_REFERENCE_CHARS = 500


def read_secret(source: SecretSource) -> str:
    """The secret's value, now.

    Raises:
        TemplateProblem: it can't be read; the sentence names the secret and the place, and nothing of the value.
    """
    if source.value is not None:
        return source.value
    if source.reference is None:
        raise TemplateProblem(f"The secret {source.name} can't be decrypted. {Undecryptable.REMEDY}")
    problem = reference_problem(source.reference)
    if problem is not None:
        raise TemplateProblem(f"The secret {source.name} can't be read. {problem}")
    if source.reference.startswith(ENV):
        value = os.environ.get(source.reference.removeprefix(ENV), "")
    else:
        value = _read_file(source.name, source.reference)
    if not value:
        raise TemplateProblem(f"The secret {source.name} can't be read: {source.reference} is not set, or empty, here.")
    if len(value) > MAX_VALUE_CHARS:
        raise TemplateProblem(f"The secret {source.name} is too long: at most {MAX_VALUE_CHARS} characters.")
    return value


def reference_problem(reference: str) -> str | None:
    """One sentence where the reference is not one, or leads out of what the operator has opened; else None.

    Whether there is a value is asked where it is sent: this process may run on another machine.
    """
    if reference.startswith(ENV):
        prefix, name = settings.SECRETS_ENV_PREFIX, reference.removeprefix(ENV)
        if not name.startswith(prefix) or name == prefix or not name.replace("_", "a").isalnum() or not name.isascii():
            return f"Write env: and the name of a variable that starts with {prefix} (setting SECRETS_ENV_PREFIX)."
        return None
    if reference.startswith(FILE):
        if settings.SECRETS_DIR is None:
            return "Files can't be read: the setting SECRETS_DIR names no folder."
        if _inside(reference) is None:
            return f"Write file: and the path of a file within {settings.SECRETS_DIR} (setting SECRETS_DIR)."
        return None
    return "Write env:NAME or file:PATH."


def _inside(reference: str) -> Path | None:
    """The file's own place, links followed, if that is within SECRETS_DIR."""
    if settings.SECRETS_DIR is None:
        return None
    folder = settings.SECRETS_DIR.resolve()
    path: Path = (folder / reference.removeprefix(FILE)).resolve()
    return path if path != folder and path.is_relative_to(folder) else None


def _read_file(name: str, reference: str) -> str:
    path = _inside(reference)
    reason = "it leads out of SECRETS_DIR"
    if path is not None:
        try:
            return _text_of(path)
        except (OSError, UnicodeDecodeError) as error:
            reason = (error.strerror or "it is no file").lower() if isinstance(error, OSError) else "it is not UTF-8"
    raise TemplateProblem(f"The secret {name} can't be read from {reference}: {reason}.")


def _text_of(path: Path) -> str:
    # Not through a link that was put there since, and not waiting for the other end of a pipe.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError
        # One byte per character at least, four at most, and the line end that editors add.
        text = file.read(4 * MAX_VALUE_CHARS + 2).decode()
    return text.removesuffix("\n").removesuffix("\r")
