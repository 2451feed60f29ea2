"""What services of this app refuse with, besides `targets.errors.InvalidFields`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from schedules.cron_syntax import InvalidCron
from schedules.zones import UnknownZone


class WrongState(Exception):
    """The schedule's status doesn't allow this; the message names the status and what is possible."""


@contextmanager
def computable_timing() -> Iterator[None]:
    """For arithmetic over a saved timing: it was accepted once, but a zone can be gone from the machine since then.

    Raises:
        WrongState: the timing can't be computed; the message says why and what to do.
    """
    try:
        yield
    except (InvalidCron, UnknownZone) as error:
        raise WrongState(f"The timing can't be computed: {error} Change it first.") from error
