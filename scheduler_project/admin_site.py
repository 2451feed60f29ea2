"""The admin site: our title, our dashboard."""

from __future__ import annotations

from django.contrib.admin import AdminSite
from django.contrib.admin.apps import AdminConfig


class SchedulerAdminSite(AdminSite):
    """The admin with the service's name on it."""

    site_header = "API Scheduler"
    site_title = "API Scheduler"
    index_title = "Dashboard"


class SchedulerAdminConfig(AdminConfig):
    """Makes `SchedulerAdminSite` the site that `admin.site` means."""

    default_site = "scheduler_project.admin_site.SchedulerAdminSite"
