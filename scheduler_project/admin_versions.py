"""Forms that notice when somebody else has saved the same row meanwhile: nothing is overwritten unseen."""

from __future__ import annotations

from typing import Any, TypeVar, cast

from django import forms
from django.db import connection, models
from django.forms.models import model_to_dict
from django.http import QueryDict
from django.utils.functional import cached_property

from scheduler_project.etags import etag_of

Row = TypeVar("Row", bound=models.Model)
VERSION = "version"


class VersionedForm(forms.ModelForm[Row]):
    """Carries the version of the row as it was shown, and compares it with the row under lock.

    admin/change_form.html puts the hidden field on the page. A form without it (a script's) is not compared, like a
    request without If-Match.
    """

    version = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            self.initial[VERSION] = self._version_of(self.instance)

    def clean(self) -> dict[str, Any]:
        """Refuse a form whose row has changed since it was shown; what was typed stays in the form."""
        cleaned = super().clean() or self.cleaned_data
        shown = cleaned.pop(VERSION, "")
        if self.instance._state.adding or not shown:
            return cleaned
        rows = self._meta.model._default_manager.filter(pk=self.instance.pk)
        # In the admin the form is checked and saved in one transaction: the lock holds until it is saved.
        locked = (rows.select_for_update(of=("self",)) if connection.in_atomic_block else rows).first()
        if locked is None:
            self.add_error(None, "It was deleted meanwhile.")
        elif self._version_of(locked) != shown:
            self._refuse(locked)
        return cleaned

    @cached_property
    def changed_data(self) -> list[str]:
        """The version is not among what people change."""
        return [name for name in super().changed_data if name != VERSION]

    def as_initial(self, name: str, value: Any) -> Any:
        """A stored value as this form shows it; forms that mask or convert a field say how."""
        return value

    def _refuse(self, locked: Row) -> None:
        stored = self._written(locked)
        names = [name for name in stored if name in self.fields and self._differs(name, stored[name])]
        differing = [str(self.fields[name].label or name.replace("_", " ")) for name in names]
        which = f" Your form differs in: {', '.join(differing)}." if differing else ""
        self.add_error(
            None,
            "Somebody else has saved this meanwhile; nothing was overwritten, and what you typed is still here."
            f"{which} Look at the stored version in another tab; saving once more replaces it by this form.",
        )
        # The next save is a decision: it refers to what is stored now.
        data = cast(QueryDict, self.data).copy()
        data[self.add_prefix(VERSION)] = self._version_of(locked)
        self.data = data

    def _differs(self, name: str, stored: Any) -> bool:
        sent = self.fields[name].widget.value_from_datadict(self.data, self.files, self.add_prefix(name))
        return bool(self.fields[name].has_changed(self.as_initial(name, stored), sent))

    def _written(self, row: models.Model) -> dict[str, Any]:
        names = [name for name in self.fields if name != VERSION]
        return model_to_dict(row, fields=names)

    def _version_of(self, row: models.Model) -> str:
        values = {name: _plain(value) for name, value in self._written(row).items()}
        return etag_of(values, values)


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return sorted(str(item.pk) if isinstance(item, models.Model) else str(item) for item in value)
    return value
