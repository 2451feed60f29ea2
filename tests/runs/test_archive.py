"""Archives: written whole or not at all, never over another, and read back as they were."""

from __future__ import annotations

import gzip
import json
import os
import stat
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from runs.archive import Archive, ArchiveProblem, ended_before, read_archive, rows_of
from runs.models import Attempt, Run
from tests.factories import NOW, make_attempt, make_ended_run, make_run, make_schedule, make_target


def row(number: int) -> dict[str, Any]:
    return {"format": 1, "number": number, "attempts": [{}, {}]}


def write(folder: Path, *batches: list[dict[str, Any]]) -> Path:
    with Archive(folder, now=NOW) as archive:
        for batch in batches:
            archive.append(batch)
    assert archive.path is not None
    return archive.path


def test_batches_are_read_back_in_their_order(tmp_path: Path) -> None:
    path = write(tmp_path, [row(1), row(2)], [row(3)])
    assert list(read_archive(path)) == [row(1), row(2), row(3)]


def test_a_disk_that_takes_a_few_bytes_at_a_time_gets_all_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_all = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write_all(descriptor, data[:7]))
    assert list(read_archive(write(tmp_path, [row(1)], [row(2)]))) == [row(1), row(2)]


def test_any_gzip_reads_it(tmp_path: Path) -> None:
    path = write(tmp_path, [row(1)], [row(2)])
    assert path.name.startswith("runs-20260310T120000Z-")
    assert [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()] == [row(1), row(2)]


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    assert stat.S_IMODE(write(tmp_path, [row(1)]).stat().st_mode) == 0o600


def test_it_has_another_name_until_it_is_complete(tmp_path: Path) -> None:
    with Archive(tmp_path, now=NOW) as archive:
        archive.append([row(1)])
        assert [path.suffix for path in tmp_path.iterdir()] == [".part"]
    assert [path.suffix for path in tmp_path.iterdir()] == [".gz"]


def test_every_batch_is_on_the_disk_when_append_returns(tmp_path: Path) -> None:
    """What a kill -9 would leave: the file under its first name, with every batch so far."""
    with Archive(tmp_path, now=NOW) as archive:
        archive.append([row(1)])
        (part,) = tmp_path.iterdir()
        assert list(read_archive(part)) == [row(1)]
        archive.append([row(2)])
        assert list(read_archive(part)) == [row(1), row(2)]


