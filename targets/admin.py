"""Targets in the admin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.utils.html import format_html

from runs.models import Run
from scheduler_project.admin_actions import ObjectActions
from scheduler_project.admin_cells import as_text, list_address, moment, row_address
from scheduler_project.admin_fields import ExactTextField, HeadersField
from scheduler_project.admin_forms import ServiceAdmin, ServiceForm
from schedules.clock import database_now
from schedules.models import Schedule
from targets.masking import mask_headers
from targets.models import HttpMethod, Target
from targets.secrets import Undecryptable
from targets.services import USER_FIELDS, create_target, delete_target, update_target
from worker.single_call import call_target_once

FORM_FIELDS = tuple(name for name in USER_FIELDS if name not in ("auth", "signing_secret"))


class TargetForm(ServiceForm[Target]):
    """What to call; secrets come masked and stay as they are unless they are changed."""

    needed = ("name", "url")
    method = forms.ChoiceField(choices=[(method, method) for method in HttpMethod.values])
    headers = HeadersField(
        widget=forms.Textarea(attrs={"rows": 4, "cols": 80, "class": "code"}),
        help_text="One per line, such as Authorization: Bearer ... Secret values are stored encrypted and shown as "
        "********; leave those as they are to keep them.",
    )
    body_template = ExactTextField(
        label="Body",
        widget=forms.Textarea(attrs={"rows": 8, "cols": 80, "class": "code"}),
        help_text="Sent as it is, after placeholders are filled in. Empty: no body.",
    )
    response_must_contain = ExactTextField(
        widget=forms.Textarea(attrs={"rows": 2, "cols": 80, "class": "code"}),
        help_text="Without this text the answer counts as failed. Empty: not checked.",
    )

    class Meta:
        model = Target
        fields = FORM_FIELDS
        widgets = {"url": forms.TextInput(attrs={"size": 80, "class": "code"})}
        labels = {
            "url": "URL",
            "verify_tls": "Verify TLS certificates",
            "timeout_seconds": "Timeout in seconds",
            "connect_timeout_seconds": "Connect timeout in seconds",
        }
        help_texts = {
            "url": "http or https. Placeholders such as {{run_id}} or {{scheduled_at}} may stand in path and query.",
            "timeout_seconds": "For a whole attempt, from name look-up to the last byte of the answer.",
            "expected_status": "What counts as success, such as 200-299 or 200,204,404.",
            "max_concurrency": "Calls at once per worker process. Empty: 80 % of the worker's seats.",
            "follow_redirects": "Off: a redirect counts as failed and says where it leads to.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["headers"].required = False
        if self.is_new:
            self.initial.setdefault("timeout_seconds", settings.DEFAULT_TIMEOUT_SECONDS)
            return
        stored = self.instance.headers
        self.initial["headers"] = mask_headers(stored)
        if isinstance(stored, Undecryptable):
            self.fields["headers"].help_text = format_html(
                '<strong class="alarm">The stored headers can\'t be decrypted. {}</strong>', Undecryptable.REMEDY
            )

    def as_initial(self, name: str, value: Any) -> Any:
        """Headers are shown masked."""
        return mask_headers(value) if name == "headers" else value

    def write(self, values: Mapping[str, Any]) -> Target:
        """Create or change the target."""
        if self.is_new:
            return create_target(fields=values, now=database_now())
        return update_target(target_id=self.instance.pk, changes=values, now=database_now())


@admin.register(Target)
class TargetAdmin(ObjectActions[Target], ServiceAdmin[Target]):
    """What can be called."""

    form = TargetForm
    list_display = ("name", "verb", "address", "links", "updated")
    search_fields = ("name", "url")
    search_help_text = "A part of the name or of the URL"
    sortable_by = ("name", "updated")
    object_actions = {"call_once": "Send a test call"}
    goes_along = "its schedules and all their runs"
    readonly_fields = ("links",)

    def get_fieldsets(self, request: HttpRequest, obj: Target | None = None) -> Any:
        """Who may only look gets every field as text, and so the headers as masked text."""
        headers = "headers" if obj is None or self.has_change_permission(request, obj) else "masked_headers"
        return (
            (None, {"fields": ("name", "method", "url", headers, "body_template", *(("links",) if obj else ()))}),
            ("Success", {"fields": ("expected_status", "response_must_contain", "follow_redirects", "verify_tls")}),
            ("Limits", {"fields": ("timeout_seconds", "connect_timeout_seconds", "max_concurrency")}),
        )

    def remove(self, row: Target) -> None:
        """Through the service."""
        delete_target(target_id=row.pk, now=database_now())

    @admin.action(description="Send a test call", permissions=["run"])
    def call_once(self, request: HttpRequest, queryset: QuerySet[Target]) -> HttpResponseRedirect | None:
        """Call it now, from this process, and show the run."""
        target = queryset.first()
        if target is None:
            return None
        return HttpResponseRedirect(row_address(Run, call_target_once(target_id=target.pk)))

    @admin.display(description="Method")
    def verb(self, target: Target) -> str:
        """As it is sent."""
        return target.method

    @admin.display(description="URL")
    def address(self, target: Target) -> str:
        """The template, in a fixed-width font."""
        return format_html('<span class="code">{}</span>', target.url)

    @admin.display(description="Updated at", ordering="updated_at")
    def updated(self, target: Target) -> str:
        """The last change by a user."""
        return moment(target.updated_at)

    @admin.display(description="Headers")
    def masked_headers(self, target: Target) -> str:
        """As lines, without secrets."""
        return as_text(HeadersField().prepare_value(mask_headers(target.headers)))

    @admin.display(description="See")
    def links(self, target: Target) -> str:
        """Its schedules and runs."""
        return format_html(
            '<a href="{}">schedules</a>, <a href="{}">runs</a>',
            list_address(Schedule, target__id__exact=target.pk),
            list_address(Run, target__id__exact=target.pk),
        )
