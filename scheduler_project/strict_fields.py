"""Serializer fields that take a JSON type at its word: no number from a string, no text from a number, no true as 1.

`StrictSerializer` and `StrictModelSerializer` also refuse body fields that they don't know; read-only ones they ignore.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import models
from django.http import QueryDict
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail
from rest_framework.fields import empty

from scheduler_project.json_parser import text_problem
from scheduler_project.query import UUID_PATTERN
from scheduler_project.rfc3339 import format_moment, parse_moment

# What fits a 4-byte column, where a field says nothing narrower.
INTEGER_HIGH = 2**31 - 1


class StrictCharField(serializers.CharField):
    """A JSON string, kept as sent: white space is not trimmed unless `trim_whitespace=True`."""

    default_error_messages: ClassVar[dict[str, Any]] = {"invalid": "Must be a string."}

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("trim_whitespace", False)
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> str:
        """The string; NUL and lone surrogates are refused here too, for callers that pass no parser."""
        if not isinstance(data, str):
            self.fail("invalid")
        problem = text_problem(data)
        if problem:
            raise serializers.ValidationError(problem, code="unsafe_text")
        return super().to_internal_value(data)


class StrictIntegerField(serializers.IntegerField):
    """A JSON number without a fraction (`5.0` is 5); within 4 bytes unless `max_value` says otherwise."""

    default_error_messages: ClassVar[dict[str, Any]] = {"invalid": "Must be a whole number."}

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("max_value", INTEGER_HIGH)
        kwargs.setdefault("min_value", -INTEGER_HIGH)
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> int:
        """The number; true and numeric strings are not numbers."""
        if isinstance(data, bool) or not isinstance(data, int | float) or data != data // 1:
            self.fail("invalid")
        return int(data)


class StrictNumberField(serializers.FloatField):
    """A finite JSON number."""

    default_error_messages: ClassVar[dict[str, Any]] = {"invalid": "Must be a number."}

    def to_internal_value(self, data: Any) -> float:
        """The number; true and numeric strings are not numbers."""
        if isinstance(data, bool) or not isinstance(data, int | float):
            self.fail("invalid")
        return float(data)

    def to_representation(self, value: float) -> float:  # type: ignore[override]
        """The number; 30 rather than 30.0."""
        number = float(value)
        return int(number) if number.is_integer() else number


class StrictBooleanField(serializers.BooleanField):
    """JSON true or false; an absent one stays absent."""

    default_error_messages: ClassVar[dict[str, Any]] = {"invalid": "Must be true or false."}

    def to_internal_value(self, data: Any) -> bool:
        """Exactly true or false, not "true", 1 or "on"."""
        if not isinstance(data, bool):
            self.fail("invalid")
        return data


class StrictChoiceField(serializers.ChoiceField):
    """One of the choices, as a JSON string."""

    def __init__(self, choices: Any, **kwargs: Any) -> None:
        super().__init__(choices, **kwargs)
        known = ", ".join(str(choice) for choice in self.choices)
        self.error_messages["invalid_choice"] = f"Must be one of: {known}."

    def to_internal_value(self, data: Any) -> str:
        """The choice itself; an unhashable or other value is no choice."""
        if not isinstance(data, str) or data not in self.choices:
            self.fail("invalid_choice")
        return data


class StrictUUIDField(serializers.UUIDField):
    """A UUID string in its usual form (RFC 9562, section 4)."""

    def to_internal_value(self, data: Any) -> UUID:
        """The UUID; no integer, no braces, no urn."""
        if not isinstance(data, str) or not re.fullmatch(UUID_PATTERN, data):
            raise serializers.ValidationError("Must be a UUID.", code="invalid")
        return UUID(data)


class MomentField(serializers.DateTimeField):
    """An RFC 3339 time with offset: UTC inside, the service's zone outside."""

    def to_internal_value(self, data: Any) -> datetime:
        """The moment in UTC."""
        if not isinstance(data, str):
            raise serializers.ValidationError("Must be a string with an RFC 3339 time.", code="invalid")
        try:
            return parse_moment(data)
        except ValueError as error:
            raise serializers.ValidationError(str(error), code="invalid") from error

    def to_representation(self, value: datetime) -> str:
        """The moment in the service's zone, with offset."""
        return format_moment(value, ZoneInfo(settings.SCHEDULER_TIME_ZONE))


class _KnownFieldsOnly(serializers.Serializer[Any]):
    """Refuses what is not an object, and names that are no field."""

    default_error_messages: ClassVar[dict[str, Any]] = {"invalid": "Must be a JSON object."}

    def __init__(self, instance: Any = None, data: Any = empty, **kwargs: Any) -> None:
        # A request without a body reaches us as an empty form.
        super().__init__(instance, {} if isinstance(data, QueryDict) else data, **kwargs)

    def to_internal_value(self, data: Any) -> Any:
        """The validated fields; unknown names and wrong values come out together."""
        unknown = self._unknown(data) if isinstance(data, Mapping) else {}
        try:
            value = super().to_internal_value(data)
        except serializers.ValidationError as error:
            if not unknown or not isinstance(error.detail, dict):
                raise
            raise serializers.ValidationError({**unknown, **error.detail}) from error
        if unknown:
            raise serializers.ValidationError(unknown)
        return value

    def _unknown(self, data: Mapping[str, Any]) -> dict[str, list[ErrorDetail]]:
        return {name: [ErrorDetail(self._hint(name), code="unknown")] for name in data if name not in self.fields}

    def _hint(self, name: str) -> str:
        known = [field for field, declared in self.fields.items() if not declared.read_only]
        near = difflib.get_close_matches(name[:100], known, n=3)
        if near:
            return f"There is no such field. Did you mean {' or '.join(near)}?"
        return f"There is no such field. Known: {', '.join(known)}."


class StrictSerializer(_KnownFieldsOnly):
    """Base of serializers without a model; use the strict fields of this module in it."""


class StrictModelSerializer(_KnownFieldsOnly, serializers.ModelSerializer[Any]):
    """Base of model serializers: every generated field is a strict one."""

    serializer_field_mapping: ClassVar[dict[type[Any], type[Any]]] = {
        **serializers.ModelSerializer.serializer_field_mapping,
        models.BigAutoField: StrictIntegerField,
        models.BooleanField: StrictBooleanField,
        models.CharField: StrictCharField,
        models.DateTimeField: MomentField,
        models.FloatField: StrictNumberField,
        models.PositiveBigIntegerField: StrictIntegerField,
        models.PositiveIntegerField: StrictIntegerField,
        models.PositiveSmallIntegerField: StrictIntegerField,
        models.TextField: StrictCharField,
        models.UUIDField: StrictUUIDField,
    }
    serializer_choice_field = StrictChoiceField
