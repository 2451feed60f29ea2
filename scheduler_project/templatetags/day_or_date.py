"""Moments for narrow tables."""

from __future__ import annotations

from datetime import datetime, timedelta

from django import template
from django.utils.formats import date_format
from django.utils.timezone import localtime

register = template.Library()

# A day of the week says which day is meant up to here, clock changes included.
UNMISTAKABLE = timedelta(days=6)


@register.filter
def day_or_date(moment: datetime, now: datetime) -> str:
    """In the service's zone, `Thu 07:10:53` for a moment close to `now`, else `2027-01-01 00:00`."""
    return date_format(localtime(moment), "D H:i:s" if abs(moment - now) < UNMISTAKABLE else "Y-m-d H:i")
