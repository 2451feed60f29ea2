"""Targets in the admin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib import admin
from django.utils.html import format_html

from runs.models import Run
from scheduler_project.admin_parts import ServiceAdmin, ServiceForm, list_address
from schedules.clock import database_now
from targets.models import Target
from targets.secrets import mask_headers
from targets.services import USER_FIELDS, create_target, delete_target, update_target

OPTIONAL = [name for name in USER_FIELDS if name not in ("name", "url")]


class TargetForm(ServiceForm[Target]):
    """What to call; secrets come masked and stay as they are unless they are changed."""

    headers = forms.JSONField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 5, "cols": 80, "class": "code"}),
        help_text='A JSON object such as {"Authorization": "Bearer ..."}. Secret values are stored encrypted and shown '
        "as ********; leave those as they are to keep them.",
    )

    class Meta:
        model = Target
        fields = USER_FIELDS
        widgets = {
            "url": forms.TextInput(attrs={"size": 80, "class": "code"}),
            "body_template": forms.Textarea(attrs={"rows": 8, "cols": 80, "class": "code"}),
            "response_must_contain": forms.TextInput(attrs={"size": 60}),
        }
        help_texts = {
            "url": "http or https. Placeholders such as {{run_id}} may stand in path and query.",
            "body_template": "Sent as it is, after placeholders are filled in. Empty: no body.",
            "timeout_seconds": "For the whole attempt. Empty: the service's default.",
            "expected_status": "What counts as success, such as 200-299 or 200,204,404.",
            "max_concurrency": "Calls at once per worker process. Empty: the usual share.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in OPTIONAL:
            self.fields[name].required = False
        if not self.is_new:
            self.initial["headers"] = mask_headers(self.instance.headers)

    def clean_headers(self) -> dict[str, str]:
        """An object of texts; the service judges the names and values."""
        headers = self.cleaned_data["headers"]
        if headers is None:
            return {}
        if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
            raise forms.ValidationError('Must be a JSON object of names and texts, such as {"Accept": "text/plain"}.')
        return headers

    def write(self, values: Mapping[str, Any]) -> Target:
        """Create or change the target."""
        if self.is_new:
            return create_target(fields=values, now=database_now())
        return update_target(target_id=self.instance.pk, changes=values, now=database_now())


@admin.register(Target)
class TargetAdmin(ServiceAdmin[Target]):
    """What can be called."""

    form = TargetForm
    list_display = ("name", "method", "url", "timeout_seconds", "runs", "updated_at")
    search_fields = ("name", "url")
    list_filter = ("method",)
    fieldsets = (
        (None, {"fields": ("name", "method", "url", "headers", "body_template")}),
        ("Limits", {"fields": ("timeout_seconds", "connect_timeout_seconds", "max_concurrency")}),
        (
            "Answer",
            {"fields": ("expected_status", "response_must_contain", "follow_redirects", "verify_tls")},
        ),
    )

    def remove(self, row: Target) -> None:
        """Through the service."""
        delete_target(target_id=row.pk, now=database_now())

    @admin.display(description="Runs")
    def runs(self, target: Target) -> str:
        """A link to its runs."""
        return format_html('<a href="{}">show</a>', list_address(Run, target__id__exact=target.pk))
