"""API keys in the admin: made, listed, changed, revoked. A key is shown once, its hash never."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html

from access.audit import Thing, record
from access.keys import CHANGEABLE, DEFAULT_SCOPES, create_key, revoke_key, update_key
from access.lockout import unlock
from access.models import ApiKey, AuditEvent, LoginFailure, Scope
from access.principals import scopes_of_user
from scheduler_project.admin_actions import ObjectActions, act_on_each
from scheduler_project.admin_cells import NOTHING, as_text, moment
from scheduler_project.admin_fields import LinesField
from scheduler_project.admin_forms import ServiceAdmin, ServiceForm
from scheduler_project.admin_lists import ReadOnly
from scheduler_project.admin_sign_ins import register_sign_ins
from scheduler_project.admin_users import register_people
from scheduler_project.audit_trail import KINDS


class KeyForm(ServiceForm[ApiKey]):
    """Name, networks and end of a key."""

    needed: Sequence[str] = ("name",)
    cidrs = LinesField(
        required=False,
        label="Only from",
        widget=forms.Textarea(attrs={"rows": 3, "cols": 40, "class": "code"}),
        help_text="Networks or addresses, one per line, such as 10.0.0.0/8. Empty: from anywhere.",
    )

    class Meta:
        model = ApiKey
        fields: tuple[str, ...] = CHANGEABLE

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["cidrs"].required = False

    def values(self) -> dict[str, Any]:
        """No line at all is an empty list of networks."""
        values = super().values()
        return {**values, "cidrs": values["cidrs"] or []} if "cidrs" in values else values

    def write(self, values: Mapping[str, Any]) -> ApiKey:
        """Change the key."""
        return update_key(key_id=self.instance.pk, changes=values, now=timezone.now())


class NewKeyForm(KeyForm):
    """The same for a new key, with its scopes."""

    needed = ("name", "scopes")
    scopes = forms.MultipleChoiceField(
        choices=Scope.choices,
        initial=DEFAULT_SCOPES,
        widget=forms.CheckboxSelectMultiple,
        help_text="Read lists, write targets and schedules, run calls; admin includes all. At most what you may do.",
    )
    # Set by the page: what its user may do, and so may give away.
    granted_by: frozenset[str] = frozenset()
    # The text of the key that `write` made last.
    key_text = ""

    class Meta(KeyForm.Meta):
        fields = ("name", "scopes", "cidrs", "expires_at")

    def write(self, values: Mapping[str, Any]) -> ApiKey:
        """Make the key."""
        given = {"name": "", "scopes": [], "expires_at": None, **values}
        key, self.key_text = create_key(**given, granted_by=self.granted_by, now=timezone.now())
        return key


@admin.register(ApiKey)
class ApiKeyAdmin(ObjectActions[ApiKey], ServiceAdmin[ApiKey]):
    """Keys are never deleted: revoking keeps the trace of who had access."""

    list_display = ("name", "prefix", "scope_names", "state", "created_at", "expires_at", "last_used_at")
    search_fields = ("name", "prefix")
    search_help_text = "A part of the name or of the shown beginning"
    actions = ("revoke",)
    object_actions = {"revoke": "Revoke"}
    facts = ("prefix", "scope_names", "state", "created_at", "revoked_at", "last_used_at")

    def get_form(self, request: HttpRequest, obj: ApiKey | None = None, change: bool = False, **kwargs: Any) -> Any:
        """A new key is made with at most the scopes of its maker."""
        if obj is not None:
            return super().get_form(request, obj, change, **{"form": KeyForm, **kwargs})
        form: Any = super().get_form(request, obj, change, **{"form": NewKeyForm, **kwargs})
        form.granted_by = scopes_of_user(request.user)  # type: ignore[arg-type]
        return form

    def get_fieldsets(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        """What can be written, and the facts of a key that exists."""
        if obj is None:
            return ((None, {"fields": NewKeyForm.Meta.fields}),)
        may_write = self.has_change_permission(request, obj)
        written = CHANGEABLE if may_write else ("name", "networks", "expires_at")
        return ((None, {"fields": written}), ("Now", {"fields": self.facts}))

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        """The facts; and networks in one line for those who only look."""
        return (*self.facts, "networks") if obj else ()

    def has_change_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """A revoked key stays as it is."""
        return super().has_change_permission(request, obj) and (obj is None or obj.revoked_at is None)

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """Revoke instead."""
        return False

    def offered(self, row: ApiKey) -> Collection[str]:
        """Once is enough."""
        return () if row.revoked_at else ("revoke",)

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        """Write through the service, and show a new key this once."""
        super().save_model(request, obj, form, change)
        if not change:
            note = format_html("The key is <code>{}</code>. Copy it now: it is not shown again.", form.key_text)
            messages.warning(request, note)

    @admin.display(description="Scopes")
    def scope_names(self, key: ApiKey) -> str:
        """The scopes in one line."""
        return ", ".join(key.scopes)

    @admin.display(description="Only from")
    def networks(self, key: ApiKey) -> str:
        """The networks in one line."""
        return ", ".join(key.cidrs) or NOTHING

    @admin.display(description="State")
    def state(self, key: ApiKey) -> str:
        """Usable or not, and why not."""
        if key.revoked_at is not None:
            return "revoked"
        return "expired" if key.expires_at is not None and key.expires_at <= timezone.now() else "active"

    @admin.action(description="Revoke", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        """Make them useless at once."""
        act_on_each(request, queryset, revoke_key, key="key_id", verb="revoke", done="Keys revoked: {}.")


class ObjectTypeFilter(admin.SimpleListFilter):
    """What was acted on; the kinds are few, and looking for them in a million rows would be slow."""

    title = "thing"
    parameter_name = "object_type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The kinds of things."""
        return [(kind, kind.replace("_", " ")) for kind in sorted({kind.name for kind in KINDS.values()})]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEvent]) -> QuerySet[AuditEvent]:
        """Only those, if asked for."""
        return queryset.filter(object_type=self.value()) if self.value() else queryset


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnly[AuditEvent]):
    """Who did what. Written once, never changed."""

    list_display = ("when", "who", "action", "what", "changed", "address")
    list_filter = (ObjectTypeFilter, "actor_type", "refused")
    sortable_by = ()
    search_fields = ("=actor", "=actor_id", "=action", "=object_id", "=object_name", "=request_id", "=address")
    search_help_text = "Exactly a name, id, action such as target.update, request id or address"
    ordering = ("-id",)
    fields = ("when", "who", "key", "address", "action", "outcome", "what", "object_id", "diff", "detail", "request_id")

    @admin.display(description="When")
    def when(self, event: AuditEvent) -> str:
        """The moment."""
        return moment(event.at)

    @admin.display(description="Who")
    def who(self, event: AuditEvent) -> str:
        """The kind of somebody, and the name."""
        return f"{event.actor_type} {event.actor}".strip()

    @admin.display(description="Outcome")
    def outcome(self, event: AuditEvent) -> str:
        """Done, or tried only."""
        return "refused" if event.refused else "done"

    @admin.display(description="Thing")
    def what(self, event: AuditEvent) -> str:
        """Its kind and its name."""
        return f"{event.object_type} {event.object_name or event.object_id}".strip() or event.detail[:80]

    @admin.display(description="Changed")
    def changed(self, event: AuditEvent) -> str:
        """The names of the fields."""
        return ", ".join(event.changes)

    @admin.display(description="Changes")
    def diff(self, event: AuditEvent) -> str:
        """Before and after, line by line."""
        return as_text("\n".join(f"{name}: {old!r} -> {new!r}" for name, (old, new) in event.changes.items()))


