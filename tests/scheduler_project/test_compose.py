"""What the image and the compose file promise, as far as it can be judged without a container engine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import call_command, get_commands
from pytest_django import Settings

from scheduler_project.env_file import BASE_DIR

DOCKERFILE = (BASE_DIR / "Dockerfile").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((BASE_DIR / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("migrate", "web", "worker")


def image_command(instruction: str) -> list[str]:
    """The JSON form of CMD, or of the CMD inside HEALTHCHECK."""
    found = re.findall(rf"^\s*{instruction} (\[.*\])$", DOCKERFILE, re.MULTILINE)
    command: list[str] = json.loads(found[-1])
    return command


def seconds(period: str) -> int:
    """A compose duration in whole seconds."""
    return int(period.removesuffix("s"))


def commands_named() -> list[list[str]]:
    """Every command line that starts one of our containers."""
    return [image_command("CMD"), *(SERVICES[name]["command"] for name in OURS if "command" in SERVICES[name])]


def test_every_management_command_named_exists() -> None:
    named = {line[2] for line in commands_named() if line[1] == "manage.py"}
    named |= set(re.findall(r"manage\.py (\w+)", DOCKERFILE))
    named |= set(re.findall(r"manage\.py (\w+)", (BASE_DIR / "docker-compose.yml").read_text(encoding="utf-8")))
    assert {"migrate", "runscheduler", "collectstatic", "create_api_key"} <= named
    assert named <= set(get_commands())


def test_gunicorn_accepts_the_images_command_line(tmp_path: Path) -> None:
    command = image_command("CMD")
    assert command[:3] == ["python", "-m", "gunicorn"]
    done = subprocess.run(
        [sys.executable, *command[1:], "--check-config"],
        cwd=BASE_DIR,
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_image_serves_static_files_under_hashed_names(settings: Settings, tmp_path: Path) -> None:
    settings.STATIC_ROOT = tmp_path
    storage = {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": storage}
    call_command("collectstatic", interactive=False, verbosity=0)
    paths = json.loads((tmp_path / "staticfiles.json").read_text())["paths"]
    assert re.fullmatch(r"admin/css/base\.[0-9a-f]+\.css", paths["admin/css/base.css"])


def test_the_image_runs_without_privileges_and_without_an_env_file() -> None:
    user = DOCKERFILE.index("\nUSER scheduler\n")
    assert user < DOCKERFILE.index("\nCMD ")
    assert "API_SCHEDULER_ENV_FILE=/nonexistent" in DOCKERFILE
    assert "STATIC_COLLECTED=true" in DOCKERFILE


def test_the_image_gets_neither_secrets_nor_tests() -> None:
    ignored = (BASE_DIR / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {".env*", ".git", ".venv", "*.db", "tests"} <= set(ignored)


@pytest.mark.parametrize("path", ["requirements.txt", "deploy/check_health.py", "manage.py"])
def test_every_file_that_the_image_names_is_there(path: str) -> None:
    assert path in DOCKERFILE
    assert (BASE_DIR / path).is_file()


@pytest.mark.parametrize("name", OURS)
def test_every_container_of_ours_insists_on_the_keys(name: str) -> None:
    environment = SERVICES[name]["environment"]
    for key in ("SECRET_KEY", "FIELD_ENCRYPTION_KEYS"):
        assert environment[key].startswith(f"${{{key}:?")


def test_nobody_reaches_the_database_from_outside() -> None:
    assert "ports" not in SERVICES["db"]
    assert SERVICES["db"]["environment"]["POSTGRES_PASSWORD"].startswith("${POSTGRES_PASSWORD:?")


def test_the_order_of_starting_is_database_then_migrations_then_the_rest() -> None:
    assert SERVICES["migrate"]["depends_on"] == {"db": {"condition": "service_healthy"}}
    for name in ("web", "worker"):
        assert SERVICES[name]["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}
    assert "healthcheck" in SERVICES["db"]
    assert SERVICES["migrate"]["restart"] == "no"


def test_workers_may_be_many() -> None:
    assert "container_name" not in SERVICES["worker"]
    assert "ports" not in SERVICES["worker"]


def test_the_stop_grace_is_longer_than_the_drain(settings: Settings) -> None:
    assert seconds(SERVICES["worker"]["stop_grace_period"]) > settings.WORKER_DRAIN_SECONDS + 5


def test_the_webs_stop_grace_is_longer_than_gunicorns() -> None:
    configuration = (BASE_DIR / "gunicorn.conf.py").read_text(encoding="utf-8")
    graceful = re.search(r"^graceful_timeout = (\d+)$", configuration, re.MULTILINE)
    assert graceful is not None
    assert seconds(SERVICES["web"]["stop_grace_period"]) > int(graceful[1])


def test_the_required_keys_of_the_image_are_enough_to_start() -> None:
    keys = ("SECRET_KEY", "FIELD_ENCRYPTION_KEYS", "DATABASE_URL")
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=BASE_DIR,
        env={"API_SCHEDULER_ENV_FILE": "/nonexistent/.env", **{key: os.environ[key] for key in keys}},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
