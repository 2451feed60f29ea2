"""What becomes of due ticks (guarantee G2): catch-up, gaps, limits of a pass, max_runs, overlap, the next due time."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice, takewhile
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schedules.fire_plan import FirePlan, FirePolicy, PlannedRun, plan_fires
from schedules.recurrence import fires, next_fire
from schedules.timing import Timing
from tests.schedules.timings import START, cron, every, once

TEN = every(10)
POLICY = FirePolicy(
    catch_up="latest",
    misfire_grace_seconds=60,
    overlap_policy="allow",
    remaining_runs=None,
    active_runs=0,
    jitter=timedelta(0),
    poll_seconds=1.0,
)


def at(seconds: float) -> datetime:
    """A moment counted from the start of the timings."""
    return START + timedelta(seconds=seconds)


def plan(now: float, *, timing: Timing = TEN, due: float = 10, **policy: Any) -> FirePlan:
    """The plan for `timing`, due since `due` seconds after its start, at `now` seconds after it."""
    return plan_fires(timing, replace(POLICY, **policy), at(due), at(now))


def runs(*seconds: float) -> tuple[PlannedRun, ...]:
    """Runs that start, at these seconds."""
    return tuple(PlannedRun(at(second), "pending") for second in seconds)


def left_out(second: float, reason: str, ticks: int) -> PlannedRun:
    """One skipped row."""
    return PlannedRun(at(second), "skipped", reason, ticks)  # type: ignore[arg-type]


# --- On time


def test_before_its_time_nothing_happens() -> None:
    assert plan(9.999) == FirePlan((), at(10))


@pytest.mark.parametrize("catch_up", ["latest", "all", "none"])
def test_a_tick_on_time_runs_and_the_next_follows_from_its_nominal_time(catch_up: str) -> None:
    assert plan(10.7, catch_up=catch_up) == FirePlan(runs(10), at(20))


def test_the_last_tick_of_the_window_ends_the_schedule() -> None:
    assert plan(300, timing=every(10, expires_at=at(300)), due=300) == FirePlan(runs(300), None)
    assert plan(90, timing=once(at(90)), due=90) == FirePlan(runs(90), None)


def test_a_cron_that_never_fires_again_ends() -> None:
    timing = cron("0 12 2 3 *", expires_at=START + timedelta(days=30))

    assert plan(86_400, timing=timing, due=86_400) == FirePlan(runs(86_400), None)


# --- Catch-up


def test_latest_runs_the_last_tick_and_counts_the_others_by_reason() -> None:
    """At 205 s with 60 s of grace: 10 ... 140 are too old, 150 ... 190 give way to 200."""
    found = plan(205)

    assert found.runs == (left_out(10, "misfire", 14), left_out(150, "coalesced", 5), *runs(200))
    assert found.next_run_at == at(210)


def test_all_runs_every_tick_within_grace() -> None:
    found = plan(205, catch_up="all")

    assert found.runs == (left_out(10, "misfire", 14), *runs(150, 160, 170, 180, 190, 200))
    assert found.next_run_at == at(210)


def test_none_runs_only_what_is_at_most_two_polls_late() -> None:
    assert plan(32, catch_up="none") == FirePlan((left_out(10, "misfire", 2), *runs(30)), at(40))
    assert plan(32.001, catch_up="none") == FirePlan((left_out(10, "misfire", 3),), at(40))
    assert plan(24, catch_up="none", poll_seconds=7.0).runs == runs(10, 20)


@pytest.mark.parametrize("catch_up", ["latest", "all"])
def test_grace_is_inclusive_and_a_tick_beyond_it_is_a_misfire(catch_up: str) -> None:
    day = every(86_400)

    assert plan(86_460, timing=day, due=86_400, catch_up=catch_up) == FirePlan(runs(86_400), at(172_800))
    assert plan(86_460.001, timing=day, due=86_400, catch_up=catch_up) == FirePlan(
        (left_out(86_400, "misfire", 1),), at(172_800)
    )


@pytest.mark.parametrize("catch_up", ["latest", "all"])
def test_what_the_next_look_finds_is_never_late(catch_up: str) -> None:
    """Even without any grace: a worker looks every poll, so every tick would be a little late."""
    assert plan(11.9, catch_up=catch_up, misfire_grace_seconds=0).runs == runs(10)
    assert plan(12.1, catch_up=catch_up, misfire_grace_seconds=0).runs == (left_out(10, "misfire", 1),)


def test_lateness_counts_from_the_jittered_start() -> None:
    """Meant for 310, looked at 320: 10 seconds late, not 310."""
    late = plan(320, timing=every(600), due=10, jitter=timedelta(seconds=300), misfire_grace_seconds=15)

    assert late.runs == runs(10)


def test_an_expired_window_still_accounts_for_its_missed_ticks() -> None:
    found = plan(1000, timing=every(10, expires_at=at(50)))

    assert found == FirePlan((left_out(10, "misfire", 5),), None)


# --- Limits of a pass


def test_at_most_a_hundred_rows_come_from_one_pass_and_the_rest_from_the_next() -> None:
    first = plan(2500, catch_up="all", misfire_grace_seconds=10_000)
    second = plan_fires(TEN, replace(POLICY, catch_up="all", misfire_grace_seconds=10_000), at(1010), at(2500))

    assert first == FirePlan(runs(*range(10, 1001, 10)), at(1010))
    assert second == FirePlan(runs(*range(1010, 2001, 10)), at(2010))


def test_a_gap_counts_among_the_hundred_rows() -> None:
    found = plan(10_000, catch_up="all", misfire_grace_seconds=5_000)

    assert len(found.runs) == 100
    assert found.runs[0] == left_out(10, "misfire", 499)
    assert found.runs[1:] == runs(*range(5_000, 5_990, 10))
    assert found.next_run_at == at(5_990)


def test_at_most_ten_thousand_ticks_are_counted_in_one_pass() -> None:
    found = plan(15_000, timing=every(1), due=1)

    assert found == FirePlan((left_out(1, "misfire", 10_000),), at(10_001))


def test_a_tick_is_not_the_last_while_later_ones_are_due_beyond_the_limit() -> None:
    found = plan(15_000, timing=every(1), due=1, misfire_grace_seconds=20_000)

    assert found == FirePlan((left_out(1, "coalesced", 10_000),), at(10_001))


def test_the_last_tick_runs_when_it_is_the_ten_thousandth() -> None:
    found = plan(10_000, timing=every(1), due=1, misfire_grace_seconds=20_000)

    assert found == FirePlan((left_out(1, "coalesced", 9_999), *runs(10_000)), at(10_001))


# --- max_runs


def test_the_last_of_max_runs_ends_the_schedule() -> None:
    assert plan(10, remaining_runs=1) == FirePlan(runs(10), None)
    assert plan(10, remaining_runs=2) == FirePlan(runs(10), at(20))


def test_due_ticks_beyond_max_runs_get_no_rows() -> None:
    assert plan(60, catch_up="all", remaining_runs=3) == FirePlan(runs(10, 20, 30), None)


@pytest.mark.parametrize("remaining", [0, -2])
def test_with_no_runs_left_the_schedule_ends(remaining: int) -> None:
    assert plan(60, remaining_runs=remaining) == FirePlan((), None)


def test_skipped_ticks_use_up_no_runs() -> None:
    assert plan(205, remaining_runs=1).runs[-1] == runs(200)[0]
    assert plan(10, remaining_runs=1, overlap_policy="skip", active_runs=1) == FirePlan(
        (left_out(10, "overlap", 1),), at(20)
    )


# --- Overlap


@pytest.mark.parametrize(
    ("policy", "active", "row"),
    [
        ("skip", 0, PlannedRun(at(10), "pending")),
        ("skip", 1, left_out(10, "overlap", 1)),
        ("skip", 5, left_out(10, "overlap", 1)),
        ("queue", 0, PlannedRun(at(10), "pending")),
        ("queue", 1, PlannedRun(at(10), "pending", queued=True)),
        ("queue", 2, left_out(10, "overlap", 1)),
        ("allow", 0, PlannedRun(at(10), "pending")),
        ("allow", 9, PlannedRun(at(10), "pending")),
    ],
)
def test_overlap_is_judged_by_the_runs_not_ended(policy: str, active: int, row: PlannedRun) -> None:
    assert plan(10, overlap_policy=policy, active_runs=active) == FirePlan((row,), at(20))


def test_runs_of_the_same_pass_overlap_too() -> None:
    skip = plan(40, catch_up="all", overlap_policy="skip").runs
    queue = plan(40, catch_up="all", overlap_policy="queue").runs

    assert skip == (*runs(10), *(left_out(second, "overlap", 1) for second in (20, 30, 40)))
    assert queue == (
        *runs(10),
        PlannedRun(at(20), "pending", queued=True),
        *(left_out(second, "overlap", 1) for second in (30, 40)),
    )


def test_a_missed_tick_is_a_misfire_whatever_runs() -> None:
    assert plan(205, overlap_policy="skip", active_runs=1).runs == (
        left_out(10, "misfire", 14),
        left_out(150, "coalesced", 5),
        left_out(200, "overlap", 1),
    )


# --- Properties

TIMINGS = st.one_of(
    st.builds(every, st.integers(1, 900)),
    st.builds(
        cron,
        st.sampled_from(["* * * * *", "*/7 * * * *", "30 2 * * *", "@hourly", "0 9-17/2 * * 1-5"]),
        st.sampled_from(["UTC", "America/New_York", "Australia/Lord_Howe"]),
    ),
)
POLICIES = st.builds(
    FirePolicy,
    catch_up=st.sampled_from(["latest", "all", "none"]),
    misfire_grace_seconds=st.one_of(st.integers(0, 600), st.just(100_000)),
    overlap_policy=st.sampled_from(["skip", "allow", "queue"]),
    remaining_runs=st.one_of(st.none(), st.integers(0, 150)),
    active_runs=st.integers(0, 3),
    jitter=st.timedeltas(timedelta(0), timedelta(seconds=60)),
    poll_seconds=st.sampled_from([0.05, 1.0, 60.0]),
)


@settings(max_examples=150, deadline=None)
@given(TIMINGS, POLICIES, st.integers(0, 40_000), st.integers(0, 13_000))
def test_passes_account_for_every_due_tick_once_and_in_order(
    timing: Timing, policy: FirePolicy, begin: int, span: int
) -> None:
    """Pass after pass, as enqueue does it, until nothing is due: the rows cover the due ticks one by one."""
    first = next_fire(timing, at(begin))
    assert first is not None
    now = first + timedelta(seconds=span)
    due = [first, *takewhile(lambda tick: tick <= now, fires(timing, first))]
    rows: list[PlannedRun] = []
    tick: datetime | None = first
    while tick is not None and tick <= now:
        found = plan_fires(timing, policy, tick, now)
        started = sum(row.status == "pending" for row in found.runs)
        assert len(found.runs) <= 100
        assert found.next_run_at is None or found.next_run_at > tick
        rows.extend(found.runs)
        remaining = None if policy.remaining_runs is None else policy.remaining_runs - started
        policy = replace(policy, remaining_runs=remaining, active_runs=policy.active_runs + started)
        tick = found.next_run_at

    place = 0
    for row in rows:
        assert row.scheduled_at == due[place]
        assert (row.missed_ticks > 0) == (row.status == "skipped") == bool(row.reason)
        place += row.missed_ticks or 1
    if policy.remaining_runs is not None and policy.remaining_runs <= 0:
        assert tick is None
        assert policy.remaining_runs == 0
        assert place <= len(due)
    else:
        assert place == len(due)
        assert tick == next_fire(timing, due[-1])


@settings(max_examples=100, deadline=None)
@given(TIMINGS, POLICIES, st.integers(0, 40_000), st.integers(0, 5_000))
def test_what_runs_is_within_grace_and_what_is_a_misfire_is_not(
    timing: Timing, policy: FirePolicy, begin: int, span: int
) -> None:
    first = next_fire(timing, at(begin))
    assert first is not None
    now = first + timedelta(seconds=span)
    limit = 2 * policy.poll_seconds
    if policy.catch_up != "none":
        limit = max(limit, policy.misfire_grace_seconds)

    for row in plan_fires(timing, policy, first, now).runs:
        last = row.scheduled_at
        if row.missed_ticks > 1:
            last = list(islice(fires(timing, last), row.missed_ticks - 1))[-1]
        late = (now - last - policy.jitter).total_seconds()
        assert (late > limit) == (row.reason == "misfire")
        if row.status == "pending" and policy.catch_up == "latest":
            following = next_fire(timing, last)
            assert following is None or following > now