@admin.register(LoginFailure)
class LoginFailureAdmin(ReadOnly[LoginFailure]):
    """Who failed to sign in lately. Accounts that don't exist are counted without their name."""

    list_display = ("account", "address", "failures", "last", "locked")
    sortable_by = ()
    search_fields = ("=username", "=address")
    search_help_text = "Exactly a user name or an address"
    fields = ("account", "address", "failures", "last", "locked")
    actions = ("unlock",)

    def has_unlock_permission(self, request: HttpRequest) -> bool:
        """Who may end a lock-out."""
        return request.user.has_perm("access.change_loginfailure")

    @admin.action(description="Unlock", permissions=["unlock"])
    def unlock(self, request: HttpRequest, queryset: QuerySet[LoginFailure]) -> None:
        """Forget the failures, so that they can try again at once."""
        with transaction.atomic():
            for row in queryset:
                record("login.unlock", Thing("login", str(row.pk), str(row)), now=timezone.now())
            count = unlock(queryset)
        messages.success(request, f"Unlocked: {count}.")

    @admin.display(description="Account")
    def account(self, row: LoginFailure) -> str:
        """The name, where the count is that of an account."""
        return row.username or NOTHING

    @admin.display(description="Last failure")
    def last(self, row: LoginFailure) -> str:
        """When."""
        return moment(row.last_at)

    @admin.display(description="Locked until")
    def locked(self, row: LoginFailure) -> str:
        """When it ends."""
        return moment(row.locked_until) if row.locked_until and row.locked_until > timezone.now() else NOTHING


register_sign_ins()
register_people()
