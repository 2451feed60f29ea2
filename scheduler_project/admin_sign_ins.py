"""Sign-ins with a password at the API, in the admin: who is signed in from where, and an end to it."""

from __future__ import annotations

from collections.abc import Collection

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html

from access.models import SignIn
from access.tokens import revoke_sign_in, state_of
from scheduler_project.admin_actions import ObjectActions, act_on_each
from scheduler_project.admin_cells import badge, linked, moment
from scheduler_project.admin_lists import ReadOnly


class StateFilter(admin.SimpleListFilter):
    """Those that are over stay on the list until their refresh token would have expired."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        """Open or over."""
        return [("open", "not ended"), ("over", "ended or expired")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[SignIn]) -> QuerySet[SignIn]:
        """What can be told without the account."""
        is_open = Q(ended_at=None, expires_at__gt=timezone.now())
        return queryset.filter({"open": is_open, "over": ~is_open}.get(str(self.value()), Q()))


class SignInAdmin(ObjectActions[SignIn], ReadOnly[SignIn]):
    """Sessions of the admin site are not here: they end with another password, or when the account is disabled."""

    list_display = ("person", "address", "state", "since", "used", "expires", "ended")
    list_filter = (StateFilter,)
    list_select_related = ("user",)
    sortable_by = ()
    search_fields = ("=user__username", "=address")
    search_help_text = "Exactly a user name or an address"
    actions = ("end",)
    object_actions = {"end": "End sign-in"}
    fields = ("account", "address", "standing", "since", "refreshed", "used", "expires", "ended")

    def has_end_permission(self, request: HttpRequest) -> bool:
        """Who may sign others out."""
        return request.user.has_perm("access.change_signin")

    def offered(self, row: SignIn) -> Collection[str]:
        """Once, while it lives."""
        return ("end",) if state_of(row, timezone.now()) == "active" else ()

    @admin.action(description="End sign-in", permissions=["end"])
    def end(self, request: HttpRequest, queryset: QuerySet[SignIn]) -> None:
        """Make their tokens useless at once."""
        act_on_each(request, queryset, revoke_sign_in, key="sign_in_id", verb="end", done="Sign-ins ended: {}.")

    @admin.display(description="Who")
    def person(self, row: SignIn) -> str:
        """The user's name."""
        return str(row.user)

    @admin.display(description="Who")
    def account(self, row: SignIn) -> str:
        """The user, as a link."""
        return linked(row.user)

    @admin.display(description="State")
    def state(self, row: SignIn) -> str:
        """Whether its tokens open anything."""
        return badge(state_of(row, timezone.now()))

    @admin.display(description="State")
    def standing(self, row: SignIn) -> str:
        """The same with why, where that can't be read off the moments."""
        state = state_of(row, timezone.now())
        why = "The account was disabled, or its password has changed." if state == "void" else ""
        return format_html("{} {}", badge(state), why)

    @admin.display(description="Since")
    def since(self, row: SignIn) -> str:
        """When the password was given."""
        return moment(row.created_at)

    @admin.display(description="Refreshed")
    def refreshed(self, row: SignIn) -> str:
        """When its newest tokens were made."""
        return moment(row.refreshed_at)

    @admin.display(description="Last used")
    def used(self, row: SignIn) -> str:
        """When an access token was last sent, to the minute."""
        return moment(row.last_used_at)

    @admin.display(description="Expires")
    def expires(self, row: SignIn) -> str:
        """When it ends unless it is refreshed."""
        return moment(row.expires_at)

    @admin.display(description="Ended")
    def ended(self, row: SignIn) -> str:
        """When somebody ended it."""
        return moment(row.ended_at)


def register_sign_ins() -> None:
    """Put the page on the site."""
    admin.site.register(SignIn, SignInAdmin)
