"""Pages that edit rows through the services: what a service refuses appears at the form's field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from django import forms
from django.core.exceptions import ObjectDoesNotExist
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, transaction
from django.db.models import QuerySet
from django.http import HttpRequest

from access.keys import InvalidKeyRequest
from scheduler_project.admin_lists import BoundedList
from scheduler_project.admin_versions import VERSION, VersionedForm
from scheduler_project.audit_trail import note_created, note_gone, note_updated, thing_of, values_of
from schedules.errors import WrongState
from targets.errors import InUse, InvalidFields

Row = TypeVar("Row", bound=models.Model)
MOST_NAMES_SHOWN = 50
COLUMN_LIMITS = (MinValueValidator, MaxValueValidator)


class ServiceForm(VersionedForm[Row]):
    """A form whose rules are those of a service: it is tried, and rolled back, when the form is checked."""

    # What must be filled in for a new row; an existing one needs all that the database needs.
    needed: Sequence[str] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        nullable = {field.name for field in self._meta.model._meta.fields if field.null}
        for name, field in self.fields.items():
            if name == VERSION:
                continue
            may_be_empty = self.is_new or name in nullable or isinstance(field, forms.BooleanField)
            field.required = name in self.needed or not may_be_empty
            # The column's limits are wider than the service's, which says its own.
            field.validators = [rule for rule in field.validators if not isinstance(rule, COLUMN_LIMITS)]

    def write(self, values: Mapping[str, Any]) -> Row:
        """Call the service that creates or changes the row."""
        raise NotImplementedError

    @property
    def is_new(self) -> bool:
        """Whether the form creates a row."""
        return self.instance._state.adding

    def values(self) -> dict[str, Any]:
        """What the service is given: for a new row what was filled in, else what was changed."""
        filled = {name: value for name, value in self.cleaned_data.items() if value is not None and value != ""}
        return (
            filled if self.is_new else {name: filled.get(name) for name in self.changed_data if name not in self.errors}
        )

    def clean(self) -> dict[str, Any]:
        """Let the service judge, inside a transaction that is always undone.

        It judges what could be read where other fields could not, so that all that is wrong is said at once.
        """
        super().clean()
        if self.non_field_errors():
            return self.cleaned_data
        unread = set(self.errors)
        try:
            with transaction.atomic():
                self.write(self.values())
                transaction.set_rollback(True)
        except (InvalidFields, InvalidKeyRequest) as problem:
            for name, sentence in problem.errors.items():
                name = name.replace(".", "_")  # noqa: PLW2901 - a member of an object has a field of its own
                shown = name if name in self.fields else name.removesuffix("_id")
                if shown not in unread:
                    self.add_error(shown if shown in self.fields else None, sentence)
        except (WrongState, InUse) as problem:
            self.add_error(None, str(problem))
        except ObjectDoesNotExist:
            self.add_error(None, "It was deleted meanwhile.")
        return self.cleaned_data

    def _post_clean(self) -> None:
        """The service has judged; the model's own validation would only repeat it in other words."""


class ServiceAdmin(BoundedList[Row]):
    """A page whose changes go through services, and whose deletions are tombstones."""

    # What goes out of sight together with a row.
    goes_along = ""

    def save_model(self, request: HttpRequest, obj: Row, form: Any, change: bool) -> None:
        """Write through the service; the admin goes on with `obj`."""
        # Read again: by now the form has put its own values into `obj`.
        before = values_of(self.model._default_manager.get(pk=obj.pk)) if change else {}
        row = form.write(form.values())
        if change:
            note_updated(row, before)
        else:
            note_created(row)
        obj.__dict__.update(row.__dict__)

    def remove(self, row: Row) -> None:
        """Call the service that deletes the row."""
        raise NotImplementedError

    def delete_model(self, request: HttpRequest, obj: Row) -> None:
        """Out of sight at once; the worker purges."""
        with suppress(ObjectDoesNotExist), transaction.atomic():  # somebody else may be faster
            thing = thing_of(obj)
            self.remove(obj)
            note_gone(thing)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Row]) -> None:
        """The same for several."""
        for row in queryset:
            self.delete_model(request, row)

    def get_deleted_objects(
        self, objs: QuerySet[Row] | Sequence[Row], request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[str]]:
        """Only the rows themselves: listing a million runs that go with them would help nobody."""
        rows = list(objs)
        names = [f"{row}, with {self.goes_along}" for row in rows[:MOST_NAMES_SHOWN]]
        more = len(rows) - len(names)
        names += [f"and {more} more"] if more else []
        return names, {str(self.opts.verbose_name_plural): len(rows)}, set(), []
