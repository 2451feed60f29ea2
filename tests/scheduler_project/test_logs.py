"""Log lines: one per event, whatever is in them."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest
from django.conf import settings
from django.db import IntegrityError
from hypothesis import given
from hypothesis import strategies as st

from scheduler_project.logs import OUR_APPS, LineFormatter, logging_config


def line(message: str = "it happened", *args: object, error: Exception | None = None, **fields: Any) -> str:
    """What the formatter makes of a record."""
    exc_info = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord("worker.loop", logging.INFO, __file__, 1, message, args, exc_info)
    vars(record).update(fields)
    return LineFormatter().format(record)


def test_a_line_has_utc_time_level_action_sentence_and_fields() -> None:
    text = line("worker %s started", "1a2b", action="worker_started", seats=100, name_of="two words")

    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO action=worker_started "
        r'msg="worker 1a2b started" seats=100 name_of="two words"',
        text,
    )


def test_the_time_is_utc_whatever_the_zone_of_the_service() -> None:
    record = logging.LogRecord("worker", logging.INFO, __file__, 1, "x", (), None)
    record.created = 0.25
    assert LineFormatter().format(record).startswith("1970-01-01T00:00:00.250Z ")


def test_without_an_action_the_logger_says_where_it_comes_from() -> None:
    assert "action=worker.loop" in line()


def test_a_field_without_a_value_is_left_out() -> None:
    assert "status_code" not in line(status_code=None)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("two\nlines", r"two\nlines"),
        ("\x1b[31mred", r"\u001b[31mred"),
        ('say "x"', r"say \"x\""),
        ("sep\u2028arator", r"sep\u2028arator"),
        ("right\u202eleft", r"right\u202eleft"),
        ("del\x7f", r"del\u007f"),
        ("grüße", "grüße"),
        ("astral\U000e0001", r"astral\udb40\udc01"),
        ("half\ud800", r"half\ud800"),
    ],
)
def test_nothing_in_a_message_or_field_breaks_the_line_or_the_terminal(text: str, shown: str) -> None:
    assert f'msg="{shown}"' in line("%s", text)
    if text != "grüße":
        assert f'reason="{shown}"' in line(reason=text)


@given(st.text(), st.text())
def test_a_line_is_always_one_printable_line(message: str, value: str) -> None:
    assert line("%s", message, field=value).isprintable()


def test_an_exception_is_its_type_first_line_and_places() -> None:
    try:
        raise IntegrityError("violates check\nDETAIL: Failing row contains (secret).")
    except IntegrityError as error:
        text = line(error=error)

    assert 'error="IntegrityError: violates check"' in text
    assert "secret" not in text
    assert "test_logs.py:" in text
    assert "\n" not in text


def test_an_exception_without_a_message_is_its_type() -> None:
    assert 'error="ValueError"' in line(error=ValueError())


def test_the_settings_use_it_for_everything_on_standard_error() -> None:
    assert logging_config() == settings.LOGGING
    assert settings.LOGGING["root"]["handlers"] == ["stderr"]
    assert all(settings.LOGGING["loggers"][app]["level"] == "INFO" for app in OUR_APPS)


def test_a_request_object_on_djangos_records_is_not_shown() -> None:
    assert "secret" not in line(request="<WSGIRequest: GET '/x?token=secret'>")


def test_many_events_of_one_kind_get_a_line_each_from_one_record() -> None:
    events = [
        ("attempt 1 ended: success", {"run": 1, "status_code": 200}),
        ("two\nlines", {"run": 2, "status_code": None}),
    ]
    start = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO action=attempt_ended"
    first, second = line("2 attempts ended", action="attempt_ended", each=events).split("\n")
    assert re.fullmatch(start + ' msg="attempt 1 ended: success" run=1 status_code=200', first)
    assert re.fullmatch(start + r' msg="two\\nlines" run=2', second)
