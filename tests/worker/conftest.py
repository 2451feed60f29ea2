"""A target to call and the executor that calls it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.http_target import RecordingTarget
from tests.worker.calls import LOOPBACK
from worker.executor import Executor


@pytest.fixture
def target() -> Iterator[RecordingTarget]:
    """A recording server on loopback."""
    with RecordingTarget() as server:
        yield server


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    """An executor that may call loopback; one per module, as making its TLS contexts takes time."""
    door = Executor(LOOPBACK, 8)
    yield door
    door.close()
