"""Saying a lasting trouble once, not once per tick."""

from __future__ import annotations

import logging
from collections.abc import Hashable


class Complaints:
    """Logs the first failure of each kind, and the end of it."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._open: set[Hashable] = set()

    def about(self, action: str, error: BaseException, **fields: object) -> None:
        """The step named `action` failed; logged unless it failed before and hasn't worked since."""
        if action in self._open:
            return
        self._open.add(action)
        self._logger.error(
            "%s failed; repeats are not logged until it works again",
            action,
            exc_info=error,
            extra={"action": f"{action}_failed", **fields},
        )

    def settled(self, action: str) -> None:
        """The step works."""
        if action in self._open:
            self._open.remove(action)
            self._logger.info("%s works again", action, extra={"action": f"{action}_recovered"})
