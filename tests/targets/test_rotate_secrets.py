"""`manage.py rotate_secrets`: everything that is encrypted, under the first key (guarantee D7)."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from pytest_django import Settings

from scheduler_project.doctor.configuration import check_keys
from scheduler_project.doctor.findings import Level
from targets import rotation
from targets.models import Secret, Target
from targets.rotation import encrypted_columns, rotate_batches
from tests.factories import NOW, make_target
from tests.targets.auths import BEARER
from tests.worker.workers import failing_database

pytestmark = pytest.mark.django_db
STORED = {
    "headers": {"X-Api-Key": "k"},
    "auth": BEARER,
    "signing_secret": "whsec_a",
    "previous_signing_secret": "whsec_b",
}


def rotate(*args: str, code: int = 0) -> str:
    out = StringIO()
    try:
        call_command("rotate_secrets", *args, stdout=out, stderr=StringIO())
    except SystemExit as stop:
        assert stop.code == code
    else:
        assert code == 0
    return out.getvalue()


def stored() -> dict[str, Any]:
    """Everything encrypted, as it is read."""
    return {
        "targets": list(Target.with_deleted.order_by("name").values(*STORED)),
        "secrets": list(Secret.objects.values("value")),
    }


def tokens() -> list[str]:
    """Everything encrypted, as it lies in the database."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(STORED)} FROM targets_target ORDER BY name")
        rows = cursor.fetchall()
        cursor.execute("SELECT value FROM targets_secret WHERE value IS NOT NULL ORDER BY name")
        return [token for row in (*rows, *cursor.fetchall()) for token in row if token is not None]


def under(key: str) -> int:
    """How many of them the key opens by itself."""
    fernet = Fernet(key)
    return sum(1 for token in tokens() if _opens(fernet, token))


def _opens(fernet: Fernet, token: str) -> bool:
    try:
        fernet.decrypt(token.encode())
    except Exception:
        return False
    return True


@pytest.fixture
def new_key(settings: Settings) -> str:
    """Three targets (one of them deleted) and two secrets under the old key; a new one that has become the first."""
    for name in ("A", "B"):
        make_target(name=name, **STORED)
    make_target(name="C", headers={"X-A": "1"}, deleted_at=NOW)
    Secret.objects.create(name="S", value="s3cret", created_at=NOW, updated_at=NOW)
    Secret.objects.create(name="R", reference="env:API_SCHEDULER_SECRET_R", created_at=NOW, updated_at=NOW)
    key = Fernet.generate_key().decode()
    settings.FIELD_ENCRYPTION_KEYS = [key, *settings.FIELD_ENCRYPTION_KEYS]
    return key


def test_it_knows_every_encrypted_column() -> None:
    assert encrypted_columns() == {Target: [*STORED], Secret: ["value"]}


def test_afterwards_the_new_key_alone_opens_everything(new_key: str, settings: Settings) -> None:
    before, rows = stored(), list(Target.with_deleted.values("id", "updated_at"))
    assert under(new_key) == 0
    out = rotate()
    assert out.startswith("10 values re-encrypted with the first key, 0 were already.")
    assert "can be taken out of FIELD_ENCRYPTION_KEYS" in out
    assert under(new_key) == len(tokens()) == 10
    settings.FIELD_ENCRYPTION_KEYS = [new_key]
    assert stored() == before
    assert list(Target.with_deleted.values("id", "updated_at")) == rows


def test_a_second_time_there_is_nothing_to_do(new_key: str) -> None:
    rotate()
    before = tokens()
    assert rotate().startswith("0 values re-encrypted with the first key, 10 were already.")
    assert tokens() == before


def test_a_dry_run_counts_and_writes_nothing(new_key: str) -> None:
    before = tokens()
    assert rotate("--dry-run").startswith("10 values would be re-encrypted with the first key, 0 were already.")
    assert tokens() == before


def test_it_prints_json_on_request(new_key: str) -> None:
    assert json.loads(rotate("--json")) == {
        "dry_run": False,
        "interrupted": False,
        "rotated": 10,
        "current": 0,
        "changed": 0,
        "unreadable": [],
    }


def test_what_no_key_opens_is_named_and_left_alone(new_key: str, settings: Settings) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [new_key]
    make_target(name="D", headers={})
    before = tokens()
    out = rotate(code=1)
    assert "10 can't be decrypted with any key: " in out
    unreadable = json.loads(rotate("--json", code=1))["unreadable"]
    assert {"auth of target A", "value of secret S"} <= set(unreadable)
    assert len(unreadable) == 10
    assert "FIELD_ENCRYPTION_KEYS" in out
    assert tokens() == before


def test_plain_text_where_a_token_belongs_is_named_and_left_alone(new_key: str) -> None:
    plain = json.dumps(STORED["headers"])
    with connection.cursor() as cursor:
        cursor.execute("UPDATE targets_target SET headers = %s WHERE name = 'A'", [plain])
    out = rotate(code=1)
    assert "1 can't be decrypted with any key: headers of target A." in out
    assert plain in tokens()
    finding = check_keys(lambda _: None)
    assert (finding.level, "not headers of target A." in finding.sentence) == (Level.FAILURE, True)


def test_an_interruption_keeps_what_is_done_and_the_next_time_goes_on(
    new_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "BATCH_ROWS", 1)
    batches = rotate_batches()
    first = next(batches)
    next(batches)
    del batches
    assert first.rotated in (1, 4)
    done = under(new_key)
    assert 0 < done < 10
    assert rotate().startswith(f"{10 - done} values re-encrypted with the first key, {done} were already.")


def test_ctrl_c_says_how_to_go_on(new_key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(rotation, "_rotate", interrupted)
    assert "run it again, it goes on where it stopped" in rotate(code=130)


def test_what_somebody_writes_meanwhile_is_theirs(new_key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = rotation._swap

    def edited_first(model: Any, key: Any, name: str, old: str, fresh: str) -> bool:
        if model is Secret:
            Secret.objects.filter(pk=key).update(value="edited")
        return real(model, key, name, old, fresh)

    monkeypatch.setattr(rotation, "_swap", edited_first)
    out = rotate()
    assert "9 values re-encrypted" in out
    assert "1 was changed by somebody meanwhile: run it again." in out
    assert Secret.objects.get(name="S").value == "edited"


def test_a_database_that_is_away_is_one_line() -> None:
    with failing_database(OperationalError("gone\nsecond line")), pytest.raises(CommandError) as problem:
        rotate()
    assert str(problem.value) == "The database can't be used (gone). What is done is done: run it again."
