"""The `.env` file: where it is, and the two keys that nobody should have to invent.

`SECRET_KEY` and `FIELD_ENCRYPTION_KEYS` are generated once and never overwritten: losing the second one
means losing every stored credential.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

import environ
from cryptography.fernet import Fernet

BASE_DIR = Path(__file__).resolve().parent.parent
GENERATED_KEYS = ("SECRET_KEY", "FIELD_ENCRYPTION_KEYS")


def env_path() -> Path:
    """Where the settings file is; `API_SCHEDULER_ENV_FILE` moves it (tests and containers do)."""
    return Path(os.environ.get("API_SCHEDULER_ENV_FILE") or BASE_DIR / ".env")


def load_env_file(path: Path | None = None) -> None:
    """Put the file's values into the process environment, which wins where both have one."""
    path = path or env_path()
    if path.is_file():
        environ.Env.read_env(path, overwrite=False)


def ensure_env_file(path: Path | None = None) -> None:
    """Add whichever of the generated keys neither the environment nor the file has.

    Raises:
        SystemExit: the file can't be written; the line says what to set by hand.
    """
    path = path or env_path()
    load_env_file(path)
    missing = [name for name in GENERATED_KEYS if not os.environ.get(name)]
    if not missing:
        return
    values = {"SECRET_KEY": secrets.token_urlsafe(50), "FIELD_ENCRYPTION_KEYS": Fernet.generate_key().decode()}
    lines = "".join(f"{name}={values[name]}\n" for name in missing)
    try:
        # O_APPEND with one write: two commands starting at once can't cut each other's lines in half,
        # and reading back below makes both use the first value that landed.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(lines)
        path.chmod(0o600)
    except OSError as error:
        names = " and ".join(missing)
        sys.exit(f"{names} not set and {path} can't be written ({error.strerror}): set them in the environment.")
    load_env_file(path)
