"""Every address that the service answers."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path, re_path, reverse_lazy
from django.views.generic import RedirectView

from scheduler_project.docs import redoc_page, swagger_page
from scheduler_project.errors import unknown_address

urlpatterns = [
    path("", RedirectView.as_view(url=reverse_lazy("admin:index"))),
    path("admin/", admin.site.urls),
    path("api/v1/", include("scheduler_project.api")),
    # Before Django would add a slash and redirect: the API has no such addresses.
    re_path(r"^api(?:/.*)?$", unknown_address),
    path("docs", swagger_page, name="docs"),
    path("redoc", redoc_page, name="redoc"),
]

handler400 = "scheduler_project.errors.bad_request"
handler500 = "scheduler_project.errors.server_error"
