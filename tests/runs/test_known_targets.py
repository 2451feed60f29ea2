"""Targets kept between ticks: never older than their row, and not many."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from runs import known_targets
from runs.known_targets import LONGEST_BODY_KEPT, KnownTarget, KnownTargets
from targets.models import Target
from targets.services import update_target
from tests.factories import NOW, make_run, make_schedule, make_target
from tests.runs.conftest import claim_one

pytestmark = pytest.mark.django_db


def get(kept: KnownTargets, *targets: Target) -> list[KnownTarget]:
    found = kept.get({target.id: target.updated_at for target in targets}, now=NOW)
    return [found[target.id] for target in targets]


def test_a_known_target_needs_no_query(django_assert_num_queries: Any) -> None:
    kept, targets = KnownTargets(), [make_target(), make_target()]
    with django_assert_num_queries(1):
        first = get(kept, *targets)
    with django_assert_num_queries(0):
        assert get(kept, *targets) == first


def test_an_edited_target_is_read_again() -> None:
    kept, target = KnownTargets(), make_target()
    get(kept, target)
    Target.objects.update(url="http://127.0.0.1:9/moved", updated_at=NOW + timedelta(seconds=1))
    target.refresh_from_db()
    (known,) = get(kept, target)
    assert known.plain is not None
    assert known.plain.spec.url == "http://127.0.0.1:9/moved"


def test_a_claim_uses_the_target_as_it_is_then() -> None:
    schedule = make_schedule()
    make_run(schedule)
    assert claim_one().request.url == "http://127.0.0.1:9/orders"  # type: ignore[union-attr]
    update_target(
        target_id=schedule.target_id, changes={"headers": {"X-New": "1"}}, now=NOW + timedelta(microseconds=1)
    )
    make_run(schedule)
    assert claim_one().request.headers["X-New"] == "1"  # type: ignore[union-attr]


def test_the_longest_unused_ones_are_dropped(monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any) -> None:
    monkeypatch.setattr(known_targets, "MOST_KEPT", 2)
    kept, (one, two, three) = KnownTargets(), (make_target(), make_target(), make_target())
    get(kept, one, two)
    get(kept, one)
    get(kept, three)
    with django_assert_num_queries(0):
        get(kept, one, three)
    with django_assert_num_queries(1):
        get(kept, two)


def test_one_with_a_large_body_is_read_each_time(django_assert_num_queries: Any) -> None:
    kept, target = KnownTargets(), make_target(method="POST", body_template="x" * (LONGEST_BODY_KEPT + 1))
    for _ in range(2):
        with django_assert_num_queries(1):
            get(kept, target)
