"""Pages of lists, and how long they can be (guarantee D12)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs.models import Run
from scheduler_project.pagination import Cursor
from tests.factories import NOW, make_run, make_schedule, make_target
from tests.signed_in import key_client, pointers_of

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.scheduler_project.probe_api")]
THINGS, LOG = "/api/v1/things", "/api/v1/log"


def get(url: str) -> Any:
    return key_client().get(url).json()


def names(page: Any) -> list[str]:
    return [thing["name"] for thing in page["results"]]


def ids(page: Any) -> list[str]:
    return [run["id"] for run in page["results"]]


@pytest.fixture
def things() -> list[str]:
    """Five things, newest first."""
    for number in range(5):
        make_target(name=str(number), created_at=NOW + timedelta(seconds=number))
    return ["4", "3", "2", "1", "0"]


@pytest.fixture
def log() -> list[str]:
    """Five runs' ids, newest first."""
    schedule = make_schedule()
    runs = [make_run(schedule, scheduled_at=NOW + timedelta(minutes=number)) for number in range(5)]
    return [str(run.id) for run in reversed(runs)]


def test_a_short_list_is_one_page(things: list[str]) -> None:
    page = get(THINGS)
    assert (names(page), page["count"], page["next"], page["previous"]) == (things, 5, None, None)


def test_an_empty_list_is_a_page() -> None:
    assert get(THINGS) == {"count": 0, "next": None, "previous": None, "results": []}
    assert get(LOG) == {"next": None, "previous": None, "results": []}


def test_next_and_previous_lead_through_the_list(things: list[str]) -> None:
    first = get(f"{THINGS}?limit=2")
    second = get(first["next"])
    third = get(second["next"])
    assert names(first) + names(second) + names(third) == things
    assert third["next"] is None
    assert names(get(third["previous"])) == names(second)
    assert get(second["previous"])["previous"] is None


def test_links_are_absolute_and_keep_the_other_parameters(things: list[str]) -> None:
    link = get(f"{THINGS}?limit=2&search=a%20b&at=2026-03-10T12:00:00%2B05:30")["next"]
    assert link.startswith("http://testserver/api/v1/things?")
    assert "search=a+b" in link
    assert "at=2026-03-10T12%3A00%3A00%2B05%3A30" in link


@pytest.mark.parametrize("path", [THINGS, LOG])
@pytest.mark.parametrize("limit", ["0", "-1", "x", "", "1.0", "1e2", "٣", " 1", "+1", "9" * 30])
def test_junk_as_a_limit_is_a_422(path: str, limit: str) -> None:
    assert pointers_of(key_client().get(path, {"limit": limit})) == ["?limit"]


@pytest.mark.parametrize("offset", ["-1", "x", "", "1.5", "9" * 30])
def test_junk_as_an_offset_is_a_422(offset: str) -> None:
    assert pointers_of(key_client().get(THINGS, {"offset": offset})) == ["?offset"]


@pytest.mark.parametrize("offset", [5, 6, 2**31, 2**63 - 1, 10**17])
def test_an_offset_past_the_end_is_an_empty_page(things: list[str], offset: int) -> None:
    page = key_client().get(f"{THINGS}?offset={offset}")
    if offset >= 10**18:
        assert pointers_of(page) == ["?offset"]
    else:
        assert page.json()["results"] == []


def test_a_limit_above_a_thousand_is_a_thousand(things: list[str]) -> None:
    assert names(get(f"{THINGS}?limit=1000000")) == things
    make_target(name="newest", created_at=NOW + timedelta(days=1))
    assert "limit=1000&" in get(f"{THINGS}?limit=5000&offset=3")["previous"] + "&"


def test_a_cursor_leads_to_the_end_and_back(log: list[str]) -> None:
    first = get(f"{LOG}?limit=2")
    second = get(first["next"])
    third = get(second["next"])
    assert [ids(first), ids(second), ids(third)] == [log[:2], log[2:4], log[4:]]
    assert (first["previous"], third["next"]) == (None, None)
    back = get(third["previous"])
    assert ids(back) == ids(second)
    assert ids(get(back["previous"])) == ids(first)
    assert get(back["previous"])["previous"] is None
    assert ids(get(back["next"])) == ids(third)


def test_a_page_that_ends_with_the_list_has_no_next(log: list[str]) -> None:
    assert get(f"{LOG}?limit=5")["next"] is None
    assert get(f"{LOG}?limit=4")["next"] is not None


def test_new_runs_shift_nothing(log: list[str]) -> None:
    first = get(f"{LOG}?limit=2")
    newer = make_run(make_schedule(), scheduled_at=NOW + timedelta(hours=1))
    second = get(first["next"])
    assert ids(second) == log[2:4]
    assert ids(get(second["previous"])) == log[:2]
    assert ids(get(get(second["previous"])["previous"])) == [str(newer.id)]


def test_a_page_whose_runs_are_gone_still_leads_back(log: list[str]) -> None:
    link = get(f"{LOG}?limit=4")["next"]
    Run.with_deleted.filter(id=log[4]).delete()
    empty = get(link)
    assert (empty["results"], empty["next"]) == ([], None)
    assert ids(get(empty["previous"])) == log[:4]


def test_a_newer_page_whose_runs_are_gone_still_leads_on(log: list[str]) -> None:
    link = get(get(f"{LOG}?limit=1")["next"])["previous"]
    Run.with_deleted.filter(id=log[0]).delete()
    empty = get(link)
    assert (empty["results"], empty["previous"]) == ([], None)
    assert ids(get(empty["next"])) == log[1:2]


@pytest.mark.parametrize("cursor", ["", "x", "b3", "====", "é", "A" * 23, "A" * 24, "b" * 1000, "%00", "bw=="])
def test_junk_as_a_cursor_is_a_422(cursor: str) -> None:
    assert pointers_of(key_client().get(LOG, {"cursor": cursor})) == ["?cursor"]


@given(st.sampled_from(["older", "newer"]), st.uuids())
def test_a_cursor_survives_its_text(direction: Any, place: UUID) -> None:
    cursor = Cursor(direction, place)
    assert Cursor.decode(cursor.encode()) == cursor


@given(st.text(max_size=40))
def test_only_its_own_text_is_a_cursor(text: str) -> None:
    try:
        cursor = Cursor.decode(text)
    except ValueError:
        return
    assert cursor.encode() == text


def test_one_place_has_one_text() -> None:
    text = Cursor("older", UUID(int=0)).encode()
    # The last of 23 letters carries four bits of the id and two that base64 would ignore.
    assert text.endswith("A")
    with pytest.raises(ValueError, match="encode"):
        Cursor.decode(text[:-1] + "B")


@pytest.mark.parametrize("direction", ["older", "newer"])
@pytest.mark.parametrize("place", [UUID(int=0), UUID(int=2**128 - 1)])
def test_the_ends_of_all_ids_are_places_too(direction: Any, place: UUID) -> None:
    assert get(f"{LOG}?cursor={Cursor(direction, place).encode()}")["results"] == []
