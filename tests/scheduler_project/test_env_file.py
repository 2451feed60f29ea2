"""The .env file: keys are generated once, kept, and readable by their owner only."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scheduler_project.env_file import BASE_DIR, GENERATED_KEYS, ensure_env_file, env_path, load_env_file


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process environment without our settings; what a test adds goes with it."""
    for name in (*GENERATED_KEYS, "PUBLIC_URL", "EGRESS_ALLOW_CIDRS"):
        # Set first: monkeypatch then removes what load_env_file adds.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file is, or would be."""
    return tmp_path / ".env"


def values(path: Path) -> dict[str, str]:
    """The file's non-empty settings; the first of a name counts."""
    pairs = [line.split("=", 1) for line in path.read_text().splitlines() if "=" in line and not line.startswith("#")]
    return {name.strip(): value.strip() for name, value in reversed(pairs) if value.strip()}


def test_it_generates_both_keys_into_a_file_for_the_owner_only(path: Path) -> None:
    ensure_env_file(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert {name: os.environ[name] for name in GENERATED_KEYS} == values(path)


def test_it_keeps_the_keys_that_are_there(path: Path) -> None:
    ensure_env_file(path)
    before = path.read_text()
    for name in GENERATED_KEYS:
        del os.environ[name]
    ensure_env_file(path)
    assert path.read_text() == before


def test_it_adds_only_the_key_that_is_missing(path: Path) -> None:
    path.write_text("SECRET_KEY=mine\n")
    ensure_env_file(path)
    assert values(path)["SECRET_KEY"] == "mine"
    assert values(path).keys() == set(GENERATED_KEYS)


def test_it_writes_nothing_when_the_environment_has_the_keys(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in GENERATED_KEYS:
        monkeypatch.setenv(name, "from outside")
    ensure_env_file(path)
    assert not path.exists()


def test_it_leaves_a_last_line_without_end_whole(path: Path) -> None:
    path.write_text("PUBLIC_URL=http://127.0.0.1:9000")
    ensure_env_file(path)
    assert values(path)["PUBLIC_URL"] == "http://127.0.0.1:9000"
    assert "SECRET_KEY" in values(path)


@pytest.mark.parametrize("line", ["SECRET_KEY=", "SECRET_KEY =  ", "export SECRET_KEY="])
def test_an_empty_key_counts_as_missing(path: Path, line: str) -> None:
    path.write_text(f"{line}\n")
    ensure_env_file(path)
    assert os.environ["SECRET_KEY"] == values(path)["SECRET_KEY"]


def test_an_empty_key_in_the_environment_counts_as_missing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "")
    path.write_text("SECRET_KEY=mine\n")
    ensure_env_file(path)
    assert os.environ["SECRET_KEY"] == "mine"


def test_the_environment_wins_over_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUBLIC_URL", "http://outside")
    path.write_text("PUBLIC_URL=http://inside\nEGRESS_ALLOW_CIDRS=10.0.0.0/8\n")
    load_env_file(path)
    assert os.environ["PUBLIC_URL"] == "http://outside"
    assert os.environ["EGRESS_ALLOW_CIDRS"] == "10.0.0.0/8"


def test_a_setting_that_the_file_empties_is_set_to_nothing(path: Path) -> None:
    path.write_text("EGRESS_ALLOW_CIDRS=\n")
    load_env_file(path)
    assert os.environ["EGRESS_ALLOW_CIDRS"] == ""


def test_a_file_that_is_not_text_stops_with_one_line(path: Path) -> None:
    path.write_bytes(b"SECRET_KEY=\xff\xfe\n")
    with pytest.raises(SystemExit, match=r"can't be read \(it is not UTF-8 text\)"):
        load_env_file(path)


def test_a_folder_that_does_not_exist_stops_with_the_names_to_set(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"^SECRET_KEY and FIELD_ENCRYPTION_KEYS not set and .* can't be written"):
        ensure_env_file(tmp_path / "nowhere" / ".env")


def test_a_device_is_never_written_to() -> None:
    mode = Path(os.devnull).stat().st_mode
    with pytest.raises(SystemExit, match="not a regular file"):
        ensure_env_file(Path(os.devnull))
    assert Path(os.devnull).stat().st_mode == mode


def test_the_environment_moves_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_SCHEDULER_ENV_FILE", "/somewhere/else.env")
    assert env_path() == Path("/somewhere/else.env")
    monkeypatch.delenv("API_SCHEDULER_ENV_FILE")
    assert env_path() == BASE_DIR / ".env"


def test_commands_that_start_at_once_agree_on_the_keys(path: Path) -> None:
    code = "import os; from scheduler_project.env_file import *; ensure_env_file(); print(os.environ['SECRET_KEY'])"
    environment = {**os.environ, "API_SCHEDULER_ENV_FILE": str(path)}
    started = [
        subprocess.Popen([sys.executable, "-c", code], cwd=BASE_DIR, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert len({process.communicate()[0] for process in started}) == 1


def test_keys_that_another_command_wrote_meanwhile_are_taken(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = "SECRET_KEY=theirs\nFIELD_ENCRYPTION_KEYS=theirs\n"
    monkeypatch.setattr(fcntl, "flock", lambda *_: path.write_text(theirs))
    ensure_env_file(path)
    assert [os.environ[name] for name in GENERATED_KEYS] == ["theirs", "theirs"]
    assert path.read_text() == theirs


def test_the_file_is_locked_while_keys_are_added(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def token(_: int) -> str:
        with path.open() as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return "made under the lock"

    monkeypatch.setattr("secrets.token_urlsafe", token)
    ensure_env_file(path)
    assert values(path)["SECRET_KEY"] == "made under the lock"
