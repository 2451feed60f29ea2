"""procrastinate on asyncio: one job per call, a shared aiohttp session, psycopg's pool for the records.

As a careful team would run it: jobs are deferred in bulk before the clock starts, a hundred at once as our worker has
seats, plain SQL. Before the call the run and its attempt are committed in one transaction, after it the result in
another.

    BENCH_DATABASE=postgresql://... python -m bench.peers.procrastinate_peer NOMINAL
"""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import aiohttp
import procrastinate
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from bench.peers.due_calls import DUE, Call, closed, opened

AT_ONCE = 100
CONNECTIONS = 20
URL = os.environ.get("BENCH_DATABASE", "")
app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=URL, max_size=CONNECTIONS))
records = AsyncConnectionPool(URL, max_size=CONNECTIONS, open=False)
sessions: list[aiohttp.ClientSession] = []


@app.task(name="call")
async def make_call(schedule_id: str, target_id: str, url: str, scheduled_at: float) -> None:
    """Record, call, record."""
    call = Call(UUID(schedule_id), UUID(target_id), url, datetime.fromtimestamp(scheduled_at, UTC))
    started = datetime.now(UTC)
    run, attempt = opened(call, started)
    async with records.connection() as connection, connection.transaction():
        await _insert(connection, "runs_run", run)
        await _insert(connection, "runs_attempt", attempt)
    async with sessions[0].get(url, headers=call.headers()) as answer:
        body = await answer.text()
        run_changes, attempt_changes = closed(
            started, datetime.now(UTC), status_code=answer.status, headers=dict(answer.headers), body=body
        )
    async with records.connection() as connection, connection.transaction():
        await _update(connection, "runs_attempt", attempt["id"], attempt_changes)
        await _update(connection, "runs_run", run["id"], run_changes)


async def _insert(connection: Any, table: str, columns: dict[str, object]) -> None:
    names = ", ".join(columns)
    places = ", ".join(["%s"] * len(columns))
    await connection.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", _values(columns))


async def _update(connection: Any, table: str, key: object, columns: dict[str, object]) -> None:
    pairs = ", ".join(f"{name} = %s" for name in columns)
    await connection.execute(f"UPDATE {table} SET {pairs} WHERE id = %s", [*_values(columns), key])


def _values(columns: dict[str, object]) -> list[object]:
    return [Jsonb(value) if isinstance(value, dict) else value for value in columns.values()]


async def main(nominal: float) -> None:
    """Defer a job for each due schedule, then work until none is left."""
    async with app.open_async(), records:
        sessions.append(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=AT_ONCE)))
        async with records.connection() as connection:
            exists = await (await connection.execute("SELECT to_regclass('procrastinate_jobs')")).fetchone()
            due = await (await connection.execute(DUE)).fetchall()
        if exists == (None,):
            await app.schema_manager.apply_schema_async()
        await make_call.batch_defer_async(
            *(
                {"schedule_id": str(schedule), "target_id": str(target), "url": url, "scheduled_at": nominal}
                for schedule, target, url in due
            )
        )
        await app.run_worker_async(concurrency=AT_ONCE, wait=False, listen_notify=False, install_signal_handlers=False)
        await sessions[0].close()


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1])))
