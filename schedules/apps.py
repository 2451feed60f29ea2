"""The schedules app."""

from __future__ import annotations

from django.apps import AppConfig


class SchedulesConfig(AppConfig):
    """Registers the app under its own name."""

    name = "schedules"
    verbose_name = "Schedules"
