"""`manage.py export_audit` (D11)."""

from __future__ import annotations

import csv
import errno
import json
import os
import sys
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from access.audit import Actor, Thing, record
from access.management.commands import export_audit
from access.serializers import AuditEventSerializer
from tests.api_client import ApiClient
from tests.factories import NOW
from tests.worker.workers import failing_database

pytestmark = pytest.mark.django_db
ADA = Actor("user", "7", "ada", address="192.0.2.7")
Read = Callable[[str], list[dict[str, Any]]]
WAYS: dict[str, tuple[tuple[str, ...], Read]] = {
    "lines": ((), lambda text: [json.loads(line) for line in text.splitlines()]),
    "lines by name": (("--format", "jsonl"), lambda text: [json.loads(line) for line in text.splitlines()]),
    "array": (("--json",), json.loads),
    "csv": (("--format", "csv"), lambda text: list(csv.DictReader(StringIO(text)))),
}
HEADER = ",".join(f'"{name}"' for name in AuditEventSerializer.Meta.fields) + "\n"


def export(*args: str, stdout: Any = None) -> str:
    out = stdout or StringIO()
    call_command("export_audit", *args, stdout=out)
    return str(out.getvalue())


def events(count: int, **values: Any) -> None:
    for second in range(count):
        given = {"now": NOW + timedelta(seconds=second), "actor": ADA, "detail": f"no. {second}", **values}
        record("target.update", Thing("target", "1", "Orders"), **given)


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_audit, "BATCH", 2)


@pytest.mark.parametrize("way", WAYS)
def test_each_format_has_every_event_oldest_first_and_every_field(way: str, small_batches: None) -> None:
    args, read = WAYS[way]
    events(5, changes={"name": ["a", "b"]}, refused=True)
    rows = read(export(*args))
    assert [row["detail"] for row in rows] == [f"no. {number}" for number in range(5)]
    assert list(rows[0]) == list(AuditEventSerializer.Meta.fields)
    assert {(row["actor"], row["action"], row["object_name"]) for row in rows} == {("ada", "target.update", "Orders")}


def test_lines_say_what_the_api_says() -> None:
    events(1, changes={"name": ["a", "b"]})
    (row,) = ApiClient("admin").get("/audit").json()["results"]
    assert json.loads(export()) == row


@pytest.mark.parametrize(("way", "empty"), [("lines", ""), ("array", "[]\n"), ("csv", HEADER)])
def test_an_empty_trail_is_an_empty_file_of_its_format(way: str, empty: str) -> None:
    assert export(*WAYS[way][0]) == empty


@pytest.mark.parametrize(
    ("args", "kept"),
    [
        (("--from", "2026-03-10T12:00:01Z"), [1, 2, 3]),
        (("--to", "2026-03-10T12:00:01Z"), [0]),
        (("--from", "2026-03-10T17:30:01+05:30", "--to", "2026-03-10T12:00:03Z"), [1, 2]),
        (("--from", "2026-03-11T00:00:00Z"), []),
    ],
)
def test_a_span_has_its_start_and_not_its_end(args: tuple[str, ...], kept: list[int]) -> None:
    events(4)
    assert [json.loads(line)["detail"] for line in export(*args).splitlines()] == [f"no. {number}" for number in kept]


@pytest.mark.parametrize("option", ["--from", "--to"])
@pytest.mark.parametrize("text", ["yesterday", "2026-03-10", "2026-03-10T12:00:00", "2026-13-10T12:00:00Z"])
def test_a_time_that_is_none_is_one_clear_error(option: str, text: str) -> None:
    with pytest.raises(CommandError, match=f"{option} '{text}': ") as caught:
        export(option, text)
    assert caught.value.returncode == 2


def test_two_formats_at_once_are_refused() -> None:
    with pytest.raises(CommandError, match="choose one") as caught:
        export("--json", "--format", "csv")
    assert caught.value.returncode == 2


@pytest.mark.parametrize("way", WAYS)
def test_secrets_are_masked_in_it(way: str) -> None:
    client = ApiClient("admin")
    fields = {"name": "x", "url": "https://example.com/", "headers": {"X-Api-Key": "canary-1"}}
    target = client.post("/targets", fields).json()["id"]
    client.patch(f"/targets/{target}", {"auth": {"type": "bearer", "token": "canary-2"}})
    client.post("/secrets", {"name": "S", "value": "canary-3"})
    text = export(*WAYS[way][0])
    assert "canary" not in text
    assert text.count("********") == 3


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_of_a_spreadsheet_becomes_a_formula(text: str) -> None:
    events(1, detail=text)
    (row,) = WAYS["csv"][1](export("--format", "csv"))
    assert row["detail"] == f"'{text}"


def test_lines_and_quotes_in_a_value_break_no_row() -> None:
    hostile = 'a\nb,"c"\rd\\e'
    events(2, detail=hostile)
    for args, read in WAYS.values():
        assert [row["detail"] for row in read(export(*args))] == [hostile] * 2


def test_it_reads_batch_by_batch_and_never_looks_back(small_batches: None) -> None:
    events(5)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        export()
    assert len(queries) == 4
    assert all("LIMIT 2" in query["sql"] for query in queries)
    assert not any("OFFSET" in query["sql"] for query in queries)


class _FullDisk(StringIO):
    def __init__(self, problem: int, *, lines: int) -> None:
        super().__init__()
        self._problem, self._left = problem, lines

    def write(self, text: str) -> int:
        self._left -= 1
        if self._left < 0:
            raise OSError(self._problem, os.strerror(self._problem))
        return super().write(text)


@pytest.mark.parametrize("way", WAYS)
def test_an_output_that_cannot_be_written_is_one_clear_error(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    events(3)
    with pytest.raises(CommandError, match=r"can't be written \(No space left on device\): it is not complete"):
        export(*WAYS[way][0], stdout=_FullDisk(errno.ENOSPC, lines=2))


def test_a_full_disk_is_noticed_before_the_command_says_that_all_went_well(monkeypatch: pytest.MonkeyPatch) -> None:
    class Late(StringIO):
        def flush(self) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(sys, "stdout", sys.stdout)
    with pytest.raises(CommandError, match="can't be written"):
        export(stdout=Late())


def test_a_reader_that_has_seen_enough_ends_it_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    events(3)
    first = _FullDisk(errno.EPIPE, lines=1)
    assert len(export(stdout=first).splitlines()) == 1
    assert sys.stdout is None


def test_a_database_that_is_away_is_one_clear_error() -> None:
    gone = OperationalError("connection refused\nIs the server running?")
    with failing_database(gone), pytest.raises(CommandError) as caught:
        export()
    assert str(caught.value) == "The database can't be used (connection refused). `manage.py doctor` says more."
