"""Is the work being done: workers, what is overdue or stuck, what is held back, what should be gone?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Exists, OuterRef

from runs.metrics import read_queue
from runs.models import Attempt, Run, RunStatus
from runs.prune import BETWEEN_SWEEPS, Sweep, old_bodies
from runs.retention import RetentionPolicy
from scheduler_project.doctor.findings import Finding, failure, lasting, named, ok, warning
from schedules.models import Schedule, ScheduleStatus
from targets.counted import counted
from worker.models import ProcessKind, WorkerProcess

START = "Start one: `python manage.py runscheduler`."
REAP = "A live worker resolves them within a lease; `manage.py doctor --reap` does it now."
# Longer than a worker takes for a day's leftovers: what is still there then has nobody who removes it.
RETENTION_GRACE = timedelta(hours=6)
MOST_LOOKED_AT = 20_000


def check_workers(now: datetime) -> Iterator[Finding]:
    """Who is alive."""
    workers = WorkerProcess.objects.filter(kind=ProcessKind.WORKER)
    live = [str(worker) for worker in workers.filter(lease_until__gte=now)]
    dead = [str(worker) for worker in workers.filter(lease_until__lt=now)]
    if live:
        yield ok("workers", f"{counted(len(live), 'live worker')}: {named(live)}.")
    elif Schedule.objects.filter(status=ScheduleStatus.ACTIVE).exists() or Run.objects.active().exists():
        yield failure("workers", "No worker is live: nothing is called.", START)
    else:
        yield warning("workers", "No worker is live; nothing is scheduled either.", START)
    if dead:
        yield warning("workers", f"{counted(len(dead), 'dead worker')}: {named(dead)}.", REAP)


def check_overdue(now: datetime) -> Finding:
    """Schedules and runs that were due longer ago than a lease."""
    since = now - timedelta(seconds=settings.WORKER_LEASE_SECONDS)
    schedules = Schedule.with_deleted.due(since).count()
    runs = Run.objects.waiting().filter(next_attempt_at__lte=since).count()
    queue = read_queue(now)
    depth = f"{queue.pending:,} pending, {queue.running:,} running, {queue.retrying:,} retrying"
    if not schedules and not runs:
        return ok("queue", f"Nothing is overdue: {depth}.")
    sentence = (
        f"{counted(schedules, 'schedule')} and {counted(runs, 'run')} have been due for more than "
        f"{settings.WORKER_LEASE_SECONDS:g} s, the oldest for {lasting(queue.oldest_due_seconds)}: {depth}."
    )
    if WorkerProcess.objects.filter(kind=ProcessKind.WORKER, lease_until__gte=now, draining=False).exists():
        remedy = "Workers live but are behind: add seats (--concurrency) or processes, or look for slow targets."
        return warning("queue", sentence, remedy)
    return failure("queue", sentence, START)


def check_stuck(now: datetime) -> Iterator[Finding]:
    """Running Runs whose holder is dead, hangs, or never was."""
    running = Run.with_deleted.filter(status=RunStatus.RUNNING)
    holder = WorkerProcess.objects.filter(id=OuterRef("worker_id"), lease_until__gte=now)
    orphans = running.filter(~Exists(holder)).count()
    if orphans:
        yield warning("running", f"{counted(orphans, 'run')} held by dead workers.", REAP)
    slack = timedelta(seconds=settings.MAX_TIMEOUT_SECONDS + 2 * settings.WORKER_LEASE_SECONDS)
    opened = Attempt.objects.filter(completed_at__isnull=True)
    hanging = opened.filter(created_at__lt=now - slack, run__in=running.filter(Exists(holder))).count()
    if hanging:
        remedy = "Restart that worker, and please report it: time-outs should have ended them."
        yield failure("running", f"{counted(hanging, 'call')} of live workers far over every time-out.", remedy)
    torn = running.filter(~Exists(opened.filter(run_id=OuterRef("id")))).count()
    torn += opened.exclude(run__status=RunStatus.RUNNING).count()
    if torn:
        remedy = "This can't come from the service: was the database edited, or restored in part?"
        yield failure("running", f"{counted(torn, 'run')} whose status and open attempt contradict each other.", remedy)
    if not (orphans or hanging or torn):
        calls = running.count()
        held = f"{counted(calls, 'call')} in flight, held by live workers." if calls else "No call is in flight."
        yield ok("running", held)


def check_held(now: datetime) -> Finding:
    """Schedules that could not be computed and are tried again later."""
    held = Schedule.objects.filter(status=ScheduleStatus.ACTIVE, held_until__isnull=False).order_by("held_until")
    reasons = [f"{name} ({reason})" for name, reason in held.values_list("name", "last_error")[:100]]
    if not reasons:
        return ok("schedules", "None is held back by an error.")
    remedy = "Save them again to see what is wrong; they are tried again by themselves too."
    return warning("schedules", f"{counted(held.count(), 'schedule')} held back by an error: {named(reasons)}.", remedy)


def check_retention(policy: RetentionPolicy, now: datetime, say: Callable[[str], None]) -> Finding:
    """Whether what is older than its retention is being removed."""
    since = now - RETENTION_GRACE - BETWEEN_SWEEPS
    sweep = Sweep(policy, now=since, dry_run=True)
    late = looked_at = 0
    while looked_at < MOST_LOOKED_AT and (step := sweep.step()) is not None:
        late += step.runs
        looked_at += step.runs + step.kept
        say(f"{counted(looked_at, 'old run')} looked at")
    bodies = old_bodies(policy, now=since)[:MOST_LOOKED_AT].count()
    if not late and not bodies:
        seen = f" (of the oldest {looked_at:,} runs)" if looked_at >= MOST_LOOKED_AT else ""
        return ok("retention", f"What is older than RETENTION_* says is gone{seen}.")
    more = "at least " if MOST_LOOKED_AT in (late, bodies) or looked_at >= MOST_LOOKED_AT else ""
    sentence = (
        f"It is behind: {more}{counted(late, 'run')} and the bodies of {counted(bodies, 'attempt')} should be gone."
    )
    return warning("retention", sentence, "Workers remove them bit by bit; `manage.py prune_runs` does it now.")
