"""Runs and attempts as JSON. All of it is read-only."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from runs.models import Attempt, Run, RunStatus, Trigger
from runs.outcome import ErrorType
from scheduler_project.strict_fields import MomentField, StrictCharField, StrictNumberField, StrictSerializer

NOTE_LENGTH = 1000
ERROR_TYPES = [error.value for error in ErrorType]


class TimingsSerializer(serializers.Serializer[Any]):
    """Where the time of an attempt went, in milliseconds; null where the phase was not reached."""

    dns_ms = StrictNumberField(allow_null=True, default=None)
    connect_ms = StrictNumberField(allow_null=True, default=None)
    tls_ms = StrictNumberField(allow_null=True, default=None)
    ttfb_ms = StrictNumberField(allow_null=True, default=None)
    total_ms = StrictNumberField(allow_null=True, default=None)


class AttemptSerializer(serializers.Serializer[Attempt]):
    """One HTTP try."""

    id = serializers.UUIDField()
    run_id = serializers.UUIDField()
    attempt_number = serializers.IntegerField()
    request_url = serializers.CharField()
    request_method = serializers.CharField()
    request_headers = serializers.DictField(child=serializers.CharField())
    request_body = serializers.CharField(allow_null=True)
    started_at = MomentField()
    completed_at = MomentField(allow_null=True)
    latency_ms = StrictNumberField(allow_null=True)
    status_code = serializers.IntegerField(allow_null=True)
    response_headers = serializers.DictField(child=serializers.CharField())
    response_body = serializers.CharField()
    response_truncated = serializers.BooleanField()
    response_size_bytes = serializers.IntegerField(allow_null=True)
    bodies_cleared_at = MomentField(
        allow_null=True, help_text="When retention emptied the bodies; null: they are whole."
    )
    error_type = serializers.ChoiceField(ERROR_TYPES)
    error_message = serializers.CharField()
    fenced = serializers.BooleanField(help_text="It came too late: its worker had been given up.")
    created_at = MomentField()
    timings = TimingsSerializer()
    remote_ip = serializers.IPAddressField(allow_null=True)


class RunSerializer(serializers.Serializer[Run]):
    """One intended call."""

    id = serializers.UUIDField()
    schedule_id = serializers.UUIDField(allow_null=True)
    target_id = serializers.UUIDField()
    trigger = serializers.ChoiceField(Trigger.choices)
    status = serializers.ChoiceField(RunStatus.choices)
    reason = serializers.CharField()
    missed_ticks = serializers.IntegerField()
    scheduled_at = MomentField()
    started_at = MomentField(allow_null=True)
    completed_at = MomentField(allow_null=True)
    next_attempt_at = MomentField(allow_null=True)
    attempt_count = serializers.IntegerField()
    final_status_code = serializers.IntegerField(allow_null=True)
    final_error_type = serializers.ChoiceField(ERROR_TYPES)
    final_error_message = serializers.CharField()
    idempotency_key = serializers.CharField(help_text="Sent with every attempt.")
    replay_of = serializers.UUIDField(allow_null=True)
    resolved_at = MomentField(allow_null=True)
    resolved_note = serializers.CharField()
    created_at = MomentField()


class RunDetailSerializer(RunSerializer):
    """One intended call with its tries."""

    attempts = AttemptSerializer(many=True)


class ExplanationSerializer(serializers.Serializer[Any]):
    """Why a schedule did, or did not, run at a moment."""

    at = MomentField()
    run = RunSerializer(allow_null=True)
    sentence = serializers.CharField()


class ResolveSerializer(StrictSerializer):
    """What was done about a failed run."""

    note = StrictCharField(required=False, allow_blank=True, default="", max_length=NOTE_LENGTH)
