"""The access app."""

from __future__ import annotations

from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate
from django.utils.module_loading import import_string


class AccessConfig(AppConfig):
    """Registers the app under its own name."""

    name = "access"
    verbose_name = "Access"

    def ready(self) -> None:
        """After every migration, see that the roles have their permissions."""
        post_migrate.connect(_sync_roles, dispatch_uid="access.roles")


def _sync_roles(sender: AppConfig, **kwargs: object) -> None:
    with_models = [config for config in apps.get_app_configs() if config.models_module is not None]
    # Once, after the last app: by then all permissions exist.
    if sender is with_models[-1]:
        import_string("access.roles.sync_roles")()
