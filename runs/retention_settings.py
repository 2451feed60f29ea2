"""The retention policy that the operator has set."""

from __future__ import annotations

from django.conf import settings

from runs.retention import RetentionPolicy


def retention_policy() -> RetentionPolicy:
    """What `RETENTION_SUCCESS_DAYS`, `RETENTION_FAILED_DAYS`, `RETENTION_BODY_DAYS` and `RETENTION_KEEP_LAST` say."""
    return RetentionPolicy(
        success_age=settings.RETENTION_SUCCESS_DAYS,
        failed_age=settings.RETENTION_FAILED_DAYS,
        body_age=settings.RETENTION_BODY_DAYS,
        keep_last=settings.RETENTION_KEEP_LAST,
    )
