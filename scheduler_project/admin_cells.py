"""How the admin shows single values: badges, links, moments."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlencode

from django.db import models
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

NOTHING = "-"


def badge(status: str) -> str:
    """A status as a coloured word."""
    return format_html('<span class="badge badge-{}">{}</span>', status, status)


def row_address(model: type[models.Model], key: object) -> str:
    """The address of a row's page."""
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[key])


def list_address(model: type[models.Model], **filters: object) -> str:
    """The address of a list with filters set."""
    query = urlencode({name: str(value) for name, value in filters.items()})
    return f"{reverse(f'admin:{model._meta.app_label}_{model._meta.model_name}_changelist')}?{query}"


def linked(row: models.Model | None) -> str:
    """A link to a row's page."""
    if row is None:
        return NOTHING
    return format_html('<a href="{}">{}</a>', row_address(type(row), row.pk), str(row))


def moment(value: datetime | None) -> str:
    """A moment on the service's wall clock, to the second; a narrow column breaks it between date and time only."""
    if value is None:
        return NOTHING
    local = timezone.localtime(value)
    return format_html('<span class="date">{}</span> {}', f"{local:%Y-%m-%d}", f"{local:%H:%M:%S}")


def as_text(text: str) -> str:
    """Text in a box that shows it as it is, whatever it contains."""
    return format_html('<pre class="payload">{}</pre>', text) if text else NOTHING
