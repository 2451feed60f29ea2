"""Signatures by the Standard Webhooks specification, version 1 (HMAC-SHA256; https://www.standardwebhooks.com/)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta

from targets.counted import counted

PREFIX = "whsec_"
# What the specification asks of a key, in bytes.
LEAST_KEY_BYTES, MOST_KEY_BYTES = 24, 64
# How long a replaced secret goes on signing beside the new one, so that receivers can change over without a gap.
OVERLAP = timedelta(hours=24)
ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"


def signing_secret_problem(secret: str) -> str | None:
    """One sentence where the text is no signing secret; None where it is."""
    remedy = f"Write {PREFIX} and {LEAST_KEY_BYTES} to {MOST_KEY_BYTES} random bytes in base64."
    if not secret.startswith(PREFIX):
        return f"The signing secret must start with {PREFIX}. {remedy}"
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return f"The signing secret is not base64 after {PREFIX}. {remedy}"
    if not LEAST_KEY_BYTES <= len(key) <= MOST_KEY_BYTES:
        return f"The signing secret has {counted(len(key), 'byte')}. {remedy}"
    return None


def signature_headers(secrets: Sequence[str], *, message_id: str, at: datetime, body: bytes | None) -> dict[str, str]:
    """The three headers; one signature per secret, the newest secret first. No secrets, no headers."""
    if not secrets:
        return {}
    timestamp = str(int(at.timestamp()))
    signed = f"{message_id}.{timestamp}.".encode() + (body or b"")
    signatures = " ".join(_signature(secret, signed) for secret in secrets)
    return {ID: message_id, TIMESTAMP: timestamp, SIGNATURE: signatures}


def _signature(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
