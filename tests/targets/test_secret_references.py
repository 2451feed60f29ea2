"""Secrets that are read where they are sent: only from what the operator has opened."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pytest_django import Settings

from targets.placeholders import TemplateProblem
from targets.secret_places import SecretSource
from targets.secret_references import MAX_VALUE_CHARS, read_secret, reference_problem

CANARY = "canary-4f1c9e77"


def source(reference: str | None, value: str | None = None) -> SecretSource:
    return SecretSource("API", value, reference)


@pytest.fixture
def folder(tmp_path: Path, settings: Settings) -> Path:
    """A folder that secrets may be read from, beside one that they may not."""
    (tmp_path / "outside").write_text(CANARY)
    folder = tmp_path / "secrets"
    folder.mkdir()
    settings.SECRETS_DIR = folder
    return folder


def test_a_stored_value_is_itself() -> None:
    assert read_secret(source(None, "v")) == "v"


def test_a_stored_value_that_no_key_opens_says_so() -> None:
    with pytest.raises(TemplateProblem, match="FIELD_ENCRYPTION_KEYS"):
        read_secret(source(None))


def test_a_variable_is_read_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("one", "two"):
        monkeypatch.setenv("API_SCHEDULER_SECRET_A", value)
        assert read_secret(source("env:API_SCHEDULER_SECRET_A")) == value


def test_a_variable_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("API_SCHEDULER_SECRET_A", raising=False)
    with pytest.raises(TemplateProblem, match="env:API_SCHEDULER_SECRET_A is not set"):
        read_secret(source("env:API_SCHEDULER_SECRET_A"))


@pytest.mark.parametrize(
    "name",
    ["SECRET_KEY", "FIELD_ENCRYPTION_KEYS", "DATABASE_URL", "PATH", "api_scheduler_secret_a", "API_SCHEDULER_SECRET_"],
)
def test_no_other_variable_is_read(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, CANARY)
    with pytest.raises(TemplateProblem, match="SECRETS_ENV_PREFIX") as problem:
        read_secret(source(f"env:{name}"))
    assert CANARY not in str(problem.value)


def test_the_operator_chooses_the_prefix(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.SECRETS_ENV_PREFIX = "MY_"
    monkeypatch.setenv("MY_KEY", "v")
    assert read_secret(source("env:MY_KEY")) == "v"
    assert reference_problem("env:API_SCHEDULER_SECRET_A") is not None


@pytest.mark.parametrize(("text", "value"), [("v", "v"), ("v\n", "v"), ("v\r\n", "v"), ("v\n\n", "v\n"), (" v", " v")])
def test_a_file_is_read_without_the_line_end_that_editors_add(folder: Path, text: str, value: str) -> None:
    (folder / "a").write_bytes(text.encode())
    assert read_secret(source("file:a")) == value
    assert read_secret(source(f"file:{folder}/a")) == value


def test_a_file_in_a_folder_within_and_a_link_within_are_read(folder: Path) -> None:
    (folder / "..data").mkdir()
    (folder / "..data" / "key").write_text("v")
    (folder / "key").symlink_to("..data/key")
    assert read_secret(source("file:key")) == "v"


@pytest.mark.parametrize("path", ["../outside", "x/../../outside", "/etc/passwd", "..", ".", "", "link", "out/outside"])
def test_no_file_outside_is_read(folder: Path, path: str) -> None:
    (folder / "link").symlink_to(folder.parent / "outside")
    (folder / "out").symlink_to(folder.parent)
    assert "SECRETS_DIR" in str(reference_problem(f"file:{path}"))
    with pytest.raises(TemplateProblem, match="SECRETS_DIR") as problem:
        read_secret(source(f"file:{path}"))
    assert CANARY not in str(problem.value)


def test_no_file_is_read_where_no_folder_is_opened(settings: Settings) -> None:
    settings.SECRETS_DIR = None
    with pytest.raises(TemplateProblem, match="SECRETS_DIR names no folder"):
        read_secret(source("file:a"))


def test_what_is_no_file_with_text_is_one_sentence(folder: Path) -> None:
    (folder / "folder").mkdir()
    (folder / "binary").write_bytes(b"\xff\xfe")
    (folder / "empty").touch()
    (folder / "long").write_text("x" * (MAX_VALUE_CHARS + 1))
    os.mkfifo(folder / "pipe")
    words = {
        "missing": "no such file",
        "folder": "is a directory",
        "pipe": "it is no file",
        "binary": "not UTF-8",
        "empty": "is not set, or empty",
        "long": "too long",
    }
    for name, word in words.items():
        with pytest.raises(TemplateProblem, match=word):
            read_secret(source(f"file:{name}"))


def test_the_longest_value_is_read(folder: Path) -> None:
    (folder / "long").write_text("ä" * MAX_VALUE_CHARS + "\r\n", newline="")
    assert read_secret(source("file:long")) == "ä" * MAX_VALUE_CHARS


@pytest.mark.parametrize("reference", ["", "x", "vault:a", "ENV:API_SCHEDULER_SECRET_A", "env:API_SCHEDULER_SECRET_A;"])
def test_it_refuses_what_is_no_reference(reference: str) -> None:
    assert reference_problem(reference) is not None


def test_a_link_that_takes_the_files_place_at_the_last_moment_is_not_followed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = folder / "api"
    link.symlink_to(folder.parent / "outside")
    # The path was judged while it was still a file.
    monkeypatch.setattr("targets.secret_references._inside", lambda reference: link)
    with pytest.raises(TemplateProblem, match="can't be read from file:api"):
        read_secret(source("file:api"))
