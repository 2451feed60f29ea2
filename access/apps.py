"""The access app."""

from __future__ import annotations

from django.apps import AppConfig


class AccessConfig(AppConfig):
    """Registers the app under its own name."""

    name = "access"
    verbose_name = "Access"
