"""Archives of ended Runs: gzip files with one JSON object per line, a Run with its attempts, readable back.

Each batch is a gzip member of its own, written through to the disk before `append` returns; a file of several members
is one gzip file (RFC 1952, section 2.2). Until it is complete its name ends in `.part`. Secrets are in it as in the
database: masked. Bodies are in it as they are then, so those that retention has cleared are not.
"""

from __future__ import annotations

import gzip
import json
import os
import secrets
import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db.models import Model

from runs.models import FINAL_STATUSES, Attempt, Run

FORMAT = 1
PARTIAL = ".part"
# Response bodies may be confidential.
OWNER_ONLY = 0o600

Row = Mapping[str, Any]


class ArchiveProblem(Exception):
    """An archive can't be written or read; the message is one sentence that names the file."""


class Archive:
    """A new archive file in `directory`, made at the first `append`; never an existing one.

    Use it as a context manager: leaving it completes the file, also after an error, since every batch in it is whole.
    """

    def __init__(self, directory: Path, *, now: datetime) -> None:
        self._directory = directory
        self._name = f"runs-{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}.jsonl.gz"
        self._file: int | None = None
        self._size = 0
        self.runs = 0
        self.attempts = 0

    @property
    def path(self) -> Path | None:
        """Where the file is, or will be once it is complete; None where nothing was archived."""
        return self._directory / self._name if self.runs else None

    @property
    def _partial(self) -> Path:
        return self._directory / (self._name + PARTIAL)

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def append(self, rows: Sequence[Row]) -> None:
        """Write the rows through to the disk.

        Raises:
            ArchiveProblem: they could not be written; the file ends where it did before.
        """
        if not rows:
            return
        member = gzip.compress("".join(f"{json.dumps(row, default=_plain)}\n" for row in rows).encode(), mtime=0)
        try:
            self._write(member)
        except OSError as error:
            raise ArchiveProblem(f"The archive {self._partial} can't be written: {error.strerror}.") from error
        self.runs += len(rows)
        self.attempts += sum(len(row["attempts"]) for row in rows)

    def close(self) -> None:
        """Give the file its name. Never over another file.

        Raises:
            ArchiveProblem: it keeps the name that ends in `.part`; what it holds is complete.
        """
        if self._file is None:
            return
        os.close(self._file)
        self._file = None
        try:
            if self.runs:
                os.link(self._partial, self._directory / self._name)
            self._partial.unlink()
            _sync_directory(self._directory)
        except OSError as error:
            raise ArchiveProblem(f"The archive is complete, but stays {self._partial}: {error.strerror}.") from error

    def _write(self, member: bytes) -> None:
        if self._file is None:
            self._file = os.open(self._partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, OWNER_ONLY)
            _sync_directory(self._directory)
        try:
            left = memoryview(member)
            while left:
                left = left[os.write(self._file, left) :]
            os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, self._size)
            os.lseek(self._file, self._size, os.SEEK_SET)
            raise
        self._size += len(member)


def rows_of(ids: Sequence[UUID]) -> list[Row]:
    """The Runs with all their columns, the names of schedule and target, and their attempts, in the order of ids."""
    attempts: dict[UUID, list[Row]] = {}
    for attempt in Attempt.objects.filter(run_id__in=ids).order_by("run_id", "attempt_number"):
        attempts.setdefault(attempt.run_id, []).append(_columns(attempt))
    runs = Run.with_deleted.filter(id__in=ids).with_owners().order_by("id")
    return [
        {
            "format": FORMAT,
            **_columns(run),
            "schedule_name": run.schedule.name if run.schedule else None,
            "target_name": run.target.name,
            "attempts": attempts.get(run.id, []),
        }
        for run in runs
    ]


def ended_before(moment: datetime, *, batch: int) -> Iterator[list[UUID]]:
    """The ids of Runs that ended before the moment, deleted ones left out, in batches, oldest nominal time first."""
    last = UUID(int=0)
    while True:
        ended = Run.objects.filter(status__in=FINAL_STATUSES, completed_at__lt=moment, id__gt=last)
        ids = list(ended.order_by("id").values_list("id", flat=True)[:batch])
        if not ids:
            return
        yield ids
        last = ids[-1]


def read_archive(path: Path) -> Iterator[dict[str, Any]]:
    """Every Run of an archive, as it was written.

    Raises:
        ArchiveProblem: the file can't be read, or is no archive, or breaks off; what comes before is yielded first.
    """
    number = 0
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):  # noqa: B007 - the message needs the last one
                yield _parsed(line)
    except OSError as error:
        raise ArchiveProblem(f"{path} can't be read: {error.strerror or error}.") from error
    except (EOFError, zlib.error, ValueError) as error:
        reason = "breaks off" if isinstance(error, EOFError) else "is damaged or no archive of runs"
        raise ArchiveProblem(f"{path} {reason} after line {number}.") from error


def _parsed(line: str) -> dict[str, Any]:
    row = json.loads(line)
    if not isinstance(row, dict) or row.get("format") != FORMAT:
        raise ValueError(line)
    return row


def _columns(row: Model) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(type(value).__name__)


def _sync_directory(directory: Path) -> None:
    """Make a new or changed name in the directory as durable as the file."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
