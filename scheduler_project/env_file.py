"""The `.env` file: where it is, and the two keys that nobody should have to invent.

`SECRET_KEY` and `FIELD_ENCRYPTION_KEYS` are generated once and never overwritten: losing the second one
means losing every stored credential.
"""

from __future__ import annotations

import errno
import fcntl
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
    if not _missing_keys():
        return
    try:
        _add_missing_keys(path)
    except OSError as error:
        names = " and ".join(_missing_keys())
        sys.exit(f"{names} not set and {path} can't be written ({error.strerror}): set them in the environment.")
    load_env_file(path)


def _missing_keys() -> list[str]:
    return [name for name in GENERATED_KEYS if name not in os.environ]


def _add_missing_keys(path: Path) -> None:
    """Append new keys, in a file that only its owner may read.

    Under a lock, and after another look: of two commands that start at once the second takes the first one's keys. That
    appends don't cut each other short is not enough, and some file systems don't promise even that.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "not a regular file")
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb", buffering=0) as file:
        os.fchmod(file.fileno(), 0o600)
        # Closing the file gives the lock back.
        fcntl.flock(file, fcntl.LOCK_EX)
        load_env_file(path)
        missing = _missing_keys()
        if missing:
            values = {"SECRET_KEY": secrets.token_urlsafe(50), "FIELD_ENCRYPTION_KEYS": Fernet.generate_key().decode()}
            # The empty line: the file's last line may lack its end.
            file.write("".join(["\n", NOTE, *(f"{name}={values[name]}\n" for name in missing)]).encode())


def _read(path: Path) -> str:
    """The file's text; empty if there is no such file (or it is a device, as tests use)."""
    if not path.is_file():
        return ""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        sys.exit(f"Settings file {path} can't be read ({reason}): run as its owner, or correct it.")
