"""The targets app."""

from __future__ import annotations

from django.apps import AppConfig


class TargetsConfig(AppConfig):
    """Registers the app under its own name."""

    name = "targets"
    verbose_name = "Targets"
