"""What is old: pure rules."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pytest_django import Settings

from runs.models import FINAL_STATUSES
from runs.retention import BAD_STATUSES, GOOD_STATUSES, RetentionPolicy
from runs.retention_settings import retention_policy
from tests.factories import NOW

DAY = timedelta(days=1)


def policy(**fields: Any) -> RetentionPolicy:
    values = {"success_age": 14 * DAY, "failed_age": 90 * DAY, "body_age": 3 * DAY, "keep_last": 100}
    return RetentionPolicy(**{**values, **fields})


def test_every_final_status_has_its_age_and_no_other_has() -> None:
    assert set(GOOD_STATUSES) | set(BAD_STATUSES) == set(FINAL_STATUSES)
    assert policy().cutoffs(NOW).keys() == set(FINAL_STATUSES)


@pytest.mark.parametrize(
    ("status", "days"), [("success", 14), ("skipped", 14), ("cancelled", 14), ("failed", 90), ("timeout", 90)]
)
def test_failures_are_kept_longer(status: str, days: int) -> None:
    assert policy().cutoffs(NOW)[status] == NOW - days * DAY


def test_what_is_kept_for_ever_has_no_cutoff() -> None:
    assert policy(success_age=None).cutoffs(NOW).keys() == set(BAD_STATUSES)
    assert policy(failed_age=None).cutoffs(NOW).keys() == set(GOOD_STATUSES)
    assert policy(body_age=None).body_cutoff(NOW) is None


@pytest.mark.parametrize(
    ("ages", "days", "gone"),
    [
        ({}, 13, False),
        ({}, 15, True),
        ({"success_age": None}, 15, False),
        ({"success_age": None}, 91, True),
        ({"success_age": None, "failed_age": None}, 9999, False),
    ],
)
def test_a_run_may_be_gone_once_it_is_older_than_the_shortest_age(ages: Any, days: int, gone: bool) -> None:
    assert policy(**ages).may_be_gone(NOW - days * DAY, NOW) is gone


def test_it_is_on_by_default() -> None:
    assert retention_policy() == policy()


def test_the_settings_decide(settings: Settings) -> None:
    settings.RETENTION_SUCCESS_DAYS, settings.RETENTION_FAILED_DAYS = DAY, 2 * DAY
    settings.RETENTION_BODY_DAYS, settings.RETENTION_KEEP_LAST = None, 5
    assert retention_policy() == RetentionPolicy(DAY, 2 * DAY, None, 5)
