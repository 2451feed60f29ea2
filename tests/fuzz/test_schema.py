"""Defence D9: requests made up from our own OpenAPI schema get no 500, and only the answers that it promises.

The gate makes a few, always the same. `make fuzz` makes many, other ones each time, on both databases
(`FUZZ_EXAMPLES=1000 make fuzz` for more).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connection, transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from pytest_django import Settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import CheckFunction, not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from scheduler_project.wsgi import application
from tests.factories import make_attempt, make_ended_run, make_run
from tests.signed_in import new_key

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
CHECKS: list[CheckFunction] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
BOUNDED = settings(
    max_examples=EXAMPLES or 10,
    derandomize=not EXAMPLES,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
    stateful_step_count=8,
)

# Calls out where it finds its target.
SCHEMA = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", application).exclude(path_regex="/test$")
OPERATIONS = {found.ok().label: found.ok() for found in SCHEMA.get_all_operations() if isinstance(found, Ok)}

pytestmark = [pytest.mark.django_db, pytest.mark.no_cover]


@pytest.fixture
def authorization(settings: Settings) -> Iterator[dict[str, str]]:
    """A key that may do everything, on a database with something in it."""
    settings.API_THROTTLE = None
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            # The test's transaction waits while hypothesis makes requests up, on a loaded machine for long.
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
    make_run()
    make_attempt(make_ended_run(status="failed"))
    # The end of a request would close the connection that holds the test's transaction; Django's client knows.
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield {"Authorization": f"Bearer {new_key('admin')}"}
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["allowed", "not allowed"])
@pytest.mark.parametrize("label", OPERATIONS)
def test_d9_whatever_is_asked_is_answered_as_the_schema_says(
    label: str, mode: GenerationMode, authorization: dict[str, str]
) -> None:
    @BOUNDED
    @given(case=OPERATIONS[label].as_strategy(generation_mode=mode))
    def is_answered(case: Case[Any]) -> None:
        case.call_and_validate(headers=authorization, checks=CHECKS)

    try:
        is_answered()
    except Unsatisfiable:
        # Some operations take nothing that could be wrong.
        assert mode is GenerationMode.NEGATIVE


def test_d9_sequences_of_requests_are_answered_as_the_schema_says(authorization: dict[str, str]) -> None:
    class Sequences(SCHEMA.as_state_machine()):  # type: ignore[misc] # a class made at run time
        """Creates, reads, changes and deletes what earlier steps made."""

        def setup(self) -> None:
            self.before = transaction.savepoint()

        def teardown(self) -> None:
            # What one sequence leaves behind changes the answers to the same steps later on: Hypothesis then finds that
            # it can't repeat a sequence, and stops (FlakyStrategyDefinition).
            transaction.savepoint_rollback(self.before)

        def get_call_kwargs(self, case: Case[Any]) -> dict[str, object]:
            return {"headers": authorization}

        def validate_response(self, response: object, case: Case[Any], **_: object) -> None:
            case.validate_response(response, checks=CHECKS)

    Sequences.run(settings=BOUNDED)
