"""The `.env` file: where it is, and the two keys that nobody should have to invent.

`SECRET_KEY` and `FIELD_ENCRYPTION_KEYS` are generated once and never overwritten: losing the second one
means losing every stored credential.
"""

from __future__ import annotations

import errno
import io
import os
import re
import secrets
import sys
from pathlib import Path

import environ
from cryptography.fernet import Fernet

BASE_DIR = Path(__file__).resolve().parent.parent
GENERATED_KEYS = ("SECRET_KEY", "FIELD_ENCRYPTION_KEYS")
NOTE = "# Generated once. Without FIELD_ENCRYPTION_KEYS, stored credentials can't be read any more: keep a copy.\n"
EMPTY_KEY = re.compile(rf"^[ \t]*(export[ \t]+)?({'|'.join(GENERATED_KEYS)})[ \t]*=[ \t]*$", re.MULTILINE)


def env_path() -> Path:
    """Where the settings file is; `API_SCHEDULER_ENV_FILE` moves it (tests and containers do)."""
    return Path(os.environ.get("API_SCHEDULER_ENV_FILE") or BASE_DIR / ".env")


def load_env_file(path: Path | None = None) -> None:
    """Put the file's values into the process environment, which wins where both have one.

    Raises:
        SystemExit: the file is there but can't be read; going on without it would silently use other keys.
    """
    # An empty key is no key: it neither hides the file's nor stops the generation of one.
    for name in GENERATED_KEYS:
        if not os.environ.get(name, "").strip():
            os.environ.pop(name, None)
    text = _read(path or env_path())
    environ.Env.read_env(io.StringIO(EMPTY_KEY.sub("", text)), overwrite=False)


def ensure_env_file(path: Path | None = None) -> None:
    """Add whichever of the generated keys neither the environment nor the file has.

    Raises:
        SystemExit: the file can't be read or written; the line says what to do.
    """
    path = path or env_path()
    load_env_file(path)
    missing = [name for name in GENERATED_KEYS if name not in os.environ]
    if not missing:
        return
    values = {"SECRET_KEY": secrets.token_urlsafe(50), "FIELD_ENCRYPTION_KEYS": Fernet.generate_key().decode()}
    # The empty line: the file's last line may lack its end.
    lines = "".join(["\n", NOTE, *(f"{name}={values[name]}\n" for name in missing)])
    try:
        _append(path, lines)
    except OSError as error:
        names = " and ".join(missing)
        sys.exit(f"{names} not set and {path} can't be written ({error.strerror}): set them in the environment.")
    load_env_file(path)


def _append(path: Path, lines: str) -> None:
    """Add lines that only the file's owner may read.

    One append of a few bytes: two commands that start at once can't cut each other's lines in half. Both then read the
    file, in which the first value of a name counts, so both go on with the same keys.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "not a regular file")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
        os.write(descriptor, lines.encode())
    finally:
        os.close(descriptor)


def _read(path: Path) -> str:
    """The file's text; empty if there is no such file (or it is a device, as tests use)."""
    if not path.is_file():
        return ""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        sys.exit(f"Settings file {path} can't be read ({reason}): run as its owner, or correct it.")
