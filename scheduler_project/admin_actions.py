"""Verbs in the admin: as actions on lists, and as buttons on the page of one row."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from django.contrib import admin, messages
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied
from django.db import models, transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST

from access.keys import AlreadyRevoked
from access.tokens import AlreadyEnded
from runs.errors import WrongState as RunInWrongState
from scheduler_project.admin_cells import row_address
from scheduler_project.audit_trail import note_done
from schedules.clock import database_now
from schedules.errors import WrongState as ScheduleInWrongState
from targets.counted import counted

Row = TypeVar("Row", bound=models.Model)
# A request ends within seconds: beyond this a script with the API is the right tool.
MOST_ACTED_ON = 1000
MOST_REFUSALS_SHOWN = 5


class ObjectActions(admin.ModelAdmin[Row]):
    """Buttons on the page of one row.

    `object_actions` maps the name of a method `(request, queryset)`, as in Django's own actions, to a button's text.
    """

    object_actions: Mapping[str, str] = {}

    def has_run_permission(self, request: HttpRequest) -> bool:
        """Who may start, repeat and settle calls."""
        return request.user.has_perm("runs.add_run")

    def offered(self, row: Row) -> Collection[str]:
        """The verbs that make sense for the row as it is now; whether they do is the service's decision."""
        return self.object_actions

    def get_urls(self) -> list[URLPattern]:
        """One address for all verbs, in front of Django's own."""
        view = self.admin_site.admin_view(require_POST(self.act))
        name = f"{self.opts.app_label}_{self.opts.model_name}_act"
        return [path("<uuid:pk>/act/<slug:verb>/", view, name=name), *super().get_urls()]

    def act(self, request: HttpRequest, pk: object, verb: str) -> HttpResponseBase:
        """Do it, and go where the verb leads to, or back to the row."""
        if verb not in self.object_actions:
            raise Http404
        if not self.has_view_permission(request) or not self._may(request, verb):
            raise PermissionDenied
        answer: HttpResponseBase | None = getattr(self, verb)(request, self.get_queryset(request).filter(pk=pk))
        return answer or HttpResponseRedirect(row_address(self.model, pk))

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Give the template the buttons that this user can use on this row."""
        row = kwargs.get("obj")
        offered = self.offered(row) if row else ()
        context["object_actions"] = [
            {"verb": verb, "text": text}
            for verb, text in self.object_actions.items()
            if verb in offered and self._may(request, verb)
        ]
        return super().render_change_form(request, context, *args, **kwargs)

    def _may(self, request: HttpRequest, verb: str) -> bool:
        needed = getattr(getattr(self, verb), "allowed_permissions", ())
        return all(getattr(self, f"has_{name}_permission")(request) for name in needed)


def act_on_each(
    request: HttpRequest, queryset: QuerySet[Row], work: Callable[..., object], *, key: str, verb: str, done: str
) -> None:
    """Call a service for each row; say how many went through, and why the others did not.

    Args:
        request: gets the messages.
        queryset: the rows; more than `MOST_ACTED_ON` are refused as a whole.
        work: the service; it is given `now` and the row's id under the name `key`.
        key: see `work`.
        verb: what the audit trail calls it.
        done: what has happened, with `{}` for the number of rows.
    """
    rows = list(queryset[: MOST_ACTED_ON + 1])
    if len(rows) > MOST_ACTED_ON:
        messages.error(request, f"At most {MOST_ACTED_ON} at once: narrow the list with filters, or use the API.")
        return
    refusals = []
    for row in rows:
        try:
            with transaction.atomic():
                work(**{key: row.pk}, now=database_now())
                note_done(verb, row)
        except (AlreadyEnded, AlreadyRevoked, RunInWrongState, ScheduleInWrongState) as problem:
            refusals.append(f"{row}: {problem}")
        except ObjectDoesNotExist:
            refusals.append(f"{row}: It was deleted meanwhile.")
    for refusal in refusals[:MOST_REFUSALS_SHOWN]:
        messages.error(request, refusal)
    if (more := len(refusals) - MOST_REFUSALS_SHOWN) > 0:
        messages.error(request, f"And {counted(more, 'more was', 'more were')} refused like these.")
    if len(rows) > len(refusals):
        messages.success(request, done.format(len(rows) - len(refusals)))
