"""The runs app."""

from __future__ import annotations

from django.apps import AppConfig


class RunsConfig(AppConfig):
    """Registers the app under its own name."""

    name = "runs"
    verbose_name = "Runs"
