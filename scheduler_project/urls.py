"""Every address that the service answers."""

from __future__ import annotations

from django.contrib import admin
from django.templatetags.static import static
from django.urls import include, path, re_path, reverse_lazy
from django.utils.functional import lazy
from django.views.generic import RedirectView

from scheduler_project.docs import redoc_page, swagger_page
from scheduler_project.errors import unknown_address

static_lazy = lazy(static, str)

urlpatterns = [
    path("", RedirectView.as_view(url=reverse_lazy("admin:index"))),
    path("admin/", admin.site.urls),
    path("api/v1/", include("scheduler_project.api")),
    # Before Django would add a slash and redirect: the API has no such addresses. No dot, which matches no line break.
    re_path(r"^api(?:/[\s\S]*)?\Z", unknown_address),
    path("docs", swagger_page, name="docs"),
    path("redoc", redoc_page, name="redoc"),
    # Lazy: in the image the name gets a hash, which is known only once the static files are collected.
    path("favicon.ico", RedirectView.as_view(url=static_lazy("docs/favicon.svg"))),
]

handler400 = "scheduler_project.errors.bad_request"
handler500 = "scheduler_project.errors.server_error"
