"""The project's own app: commands, templates and the admin site that belong to no domain."""

from __future__ import annotations

from django.apps import AppConfig


class SchedulerProjectConfig(AppConfig):
    """Registers the app under its own name."""

    name = "scheduler_project"
    verbose_name = "API Scheduler"
