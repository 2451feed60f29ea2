"""The worker app."""

from __future__ import annotations

from django.apps import AppConfig


class WorkerConfig(AppConfig):
    """Registers the app under its own name."""

    name = "worker"
    verbose_name = "Workers"
