"""APScheduler 3 on asyncio: one date job per call, a shared httpx client, SQLAlchemy (async) on PostgreSQL.

As a careful team would run it: jobs in memory (a persistent job store would only cost more), a hundred calls at once as
our worker has seats, a pool of twenty connections, Core statements rather than objects. Before the call the run and its
attempt are committed in one transaction, after it the result in another.

    BENCH_DATABASE=postgresql+asyncpg://... python -m bench.peers.apscheduler_peer NOMINAL
"""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import UTC, datetime

import httpx
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from sqlalchemy import MetaData, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from bench.peers.due_calls import DUE, Call, closed, opened

AT_ONCE = 100
CONNECTIONS = 20


class Recorder:
    """Makes calls, a hundred at once, and records each before and after."""

    def __init__(self, engine: AsyncEngine, tables: MetaData, *, calls: int) -> None:
        self.done = asyncio.Event()
        self._engine = engine
        self._runs, self._attempts = tables.tables["runs_run"], tables.tables["runs_attempt"]
        self._left = calls
        self._seats = asyncio.Semaphore(AT_ONCE)
        self._client = httpx.AsyncClient(
            timeout=30, limits=httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
        )

    async def make(self, call: Call) -> None:
        """One job of the scheduler's."""
        async with self._seats:
            started = datetime.now(UTC)
            run, attempt = opened(call, started)
            async with self._engine.begin() as connection:
                await connection.execute(self._runs.insert(), run)
                await connection.execute(self._attempts.insert(), attempt)
            answer = await self._client.get(call.url, headers=call.headers())
            run_changes, attempt_changes = closed(
                started,
                datetime.now(UTC),
                status_code=answer.status_code,
                headers=dict(answer.headers),
                body=answer.text,
            )
            async with self._engine.begin() as connection:
                await connection.execute(
                    update(self._attempts).where(self._attempts.c.id == attempt["id"]).values(attempt_changes)
                )
                await connection.execute(update(self._runs).where(self._runs.c.id == run["id"]).values(run_changes))
        self._left -= 1
        if not self._left:
            self.done.set()

    async def close(self) -> None:
        """Let go of the connections to the targets."""
        await self._client.aclose()


async def main(nominal: float) -> None:
    """Make every due call at the moment `nominal`."""
    engine = create_async_engine(os.environ["BENCH_DATABASE"], pool_size=CONNECTIONS, max_overflow=0)
    tables = MetaData()
    async with engine.connect() as connection:
        await connection.run_sync(lambda bind: tables.reflect(bind, only=["runs_run", "runs_attempt"]))
        due = (await connection.execute(text(DUE))).all()
    recorder = Recorder(engine, tables, calls=len(due))
    moment = datetime.fromtimestamp(nominal, UTC)
    scheduler = AsyncIOScheduler(timezone=UTC, job_defaults={"misfire_grace_time": None})
    for schedule, target, url in due:
        scheduler.add_job(recorder.make, "date", run_date=moment, args=[Call(schedule, target, url, moment)])
    scheduler.start()
    await recorder.done.wait()
    scheduler.shutdown()
    await recorder.close()
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1])))
