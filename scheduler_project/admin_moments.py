"""A form field for moments that gives every moment back exactly, also in the hour that clocks repeat.

Date and time are those of the service's zone. Where a time comes twice on its day, its offset stands behind it, as in
`02:30:00+0200`, and is asked for.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta, timezone
from typing import Any

from django import forms
from django.contrib.admin.widgets import AdminSplitDateTime, BaseAdminTimeWidget
from django.utils.timezone import get_current_timezone, is_aware

CLOCK_FORMAT = "%H:%M:%S%z"


class _ClockField(forms.TimeField):
    """A time of day, perhaps with its offset from UTC."""

    def to_python(self, value: Any) -> time | None:
        """As Django reads it, else as ISO 8601 writes a time with an offset; then it has a `tzinfo`."""
        try:
            return super().to_python(value)
        except forms.ValidationError:
            try:
                return time.fromisoformat(str(value).strip().replace(" ", ""))
            except ValueError:
                pass
            raise


class MomentWidget(AdminSplitDateTime):
    """The admin's own inputs for date and time."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__(attrs)
        # The base class: AdminTimeWidget brings a paragraph of its own, which would end the one that it stands in.
        self.widgets = (self.widgets[0], BaseAdminTimeWidget(attrs={"size": "13"}, format=CLOCK_FORMAT))

    def decompress(self, value: datetime | None) -> list[Any]:  # type: ignore[override]
        """Local date and time, the time with its offset where it comes twice."""
        if value is None:
            return [None, None]
        local = value.astimezone(get_current_timezone()).replace(microsecond=0)
        clock = local.time()
        if _comes_twice(local):
            clock = clock.replace(tzinfo=timezone(local.utcoffset() or timedelta(0)))
        return [local.date(), clock]


class MomentField(forms.SplitDateTimeField):
    """A moment, typed as date and time in the service's zone."""

    widget = MomentWidget

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        day, clock = self.fields
        self.fields = (day, _ClockField(required=clock.required, error_messages=clock.error_messages))

    def compress(self, data_list: Any) -> datetime | None:
        """The moment, aware.

        Raises:
            forms.ValidationError: a part is missing; or the time comes twice, or never, on that day.
        """
        if not data_list or any(part in self.empty_values for part in data_list):
            return super().compress(data_list)
        local = datetime.combine(*data_list)
        if is_aware(local):
            return local
        local = local.replace(tzinfo=get_current_timezone())
        if _comes_twice(local):
            one, other = (f"{local:%H:%M}{local.replace(fold=fold):%z}" for fold in (0, 1))
            raise forms.ValidationError(f"{local:%H:%M} comes twice on that day. Write {one} or {other}.")
        if local.utcoffset() != local.replace(fold=1).utcoffset():
            raise forms.ValidationError(f"{local:%H:%M} does not exist on that day: clocks are put forward over it.")
        return local


def _comes_twice(local: datetime) -> bool:
    """Of an aware local time: a repeated one has the greater offset first (PEP 495); one left out, the smaller."""
    first, second = (local.replace(fold=fold).utcoffset() for fold in (0, 1))
    return first is not None and second is not None and first > second
