"""Forms whose rules are those of a service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from django.contrib import admin

from scheduler_project.admin_forms import MOST_NAMES_SHOWN
from schedules.models import Schedule
from targets.admin import TargetForm
from targets.errors import InvalidFields
from targets.models import Target
from tests.factories import make_schedule, make_target
from tests.staff import superuser

pytestmark = pytest.mark.django_db
FILLED = {"name": "T", "url": "http://example.com/", "method": "GET"}


class Refusing(TargetForm):
    """The service refuses what the form doesn't show, and what it shows under another name."""

    class Meta(TargetForm.Meta):
        pass

    def write(self, values: Mapping[str, Any]) -> Target:
        """Refuse."""
        raise InvalidFields({"unheard_of": "Odd.", "url_id": "At the URL.", "name": "Bad name."})


def test_refusals_without_a_field_are_said_for_the_whole_form() -> None:
    errors = Refusing(FILLED).errors
    assert errors == {"__all__": ["Odd."], "url": ["At the URL."], "name": ["Bad name."]}


def test_checking_a_form_writes_nothing() -> None:
    assert TargetForm(FILLED).is_valid()
    assert not Target.objects.exists()


def test_a_row_deleted_while_it_is_edited_is_said() -> None:
    target = make_target()
    form = TargetForm(
        {**FILLED, "timeout_seconds": 5, "connect_timeout_seconds": 5, "expected_status": 200}, instance=target
    )
    Target.objects.update(deleted_at=target.created_at)
    assert form.errors == {"__all__": ["It was deleted meanwhile."]}


def test_a_row_deleted_by_two_people_is_deleted() -> None:
    page = admin.site.get_model_admin(Target)
    target = make_target()
    rows = Target.objects.all()
    assert list(rows) == [target]
    Target.with_deleted.update(deleted_at=target.created_at)
    page.delete_queryset(None, rows)  # type: ignore[arg-type]
    page.delete_model(None, target)  # type: ignore[arg-type]
    assert not Target.objects.exists()


def test_the_names_of_many_are_summed_up() -> None:
    target = make_target()
    ids = [str(make_schedule(target).pk) for _ in range(MOST_NAMES_SHOWN + 2)]
    data = {"action": "delete_selected", "_selected_action": ids}
    page = superuser().post("/admin/schedules/schedule/", data).content.decode()
    assert page.count("with all its runs") == MOST_NAMES_SHOWN
    assert "and 2 more" in page
    assert Schedule.objects.count() == MOST_NAMES_SHOWN + 2
