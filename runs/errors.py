"""What services of this app refuse with."""

from __future__ import annotations


class WrongState(Exception):
    """The Run's status doesn't allow this; the message names the status and what is possible."""
