"""The pool: tickets in, finished calls out, no database."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from runs.outcome import ErrorType, Outcome
from runs.tickets import Ticket
from targets.request_draft import Sendable
from tests.worker.workers import SOON, SUCCESS, Monotonic, ScriptedExecutor, make_ticket
from worker.pool import Caller, Pool
from worker.seats import Seats


@dataclass
class Rig:
    """A pool with its seats."""

    pool: Pool
    seats: Seats

    def submit(self, ticket: Ticket | None = None) -> Ticket:
        """Take a seat, as the claim does, and submit."""
        ticket = ticket or make_ticket()
        assert self.seats.take(ticket.target_id, None)
        self.pool.submit(ticket)
        return ticket


MakePool = Callable[..., Rig]


@pytest.fixture
def make_pool() -> Iterator[MakePool]:
    """Pools that are closed at the end."""
    pools: list[Pool] = []

    def make(executor: Caller, *, seats: int = 2, may_send: Callable[[uuid.UUID], bool] = lambda _: True) -> Rig:
        keeper = Seats(seats)
        pools.append(Pool(executor=executor, seats=keeper, may_send=may_send, monotonic=Monotonic()))
        return Rig(pools[-1], keeper)

    yield make
    for pool in pools:
        pool.close()


def test_it_makes_the_call_of_a_ticket_and_frees_its_seat(make_pool: MakePool) -> None:
    executor = ScriptedExecutor()
    rig = make_pool(executor)

    ticket = rig.submit()
    (finished,) = rig.pool.collect(timeout=SOON)

    assert (finished.ticket, finished.outcome) == (ticket, SUCCESS)
    assert executor.requests == [ticket.request]
    assert rig.seats.free() == 2
    assert rig.pool.in_flight() == frozenset()


def test_a_ticket_that_is_an_outcome_already_comes_back_without_a_call(make_pool: MakePool) -> None:
    executor = ScriptedExecutor()
    rig = make_pool(executor)

    ticket = rig.submit(make_ticket(request=Outcome(ErrorType.TEMPLATE, "Unknown placeholder.")))
    (finished,) = rig.pool.collect(timeout=0)

    assert finished.outcome is ticket.request
    assert executor.requests == []
    assert rig.seats.free() == 2


def test_a_ticket_is_in_flight_until_its_result_is_collected(make_pool: MakePool) -> None:
    executor = ScriptedExecutor(gate_open=False)
    rig = make_pool(executor)
    ticket = rig.submit()

    assert rig.pool.in_flight() == {ticket.attempt_id}
    executor.open_gate()
    rig.pool.collect(timeout=SOON)
    assert rig.pool.in_flight() == frozenset()


def test_the_executor_is_told_whether_it_may_send_what_was_claimed_under_the_tickets_worker_id(
    make_pool: MakePool,
) -> None:
    ours, former = make_ticket(), make_ticket()
    rig = make_pool(ScriptedExecutor(), may_send=lambda worker_id: worker_id == ours.worker_id)

    withheld = {}
    for ticket in (ours, former):
        rig.submit(ticket)
        (finished,) = rig.pool.collect(timeout=SOON)
        withheld[ticket.worker_id] = finished.outcome.withheld

    assert withheld == {ours.worker_id: False, former.worker_id: True}


def test_an_executor_that_raises_costs_neither_the_seat_nor_the_thread(
    make_pool: MakePool, caplog: pytest.LogCaptureFixture
) -> None:
    class BrokenExecutor:
        def execute(self, request: Sendable, *, may_send: Callable[[], bool]) -> Outcome:
            raise ZeroDivisionError

    rig = make_pool(BrokenExecutor(), seats=1)
    for _ in range(2):
        rig.submit()
        (finished,) = rig.pool.collect(timeout=SOON)
        assert finished.outcome.error_type is ErrorType.UNKNOWN
        assert rig.seats.free() == 1
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2


def test_it_withdraws_only_what_no_thread_has_begun(make_pool: MakePool) -> None:
    executor = ScriptedExecutor(gate_open=False)
    rig = make_pool(executor, seats=2)
    begun = [rig.submit(), rig.submit()]
    for _ in begun:
        assert executor.begun.acquire(timeout=SOON)
    # As if the claim had been faster than the last call's thread: its seat is free, the thread not yet back.
    rig.seats.give_back(begun[0].target_id)
    waiting = rig.submit()

    (withdrawn,) = rig.pool.withdraw()

    assert withdrawn.ticket is waiting
    assert withdrawn.outcome.withheld
    assert rig.pool.in_flight() == {ticket.attempt_id for ticket in begun}
    assert rig.seats.free() == 1
    rig.seats.take(begun[0].target_id, None)
    executor.open_gate()


def test_a_wake_up_ends_the_wait_without_a_result(make_pool: MakePool) -> None:
    rig = make_pool(ScriptedExecutor())
    rig.pool.wake()

    assert rig.pool.collect(timeout=60) == []


def test_it_collects_everything_that_has_ended_at_once(make_pool: MakePool) -> None:
    rig = make_pool(ScriptedExecutor(), seats=3)
    tickets = [rig.submit(make_ticket(request=Outcome(ErrorType.TEMPLATE))) for _ in range(3)]
    rig.pool.wake()

    assert [finished.ticket for finished in rig.pool.collect(timeout=SOON)] == tickets
    assert rig.pool.collect(timeout=0) == []
