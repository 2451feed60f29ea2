"""The account that every benchmark must settle (S11): due = rows = attempts = calls that the target saw, none twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from bench.databases import Database

# Every account that was taken, for S11.
TAKEN: list[Account] = []


@dataclass(frozen=True, slots=True)
class Account:
    """What was due, what is recorded, what the target saw."""

    due: int
    rows: int
    attempts: int
    calls: int
    twice: int

    @property
    def exact(self) -> bool:
        """Whether it settles."""
        return self.due == self.rows == self.attempts == self.calls and self.twice == 0


def take_account(
    database: Database, nominal: float, *, due: int, calls: Sequence[tuple[str, float]], until: float | None = None
) -> Account:
    """Compare the database with the target's log for everything that was due at `nominal`, or from then until `until`.

    Raises:
        AssertionError: it is not exact.
    """
    window = (database.moment(nominal), database.moment(until or nominal))
    runs = database.rows("SELECT id FROM runs_run WHERE scheduled_at BETWEEN {} AND {} AND status = 'success'", *window)
    attempts = database.rows(
        "SELECT a.run_id FROM runs_attempt a JOIN runs_run r ON r.id = a.run_id WHERE r.scheduled_at BETWEEN {} AND {}"
        " AND a.completed_at IS NOT NULL AND a.status_code = 200 AND NOT a.fenced",
        *window,
    )
    return settle(due=due, runs=[row[0] for row in runs], attempts=[row[0] for row in attempts], calls=calls)


def settle(
    *, due: int, runs: Sequence[object], attempts: Sequence[object], calls: Sequence[tuple[str, float]]
) -> Account:
    """The account of these ids; calls whose key belongs to no run count as calls that nobody recorded.

    Raises:
        AssertionError: it is not exact.
    """
    known = {_plain(run) for run in runs}
    seen = Counter(_plain(key) for key, _ in calls)
    account = Account(
        due=due,
        rows=len(known),
        attempts=len({_plain(attempt) for attempt in attempts} & known),
        calls=len(calls),
        twice=sum(count - 1 for count in seen.values()) + len(seen.keys() - known),
    )
    TAKEN.append(account)
    if not account.exact:
        raise AssertionError(f"the account doesn't settle: {asdict(account)}")
    return account


def _plain(value: object) -> str:
    return str(value).replace("-", "")
