"""Single values in the admin."""

from __future__ import annotations

import pytest

from runs.models import Run
from scheduler_project.admin_cells import as_text, badge, linked, list_address, moment, row_address
from targets.models import Target
from tests.factories import NOW

HOSTILE = "<b>&'\""
INERT = "&lt;b&gt;&amp;&#x27;&quot;"


def test_texts_are_inert() -> None:
    assert badge(HOSTILE) == f'<span class="badge badge-{INERT}">{INERT}</span>'
    assert as_text(HOSTILE) == f'<pre class="payload">{INERT}</pre>'
    assert f">{INERT}</a>" in linked(Target(name=HOSTILE))


def test_nothing_is_a_dash() -> None:
    assert (as_text(""), linked(None), moment(None)) == ("-", "-", "-")


def test_a_moment_is_shown_in_the_services_zone() -> None:
    assert moment(NOW) == '<span class="date">2026-03-10</span> 17:30:00'


@pytest.mark.parametrize("key", ["7", "a b"])
def test_addresses_name_list_and_row(key: str) -> None:
    assert list_address(Run, q=key) == f"/admin/runs/run/?q={key.replace(' ', '+')}"
    assert row_address(Run, key) == f"/admin/runs/run/{key.replace(' ', '%20')}/change/"
