"""What the admin pages of all apps are built from: forms that ask the services, bounded counts, buttons for verbs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import models, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.views.decorators.http import require_POST

from runs.errors import WrongState as RunInWrongState
from schedules.clock import database_now
from schedules.errors import WrongState as ScheduleInWrongState
from targets.errors import InvalidFields

Row = TypeVar("Row", bound=models.Model)
# Further back than this, people filter; counting a million rows for a page number would take seconds.
MOST_ROWS_COUNTED = 5000
WRONG_STATES = (RunInWrongState, ScheduleInWrongState)


class BoundedPaginator(Paginator[Any]):
    """Pages over at most `MOST_ROWS_COUNTED` rows, so that a big table costs no more than a small one."""

    @cached_property
    def count(self) -> int:
        """Rows, up to the bound."""
        rows: QuerySet[Any] = self.object_list  # type: ignore[assignment]
        return rows.order_by()[:MOST_ROWS_COUNTED].count()


class ServiceForm(forms.ModelForm[Row]):
    """A form whose rules are those of a service: it is tried, and rolled back, when the form is checked."""

    def write(self, values: Mapping[str, Any]) -> Row:
        """Call the service that creates or changes the row."""
        raise TypeError(f"{type(self).__name__} names no service")

    @property
    def is_new(self) -> bool:
        """Whether the form creates a row."""
        return self.instance._state.adding

    def values(self) -> dict[str, Any]:
        """What the service is given: for a new row what was filled in, else what was changed."""
        filled = {name: value for name, value in self.cleaned_data.items() if value is not None and value != ""}
        if self.is_new:
            return filled
        nullable = {field.name for field in self._meta.model._meta.fields if field.null}
        return {name: filled.get(name) for name in self.changed_data if name in filled or name in nullable}

    def clean(self) -> dict[str, Any]:
        """Let the service judge, inside a transaction that is always undone."""
        if self.errors:
            return self.cleaned_data
        try:
            with transaction.atomic():
                self.write(self.values())
                transaction.set_rollback(True)
        except InvalidFields as problem:
            for name, sentence in problem.errors.items():
                shown = name if name in self.fields else name.removesuffix("_id")
                self.add_error(shown if shown in self.fields else None, sentence)
        return self.cleaned_data

    def _post_clean(self) -> None:
        """The service has judged; the model's own validation would only repeat it in other words."""


class ServiceAdmin(admin.ModelAdmin[Row]):
    """A page whose changes go through services, and whose deletions are tombstones."""

    show_full_result_count = False
    paginator = BoundedPaginator
    list_per_page = 50

    def save_model(self, request: HttpRequest, obj: Row, form: Any, change: bool) -> None:
        """Write through the service; the admin goes on with `obj`."""
        obj.__dict__.update(form.write(form.values()).__dict__)

    def remove(self, row: Row) -> None:
        """Call the service that deletes the row."""
        raise TypeError(f"{type(self).__name__} names no service")

    def delete_model(self, request: HttpRequest, obj: Row) -> None:
        """Out of sight at once; the worker purges."""
        self.remove(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Row]) -> None:
        """The same for several."""
        for row in queryset:
            self.remove(row)

    def get_deleted_objects(
        self, objs: QuerySet[Row] | Sequence[Row], request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[str]]:
        """Only the rows themselves: listing a million runs that go with them would help nobody."""
        names = [str(row) for row in objs]
        return names, {str(self.opts.verbose_name_plural): len(names)}, set(), []


class ObjectActions:
    """Buttons on the page of one row, each a verb that also exists as an action on the list.

    `object_actions` maps the name of a method `(request, queryset)` to the button's text.
    """

    object_actions: Mapping[str, str] = {}
    change_form_template: str | None = "admin/object_actions_change_form.html"

    def get_urls(self) -> list[URLPattern]:
        """One address for all verbs, in front of Django's own."""
        meta = self.model._meta  # type: ignore[attr-defined]
        view = self.admin_site.admin_view(require_POST(self.act))  # type: ignore[attr-defined]
        name = f"{meta.app_label}_{meta.model_name}_act"
        own = path("<uuid:pk>/act/<slug:verb>/", view, name=name)
        return [own, *super().get_urls()]  # type: ignore[misc]

    def act(self, request: HttpRequest, pk: object, verb: str) -> HttpResponse:
        """Do it, and go back to the row."""
        if verb not in self.object_actions:
            raise PermissionDenied
        action = getattr(self, verb)
        allowed = getattr(action, "allowed_permissions", ())
        if not all(getattr(self, f"has_{name}_permission")(request) for name in allowed):
            raise PermissionDenied
        action(request, self.get_queryset(request).filter(pk=pk))  # type: ignore[attr-defined]
        meta = self.model._meta  # type: ignore[attr-defined]
        return HttpResponseRedirect(reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[pk]))

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Give the template the buttons."""
        buttons = self.object_actions.items() if kwargs.get("obj") else ()
        context["object_actions"] = [{"verb": verb, "text": text} for verb, text in buttons]
        answer: HttpResponse = super().render_change_form(request, context, *args, **kwargs)  # type: ignore[misc]
        return answer


def act_on_each(
    request: HttpRequest, queryset: QuerySet[Row], work: Callable[..., object], *, key: str, done: str
) -> None:
    """Call a service for each row; say how many went through, and why the others did not.

    Args:
        work: the service; it is given `now` and the row's id under the name `key`.
        done: what has happened to a row, in words that follow a number, such as "paused".
    """
    went_through = 0
    for row in queryset:
        try:
            work(**{key: row.pk}, now=database_now())
        except WRONG_STATES as problem:
            messages.error(request, f"{row}: {problem}")
        else:
            went_through += 1
    if went_through:
        messages.success(request, f"{went_through} {done}.")


def badge(status: str) -> str:
    """A status as a coloured word."""
    return format_html('<span class="badge badge-{}">{}</span>', status, status)


def linked(row: models.Model | None, text: str = "") -> str:
    """A link to a row's page."""
    if row is None:
        return "-"
    meta = row._meta
    address = reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[row.pk])
    return format_html('<a href="{}">{}</a>', address, text or str(row))


def list_address(model: type[models.Model], **filters: object) -> str:
    """The address of a list with filters set."""
    meta = model._meta
    query = urlencode({name: str(value) for name, value in filters.items()})
    return f"{reverse(f'admin:{meta.app_label}_{meta.model_name}_changelist')}?{query}"
