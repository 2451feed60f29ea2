"""Users and groups in the admin. Nobody can give more than they have: only superusers make superusers."""

from __future__ import annotations

from typing import Any, TypeVar

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.forms import UserChangeForm
from django.contrib.auth.models import Group, User
from django.db import models, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from scheduler_project.admin_versions import VersionedForm
from scheduler_project.audit_trail import note_created, note_done, note_gone, note_updated, thing_of, values_of

Row = TypeVar("Row", bound=models.Model)
# What goes beyond the role admin, so that only superusers may give it.
BEYOND_ROLES = ("is_superuser", "user_permissions")
HELP = (
    "viewer looks, operator also writes and runs, admin also manages keys, secrets and users. "
    "Staff status lets them in, here and at the API."
)


class PersonForm(UserChangeForm[User], VersionedForm[User]):
    """Django's own form; it notices when somebody else has saved meanwhile."""


class AuditedPage(admin.ModelAdmin[Row]):
    """Puts what Django's own pages of people and groups do on record."""

    def save_model(self, request: HttpRequest, obj: Row, form: Any, change: bool) -> None:
        """Remember what it was; the groups of a person are saved only later."""
        form.before = values_of(self.model._default_manager.get(pk=obj.pk)) if change else {}
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """All is saved: compare."""
        super().save_related(request, form, formsets, change)
        row = self.model._default_manager.get(pk=form.instance.pk)
        if change:
            note_updated(row, form.before)
        else:
            note_created(row)

    def delete_model(self, request: HttpRequest, obj: Row) -> None:
        """One goes."""
        with transaction.atomic():
            note_gone(thing_of(obj))
            super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Row]) -> None:
        """Several go."""
        for row in queryset:
            self.delete_model(request, row)


class PersonAdmin(AuditedPage[User], UserAdmin[User]):
    """People. A role is a group."""

    form = PersonForm
    list_display = ("username", "email", "roles", "is_active", "is_staff", "is_superuser", "last_login")
    list_filter = ("is_staff", "is_superuser", "is_active", "groups")

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002
        """Change it, and put it on record."""
        with transaction.atomic():
            before = User.objects.filter(pk=id).values_list("password", flat=True).first()
            response = super().user_change_password(request, id, form_url)
            user = User.objects.filter(pk=id).exclude(password=before or "").first()
            if user is not None:
                note_done("change_password", user)
        return response

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """With their groups, for the list."""
        return super().get_queryset(request).prefetch_related("groups")

    def get_form(self, request: HttpRequest, obj: User | None = None, **kwargs: Any) -> Any:  # type: ignore[override]
        """Say at the groups what they mean."""
        form: Any = super().get_form(request, obj, **kwargs)
        if "groups" in form.base_fields:
            form.base_fields["groups"].help_text = HELP
        return form

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Who is no superuser makes none."""
        fields = (*super().get_readonly_fields(request, obj), "last_login", "date_joined")
        return fields if request.user.is_superuser else (*fields, *BEYOND_ROLES)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Superusers are changed by superusers: else a new password would be a way to become one."""
        return super().has_change_permission(request, obj) and self._may_touch(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """The same."""
        return super().has_delete_permission(request, obj) and self._may_touch(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Of a list, too, only superusers delete superusers."""
        super().delete_queryset(request, queryset if request.user.is_superuser else queryset.filter(is_superuser=False))

    @admin.display(description="Roles")
    def roles(self, user: User) -> str:
        """The names of their groups."""
        return ", ".join(sorted(group.name for group in user.groups.all()))

    def _may_touch(self, request: HttpRequest, obj: User | None) -> bool:
        return obj is None or request.user.is_superuser or not obj.is_superuser


class RoleAdmin(AuditedPage[Group], GroupAdmin):
    """Groups. Changing one gives its members other rights, so only superusers do."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Superusers only."""
        return request.user.is_superuser

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        """Superusers only."""
        return request.user.is_superuser

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        """Superusers only."""
        return request.user.is_superuser


def register_people() -> None:
    """Put these pages in the place of Django's own."""
    admin.site.unregister((User, Group))
    admin.site.register(User, PersonAdmin)
    admin.site.register(Group, RoleAdmin)
