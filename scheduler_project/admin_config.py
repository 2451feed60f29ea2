"""Which site `admin.site` means. Apart from the site itself: this is imported before models can be."""

from __future__ import annotations

from django.contrib.admin.apps import AdminConfig


class SchedulerAdminConfig(AdminConfig):
    """Makes `SchedulerAdminSite` the default."""

    default_site = "scheduler_project.admin_site.SchedulerAdminSite"
