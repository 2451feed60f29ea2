"""What services of this app refuse with, besides `targets.errors.InvalidFields`."""

from __future__ import annotations


class WrongState(Exception):
    """The schedule's status doesn't allow this; the message names the status and what is possible."""