def test_batches_and_the_files_names_are_flushed_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a power cut would leave; the archived runs are deleted as soon as `append` returns."""
    flushed: list[tuple[str, int]] = []

    def note(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        size = os.fstat(descriptor).st_size if path.is_file() else len(list(path.iterdir()))
        flushed.append((path.suffix, size))

    monkeypatch.setattr(os, "fsync", note)
    with Archive(tmp_path, now=NOW) as archive:
        archive.append([row(1)])
        (part,) = tmp_path.iterdir()
        assert flushed == [("", 1), (".part", part.stat().st_size)]
        archive.append([row(2)])
        assert flushed[2:] == [(".part", part.stat().st_size)]
    assert flushed[3:] == [("", 1)]


def test_no_file_is_made_for_nothing(tmp_path: Path) -> None:
    with Archive(tmp_path, now=NOW) as archive:
        archive.append([])
    assert (archive.path, list(tmp_path.iterdir())) == (None, [])


def test_it_never_takes_the_place_of_another_file(tmp_path: Path) -> None:
    archive = Archive(tmp_path, now=NOW)
    archive.append([row(1)])
    assert archive.path is not None
    archive.path.write_text("somebody else's")

    with pytest.raises(ArchiveProblem, match=r"complete, but stays .*\.part: File exists"):
        archive.close()

    assert archive.path.read_text() == "somebody else's"
    (part,) = tmp_path.glob("*.part")
    assert list(read_archive(part)) == [row(1)]


def test_an_error_in_between_leaves_the_batches_before_it(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), Archive(tmp_path, now=NOW) as archive:
        archive.append([row(1)])
        raise ZeroDivisionError
    assert archive.path is not None
    assert list(read_archive(archive.path)) == [row(1)]


def test_a_full_disk_is_one_sentence() -> None:
    with pytest.raises(ArchiveProblem, match=r"The archive /dev/full/.* can't be written: Not a directory\."):
        Archive(Path("/dev/full"), now=NOW).append([row(1)])


def test_two_at_once_have_their_own_files(tmp_path: Path) -> None:
    assert write(tmp_path, [row(1)]) != write(tmp_path, [row(2)])


@pytest.mark.parametrize(
    ("content", "said", "rows"),
    [
        (b"no gzip", "can't be read: Not a gzipped file", 0),
        (gzip.compress(b"no json\n"), "is damaged or no archive of runs after line 1", 0),
        (gzip.compress(b'{"format": 99}\n'), "is damaged or no archive of runs after line 1", 0),
        (gzip.compress(b"[]\n"), "is damaged or no archive of runs after line 1", 0),
        (
            gzip.compress(json.dumps(row(1)).encode() + b"\n") + gzip.compress(b"x" * 99)[:-9],
            "breaks off after line 1",
            1,
        ),
    ],
)
def test_a_file_that_is_no_whole_archive_is_said_to_be_none(
    tmp_path: Path, content: bytes, said: str, rows: int
) -> None:
    path = tmp_path / "some.jsonl.gz"
    path.write_bytes(content)
    reading = read_archive(path)
    assert [next(reading) for _ in range(rows)] == [row(1)] * rows
    with pytest.raises(ArchiveProblem, match=said):
        next(reading)


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(ArchiveProblem, match="can't be read: No such file"):
        list(read_archive(tmp_path / "none"))


@pytest.mark.django_db
def test_a_row_has_every_column_of_the_run_and_of_its_attempts(tmp_path: Path) -> None:
    schedule = make_schedule(make_target(name="Orders"), name="Nightly")
    run = make_ended_run(schedule, scheduled_at=NOW + timedelta(microseconds=123_456))
    attempts = [
        make_attempt(run, attempt_number=2),
        make_attempt(run, response_body="é\n\u2028", request_headers={"Authorization": "********"}, remote_ip="::1"),
    ]

    (found,) = read_archive(write(tmp_path, [dict(one) for one in rows_of([run.id])]))

    assert found.keys() >= {field.attname for field in Run._meta.concrete_fields}
    assert (found["schedule_name"], found["target_name"]) == ("Nightly", "Orders")
    assert (found["id"], found["scheduled_at"]) == (str(run.id), "2026-03-10T12:00:00.123456+00:00")
    assert [one["id"] for one in found["attempts"]] == [str(attempts[1].id), str(attempts[0].id)]
    assert found["attempts"][0].keys() == {field.attname for field in Attempt._meta.concrete_fields}
    assert found["attempts"][0]["response_body"] == "é\n\u2028"
    assert found["attempts"][0]["request_headers"] == {"Authorization": "********"}


@pytest.mark.django_db
def test_only_ended_runs_that_nobody_deleted_are_archived_on_request() -> None:
    schedule = make_schedule()
    old, new = (make_ended_run(schedule, completed_at=NOW - timedelta(hours=hours)) for hours in (2, 1))
    make_run(schedule)
    make_ended_run(make_schedule(deleted_at=NOW), completed_at=NOW - timedelta(hours=3))

    assert list(ended_before(NOW, batch=1)) == [[run_id] for run_id in sorted((old.id, new.id))]
    assert list(ended_before(NOW - timedelta(hours=1), batch=9)) == [[old.id]]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_batch_that_did_not_fit_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    archive = Archive(tmp_path, now=NOW)
    archive.append([row(1)])
    assert archive._file is not None
    kept = os.dup(archive._file)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, archive._file)
    with pytest.raises(ArchiveProblem):
        archive.append([row(2)])
    os.dup2(kept, archive._file)
    os.close(kept)
    os.close(full)
    archive.append([row(3)])
    archive.close()
    assert archive.path is not None
    assert list(read_archive(archive.path)) == [row(1), row(3)]
