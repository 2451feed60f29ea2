"""Schedules as JSON."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from rest_framework import serializers

from scheduler_project.rfc3339 import format_moment
from scheduler_project.strict_fields import (
    MomentField,
    StrictCharField,
    StrictChoiceField,
    StrictIntegerField,
    StrictNumberField,
    StrictSerializer,
    StrictUUIDField,
)
from schedules.drafts import timing_of
from schedules.models import CatchUp, OnWorkerLost, OverlapPolicy, Schedule, ScheduleStatus, ScheduleType
from schedules.recurrence import Fire, describe
from schedules.validators import CRON_LENGTH, NAME_LENGTH, NUMBERS, REASON_LENGTH, WHOLE_NUMBERS

MOST_PREVIEWED = 100
DEFAULT_PREVIEWED = 10


def _whole(name: str, **kwargs: Any) -> StrictIntegerField:
    low, high = WHOLE_NUMBERS[name]
    return StrictIntegerField(required=False, **_bounds(low, high), **kwargs)


def _number(name: str, **kwargs: Any) -> StrictNumberField:
    low, high = NUMBERS[name]
    return StrictNumberField(required=False, **_bounds(low, high), **kwargs)


def _bounds(low: float, high: float) -> dict[str, Any]:
    sentence = f"Must be from {low} to {high}."
    return {"min_value": low, "max_value": high, "error_messages": {"min_value": sentence, "max_value": sentence}}


def _moment(help_text: str) -> MomentField:
    return MomentField(required=False, allow_null=True, help_text=help_text)


class ScheduleSerializer(StrictSerializer):
    """When to call a target. Values are judged by schedules.services; here their JSON types are."""

    id = serializers.UUIDField(read_only=True)
    name = StrictCharField(max_length=NAME_LENGTH, trim_whitespace=True)
    target_id = StrictUUIDField()
    schedule_type = StrictChoiceField(ScheduleType.choices)
    interval_seconds = _whole("interval_seconds", allow_null=True, help_text="For interval.")
    cron_expression = StrictCharField(
        required=False,
        allow_null=True,
        trim_whitespace=True,
        max_length=CRON_LENGTH,
        help_text="For cron: five fields, or @hourly to @yearly, in `timezone`.",
    )
    run_at = _moment("For once.")
    timezone = StrictCharField(required=False, help_text="IANA name; default SCHEDULER_TIME_ZONE.")
    start_at = _moment("Start of the window and of the interval's grid; null: the creation.")
    duration_seconds = _whole("duration_seconds", allow_null=True, help_text="Length of the window; or `expires_at`.")
    max_runs = _whole("max_runs", allow_null=True)
    jitter_seconds = _whole("jitter_seconds", help_text="Less than the shortest time between two fires.")
    catch_up = StrictChoiceField(CatchUp.choices, required=False)
    misfire_grace_seconds = _whole("misfire_grace_seconds", help_text="Default JOB_MISFIRE_GRACE_SECONDS.")
    overlap_policy = StrictChoiceField(OverlapPolicy.choices, required=False)
    max_retries = _whole("max_retries", help_text="Tries after the first; default MAX_RETRIES.")
    retry_delay_seconds = _number("retry_delay_seconds", help_text="First wait; default RETRY_DELAY_SECONDS.")
    max_retry_delay_seconds = _number("max_retry_delay_seconds", help_text="Longest wait.")
    on_worker_lost = StrictChoiceField(OnWorkerLost.choices, required=False)
    status = serializers.ChoiceField(ScheduleStatus.choices, read_only=True)
    paused_reason = serializers.CharField(read_only=True)
    started_at = MomentField(read_only=True)
    expires_at = _moment("Inclusive end of the window; or `duration_seconds`.")
    run_count = serializers.IntegerField(read_only=True)
    last_run_at = MomentField(read_only=True, allow_null=True)
    next_run_at = MomentField(read_only=True, allow_null=True)
    last_error = serializers.CharField(read_only=True)
    description = serializers.SerializerMethodField(help_text="The timing in words.")
    created_at = MomentField(read_only=True)
    updated_at = MomentField(read_only=True)

    def get_description(self, schedule: Schedule) -> str:
        """The timing in words; empty where the zone is no longer known, so that no row breaks a list."""
        try:
            return describe(timing_of(schedule))
        except ValueError:
            return ""


class DraftSerializer(ScheduleSerializer):
    """An unsaved schedule and how much of its future to show; all of a schedule's fields are let in."""

    name = StrictCharField(required=False, max_length=NAME_LENGTH, trim_whitespace=True)
    target_id = StrictUUIDField(required=False)
    count = StrictIntegerField(required=False, min_value=1, max_value=MOST_PREVIEWED, default=DEFAULT_PREVIEWED)

    def get_fields(self) -> dict[str, Any]:
        """Add `from`, which Python doesn't take as a name."""
        after = MomentField(required=False, help_text="Fires strictly later than this; default now.")
        return {**super().get_fields(), "from": after}


class PauseSerializer(StrictSerializer):
    """Why a schedule is paused."""

    reason = StrictCharField(required=False, allow_blank=True, default="", max_length=REASON_LENGTH)


class FireSerializer(serializers.Serializer[Any]):
    """One nominal time ahead."""

    at = MomentField()
    local = serializers.SerializerMethodField(help_text="The same moment in the schedule's own zone.")
    note = serializers.CharField(help_text="What a clock change does to it, or empty.")

    def get_local(self, fire: Fire) -> str:
        """With the zone's offset."""
        return format_moment(fire.at, fire.local.tzinfo or UTC)


class PreviewSerializer(serializers.Serializer[Any]):
    """The nominal times ahead."""

    results = FireSerializer(many=True)
