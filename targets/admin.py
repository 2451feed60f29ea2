"""Targets in the admin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.utils.html import format_html, format_html_join

from runs.models import Run
from scheduler_project.admin_actions import ObjectActions
from scheduler_project.admin_auth_fields import (
    AUTH_NAMES,
    AuthFields,
    auth_as_text,
    auth_from,
    auth_initial,
)
from scheduler_project.admin_cells import NOTHING, as_text, linked, list_address, moment, row_address
from scheduler_project.admin_fields import ExactTextField, HeadersField
from scheduler_project.admin_forms import MOST_NAMES_SHOWN, ServiceAdmin, ServiceForm
from scheduler_project.admin_secret_form import SecretForm
from scheduler_project.audit_trail import note_done
from schedules.clock import database_now
from schedules.models import Schedule
from targets.auth import mask_auth
from targets.errors import InUse
from targets.masking import MASK, mask_headers
from targets.models import HttpMethod, Secret, SecretUse, Target
from targets.secret_services import delete_secret
from targets.secrets import Undecryptable
from targets.services import USER_FIELDS, create_target, delete_target, update_target
from worker.single_call import call_target_once

FORM_FIELDS = tuple(name for name in USER_FIELDS if name not in ("auth", "signing_secret"))


class TargetForm(AuthFields, ServiceForm[Target]):
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
        help_text="Sent as it is, after placeholders are filled in. Empty: no body. Write {{secret.NAME}} instead of a "
        "secret: everything else can be read by everybody who may look at targets.",
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
            "url": "http or https. Placeholders such as {{run_id}} may stand in path and query, {{secret.NAME}} in the "
            "query.",
            "timeout_seconds": "For a whole attempt, from name look-up to the last byte of the answer.",
            "expected_status": "What counts as success, such as 200-299 or 200,204,404.",
            "max_concurrency": "Calls at once per worker process. Empty: 80 % of the worker's seats.",
            "follow_redirects": "Off: a redirect counts as failed and says where it leads to.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("headers", "signing_secret", *AUTH_NAMES):
            self.fields[name].required = False
        if self.is_new:
            self.initial.setdefault("timeout_seconds", settings.DEFAULT_TIMEOUT_SECONDS)
            return
        stored = self.instance.headers
        self.initial["headers"] = mask_headers(stored)
        self.initial.update(auth_initial(self.instance.auth, self.instance.signing_secret))
        if isinstance(stored, Undecryptable):
            self.fields["headers"].help_text = format_html(
                '<strong class="alarm">The stored headers can\'t be decrypted. {}</strong>', Undecryptable.REMEDY
            )

    def as_initial(self, name: str, value: Any) -> Any:
        """Headers and credentials are shown masked."""
        if name in ("auth", "signing_secret"):
            return auth_initial(value if name == "auth" else None, value if name == "signing_secret" else None)[name]
        return mask_headers(value) if name == "headers" else value

    def values(self) -> dict[str, Any]:
        """The services know credentials as one value."""
        values = {name: value for name, value in super().values().items() if name not in AUTH_NAMES}
        auth = auth_from(self.cleaned_data)
        return values if auth == mask_auth(self.instance.auth) else {**values, "auth": auth}

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
    readonly_fields = ("links", "masked_auth", "is_signed", "signed_too_until", "secrets_used")

    class Media:
        js = ("api_scheduler/target_form.js",)

    def get_fieldsets(self, request: HttpRequest, obj: Target | None = None) -> Any:
        """Who may only look gets every field as text, and so what is secret as masked text."""
        writes = obj is None or self.has_change_permission(request, obj)
        headers = "headers" if writes else "masked_headers"
        auth = AUTH_NAMES if writes else ("masked_auth",)
        signing = ("signing_secret" if writes else "is_signed", *(("signed_too_until",) if obj else ()))
        return (
            (None, {"fields": ("name", "method", "url", headers, "body_template", *(("links",) if obj else ()))}),
            ("Authentication", {"fields": (*auth, *(("secrets_used",) if obj else ()))}),
            ("Signature", {"fields": signing}),
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
        note_done("test", target)
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

    @admin.display(description="Authentication")
    def masked_auth(self, target: Target) -> str:
        """As lines, without secrets."""
        return as_text(auth_as_text(target.auth))

    @admin.display(description="Signing secret")
    def is_signed(self, target: Target) -> str:
        """Whether there is one."""
        return NOTHING if target.signing_secret is None else MASK

    @admin.display(description="Old secret signs until")
    def signed_too_until(self, target: Target) -> str:
        """The end of a rotation."""
        return moment(target.previous_signing_secret_until)

    @admin.display(description="Named secrets")
    def secrets_used(self, target: Target) -> str:
        """The secrets that the target names."""
        uses = target.secret_uses.select_related("secret").order_by("secret__name")
        return format_html_join(", ", "{}", ((linked(use.secret),) for use in uses)) or NOTHING

    @admin.display(description="See")
    def links(self, target: Target) -> str:
        """Its schedules and runs."""
        return format_html(
            '<a href="{}">schedules</a>, <a href="{}">runs</a>',
            list_address(Schedule, target__id__exact=target.pk),
            list_address(Run, target__id__exact=target.pk),
        )


@admin.register(Secret)
class SecretAdmin(ServiceAdmin[Secret]):
    """Values that targets send and nobody reads."""

    form = SecretForm
    list_display = ("name", "source", "hosts", "uses", "updated")
    search_fields = ("name",)
    search_help_text = "A part of the name"
    sortable_by = ("name", "updated")
    readonly_fields = ("source", "used_by")
    goes_along = "its value"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Secret]:
        """With the number of targets that use each."""
        return super().get_queryset(request).annotate(targets=Count("uses")).order_by("name")

    def get_fieldsets(self, request: HttpRequest, obj: Secret | None = None) -> Any:
        """Who may only look sees where the value is."""
        writes = obj is None or self.has_change_permission(request, obj)
        where = ("value", "reference") if writes else ("source",)
        return ((None, {"fields": ("name", *where, "allowed_hosts", *(("used_by",) if obj else ()))}),)

    def get_deleted_objects(
        self, objs: QuerySet[Secret] | Sequence[Secret], request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[str]]:
        """What targets use is not deleted."""
        uses = SecretUse.objects.filter(secret__in=[secret.pk for secret in objs]).select_related("target", "secret")
        protected = [format_html("{} uses {}", linked(use.target), use.secret.name) for use in uses[:MOST_NAMES_SHOWN]]
        names, counts, lacking, _ = super().get_deleted_objects(objs, request)
        return names, counts, lacking, [str(line) for line in protected]

    def remove(self, row: Secret) -> None:
        """Through the service."""
        delete_secret(secret_id=row.pk)

    def delete_model(self, request: HttpRequest, obj: Secret) -> None:
        """Gone for good, unless a target has begun to use it meanwhile."""
        try:
            super().delete_model(request, obj)
        except InUse as problem:
            messages.error(request, str(problem))

    @admin.display(description="Value")
    def source(self, secret: Secret) -> str:
        """Stored here, or where it is read from."""
        return secret.reference or "stored encrypted"

    @admin.display(description="Allowed hosts")
    def hosts(self, secret: Secret) -> str:
        """Where it may go."""
        return ", ".join(secret.allowed_hosts) or "any"

    @admin.display(description="Targets")
    def uses(self, secret: Secret) -> int:
        """How many targets use it."""
        return int(getattr(secret, "targets", 0))

    @admin.display(description="Used by")
    def used_by(self, secret: Secret) -> str:
        """The targets that name it."""
        uses = secret.uses.select_related("target").order_by("target__name")[:MOST_NAMES_SHOWN]
        return format_html_join(", ", "{}", ((linked(use.target),) for use in uses)) or NOTHING

    @admin.display(description="Updated at", ordering="updated_at")
    def updated(self, secret: Secret) -> str:
        """The last change by a user."""
        return moment(secret.updated_at)
