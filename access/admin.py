"""API keys in the admin: made, listed, revoked. A key is shown once, its hash never."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html

from access.keys import DEFAULT_SCOPES, create_key, revoke_keys
from access.models import ApiKey, Scope


class NewKeyForm(forms.ModelForm[ApiKey]):
    """Name, scopes and end of a new key."""

    scopes = forms.MultipleChoiceField(
        choices=Scope.choices,
        initial=DEFAULT_SCOPES,
        widget=forms.CheckboxSelectMultiple,
        help_text="Read lists, write targets and schedules, run calls; admin includes all.",
    )

    class Meta:
        model = ApiKey
        fields = ("name", "scopes", "expires_at")

    def clean_name(self) -> str:
        """Names are printed in lists and logs."""
        name = str(self.cleaned_data["name"])
        if not name.isprintable():
            raise forms.ValidationError("Use printable characters only.")
        return name

    def clean_expires_at(self) -> datetime | None:
        """A key that has ended already helps nobody."""
        expires_at: datetime | None = self.cleaned_data["expires_at"]
        if expires_at is not None and expires_at <= timezone.now():
            raise forms.ValidationError("Choose a moment in the future.")
        return expires_at


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin[ApiKey]):
    """Keys are never edited and never deleted: revoking keeps the trace of who had access."""

    list_display = ("name", "prefix", "scope_names", "state", "created_at", "expires_at", "last_used_at")
    search_fields = ("name", "prefix")
    actions = ("revoke",)
    form = NewKeyForm
    shown = ("name", "prefix", "scope_names", "state", "created_at", "expires_at", "revoked_at", "last_used_at")

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        """The form for a new key, the facts of an old one."""
        return self.shown if obj else NewKeyForm.Meta.fields

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        """Everything, once the key exists."""
        return self.shown if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """Revoke instead."""
        return False

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        """Make the key through the service, and show it this once."""
        if change:
            return
        values = form.cleaned_data
        key, text = create_key(
            name=values["name"], scopes=values["scopes"], expires_at=values["expires_at"], now=timezone.now()
        )
        # The admin goes on with `obj` for its log entry and its success message.
        obj.__dict__.update(key.__dict__)
        note = format_html("The key is <code>{}</code>. Copy it now: it is not shown again.", text)
        messages.warning(request, note)

    @admin.display(description="Scopes")
    def scope_names(self, key: ApiKey) -> str:
        """The scopes in one line."""
        return ", ".join(key.scopes)

    @admin.display(description="State")
    def state(self, key: ApiKey) -> str:
        """Usable or not, and why not."""
        if key.revoked_at is not None:
            return "revoked"
        return "expired" if key.expires_at is not None and key.expires_at <= timezone.now() else "active"

    @admin.action(description="Revoke selected keys", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        """Make them useless at once."""
        count = revoke_keys(key_ids=queryset.values_list("pk", flat=True), now=timezone.now())
        self.message_user(request, f"{count} key{'' if count == 1 else 's'} revoked.", messages.SUCCESS)
