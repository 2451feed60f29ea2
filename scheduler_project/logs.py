"""Logging: one line per event on standard error, `time level action=... msg="sentence" key=value ...`.

Log calls name their event with `extra={"action": ..., <ids>}`. Neither URLs nor headers nor bodies are logged, and an
exception is shown as its type, the first line of its message and the places it passed: further lines of a database
error repeat the values of the row.
"""

from __future__ import annotations

import json
import logging
import re
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from access.request_id import current_request_id

OUR_APPS = ("access", "runs", "scheduler_project", "schedules", "targets", "worker")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# Django puts these on its own records: an object that shows URLs, and what the message says already.
_FOREIGN = frozenset({"request", "sql", "params"})
_PLAIN = re.compile(r"[\w.:/+,@%()<>*-]+", re.ASCII)
_FRAMES_SHOWN = 6
# `extra={"action": ..., "each": [(message, fields), ...]}`: a line for each of many events at once.
EACH = "each"


def logging_config() -> dict[str, Any]:
    """The value of settings.LOGGING."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": LineFormatter}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {
            **{app: {"level": "INFO"} for app in OUR_APPS},
            "django": {"handlers": [], "level": "WARNING"},
            # 4xx answers are the client's business, not the operator's.
            "django.request": {"level": "ERROR"},
        },
    }


class LineFormatter(logging.Formatter):
    """A record as one line; control characters and line separators are escaped wherever they come from."""

    def format(self, record: logging.LogRecord) -> str:
        """UTC time, level, then the fields in the order in which they were given."""
        moment = datetime.fromtimestamp(record.created, UTC)
        fields = {key: value for key, value in vars(record).items() if key not in _STANDARD and value is not None}
        action = fields.pop("action", record.name)
        each = fields.pop(EACH, None)
        start = f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z {record.levelname} action={action}"
        if each is not None:
            # Many events of one kind: a record for each would cost more than what it tells of.
            return "\n".join(f"{start} msg={_quoted(message)} {_listed(of_event)}" for message, of_event in each)
        parts = [start, f"msg={_quoted(record.getMessage())}"]
        parts += [_listed(fields)] if fields else []
        request_id = current_request_id()
        parts += [f"request_id={request_id}"] if request_id else []
        if record.exc_info and record.exc_info[1] is not None:
            parts += _described(record.exc_info[1])
        return " ".join(parts)


def _listed(fields: Mapping[str, object]) -> str:
    return " ".join(
        f"{key}={_shown(value)}" for key, value in fields.items() if value is not None and key not in _FOREIGN
    )


def _shown(value: object) -> str:
    text = str(value)
    return text if _PLAIN.fullmatch(text) else _quoted(text)


@lru_cache(maxsize=256)
def _quoted(text: str) -> str:
    """A JSON string in which everything that isn't printable is escaped."""
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(character if character.isprintable() else _escaped(character) for character in quoted)


def _escaped(character: str) -> str:
    return json.dumps(character)[1:-1] if ord(character) > 0x7F else f"\\u{ord(character):04x}"


def _described(error: BaseException) -> list[str]:
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES_SHOWN:]
    places = " > ".join(f"{frame.filename}:{frame.lineno}" for frame in frames)
    message = str(error).strip().partition("\n")[0]
    parts = [f"error={_quoted(f'{type(error).__name__}: {message}'.removesuffix(': '))}"]
    return [*parts, f"at={_quoted(places)}"] if places else parts
