"""Guarantees G8, G9, G10, G11 and G14: what targets see of a run, and what becomes of its results."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import IntegrityError, connection, transaction

from runs.claim import claim_ready
from runs.models import Attempt, Run
from runs.record import record_results
from runs.rescue import rescue_orphans
from runs.tickets import Result, Ticket
from schedules.clock import database_now
from tests.acceptance.conftest import Workers, call, ended, wait_until
from tests.api_client import ApiClient, wrong_places
from tests.factories import NOW, make_attempt, make_run, make_schedule
from tests.guarantees.rivals import OpenTransaction, at_once, second_party
from tests.hostile_sockets import speaking
from tests.http_target import RecordingTarget
from tests.worker.workers import SUCCESS, ScriptedExecutor, make_config
from worker.loop import Worker
from worker.seats import Seats

pytestmark = pytest.mark.django_db(transaction=True)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def claim(worker_id: UUID, now: Any = NOW) -> Ticket:
    """The one ticket that is to be had."""
    (ticket,) = claim_ready(now=now, worker_id=worker_id, seats=Seats(5))
    return ticket


def test_g8_all_attempts_carry_the_runs_own_key_even_after_a_restart(workers: Workers, target: RecordingTarget) -> None:
    run = call(target.url("/status/503"), max_retries=3, retry_delay_seconds=0.3)
    first = workers.start()
    target.wait_for(2)
    workers.kill(first)
    workers.start()
    run = ended(run)
    assert {seen.key for seen in target.calls()} == {str(run.id)}
    assert len(target.calls()) >= 3


def test_g8_a_header_of_the_users_never_replaces_the_key(workers: Workers, target: RecordingTarget) -> None:
    body = {"name": "x", "url": "https://example.com/", "headers": {"idempotency-key": "mine"}}
    assert wrong_places(ApiClient().post("/targets", body)) == ["/headers"]

    planted = call(target.url("/"), target_fields={"headers": {"IDEMPOTENCY-KEY": "mine"}}, max_retries=0)
    workers.start()
    planted = ended(planted)
    assert (planted.final_error_type, target.calls()) == ("template", [])


def test_g9_the_open_attempt_is_committed_before_the_target_sees_anything(workers: Workers) -> None:
    seen: list[list[tuple[Any, ...]]] = []

    def look(caller: socket.socket, _: threading.Event) -> None:
        """As soon as there is a connection, on a connection of our own to the database."""
        attempts = Attempt.objects.filter(completed_at__isnull=True)
        seen.append(list(attempts.values_list("run__status", "run_id", "request_method", "attempt_number")))
        connection.close()
        caller.recv(10_000)
        caller.sendall(OK)

    with speaking(look) as port:
        run = call(f"http://127.0.0.1:{port}/", target_fields={"method": "DELETE"})
        workers.start()
        run = ended(run)
    assert (run.status, seen) == ("success", [[("running", run.id, "DELETE", 1)]])


def test_g9_the_open_attempt_is_committed_before_a_thread_has_its_ticket() -> None:
    run = make_run()
    worker = Worker(make_config(), executor=ScriptedExecutor())
    submit, seen = worker.pool.submit, []

    def look_and_submit(ticket: Ticket) -> None:
        open_attempts = Attempt.objects.filter(id=ticket.attempt_id, completed_at__isnull=True)
        with second_party() as start:
            seen.append(start(lambda: list(open_attempts.values_list("run_id", "run__status"))).result())
        submit(ticket)

    setattr(worker.pool, "submit", look_and_submit)  # noqa: B010 - mypy takes no assignment to a method
    worker.heartbeat.beat()
    worker.tick(NOW)
    worker.pool.close()
    assert seen == [[(run.id, "running")]]


def test_g10_workers_that_claim_at_once_get_each_run_once() -> None:
    schedule = make_schedule(overlap_policy="allow")
    for number in range(40):
        make_run(schedule, scheduled_at=NOW - timedelta(seconds=number))
    rivals = [uuid4() for _ in range(4)]

    won = at_once(lambda number: claim_ready(now=NOW, worker_id=rivals[number], seats=Seats(100)), len(rivals))

    tickets = [ticket.run_id for each in won for ticket in each]
    open_attempts = Attempt.objects.filter(completed_at__isnull=True).values_list("run_id", flat=True)
    assert len(tickets) == len(set(tickets)) == len(open_attempts) == 40
    assert set(open_attempts) == set(tickets)
    for worker_id, each in zip(rivals, won, strict=True):
        assert {ticket.run_id for ticket in each} == set(
            Run.objects.filter(worker_id=worker_id).values_list("id", flat=True)
        )


@pytest.mark.postgres_only
def test_g10_a_run_that_a_rival_is_claiming_is_passed_over_without_waiting() -> None:
    make_run()
    with OpenTransaction(lambda: claim(uuid4())).begun():
        assert claim_ready(now=NOW, worker_id=uuid4(), seats=Seats(5)) == []
    assert claim_ready(now=NOW, worker_id=uuid4(), seats=Seats(5)) == []
    assert Attempt.objects.count() == 1


def test_g10_the_database_itself_refuses_a_second_open_attempt() -> None:
    run = make_run()
    claim(uuid4())
    with pytest.raises(IntegrityError), transaction.atomic():
        make_attempt(run, attempt_number=2, completed_at=None)


def everything_of(run: Run) -> dict[str, Any]:
    """The row as it is stored."""
    return dict(Run.objects.filter(id=run.id).values().get())


def others_of(ticket: Ticket) -> list[dict[str, Any]]:
    """The run's attempts but for the ticket's."""
    attempts = Attempt.objects.filter(run_id=ticket.run_id).exclude(id=ticket.attempt_id)
    return [dict(row) for row in attempts.order_by("attempt_number").values()]


@pytest.mark.parametrize("stage", ["waits again", "runs elsewhere", "has ended elsewhere"])
def test_g11_a_late_result_is_kept_as_fenced_and_changes_nothing_else(stage: str) -> None:
    run = make_run(make_schedule(on_worker_lost="retry", retry_delay_seconds=1))
    frozen, other = uuid4(), uuid4()
    late = claim(frozen)
    later = NOW + timedelta(minutes=1)
    rescue_orphans([frozen], now=NOW)
    if stage != "waits again":
        second = claim(other, later)
    if stage == "has ended elsewhere":
        record_results([Result(second, SUCCESS, later, later)], now=later)
    before, others = everything_of(run), others_of(late)

    assert record_results([Result(late, SUCCESS, NOW, later)], now=later) == 0

    attempt = Attempt.objects.get(id=late.attempt_id)
    assert (attempt.fenced, attempt.error_type, attempt.status_code) == (True, "worker_lost", 200)
    assert (everything_of(run), others_of(late)) == (before, others)


def test_g11_every_claim_and_every_rescue_raises_the_token() -> None:
    run = make_run(make_schedule(on_worker_lost="retry", retry_delay_seconds=0, max_retries=9))
    tokens = []
    for number in range(4):
        now, worker_id = NOW + timedelta(minutes=number), uuid4()
        tokens.append(claim(worker_id, now).token)
        rescue_orphans([worker_id], now=now)
        run.refresh_from_db()
        tokens.append(run.token)
    assert tokens == sorted(set(tokens))


def test_g14_a_retry_waits_in_the_database_as_long_as_the_target_asked(
    workers: Workers, target: RecordingTarget
) -> None:
    run = call(target.url("/status/503?retry_after=600"), max_retries=1, retry_delay_seconds=0.1)
    first = workers.start()
    wait_until(lambda: Run.objects.get(id=run.id).status == "retrying", "the first attempt is recorded")
    workers.kill(first)
    run.refresh_from_db()
    ended_at = run.attempts.get().completed_at
    assert ended_at is not None
    assert run.next_attempt_at == ended_at + timedelta(seconds=600)

    Run.objects.filter(id=run.id).update(next_attempt_at=database_now())
    workers.start()
    assert ended(run).status == "failed"
    assert Counter(seen.key for seen in target.calls()) == {str(run.id): 2}
