"""Every error is a problem document."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied
from django.db import DataError, InterfaceError, InternalError, OperationalError, connection
from django.http import Http404, HttpRequest
from django.test import Client, RequestFactory
from pytest_django import Settings
from rest_framework.exceptions import Throttled, ValidationError

from access.models import ApiKey
from runs.errors import WrongState as RunWrongState
from scheduler_project.errors import bad_request, server_error
from scheduler_project.problems import FieldError, Problem, bad_fields, bad_query, pointer_to
from schedules.errors import WrongState as ScheduleWrongState
from targets.errors import InvalidFields
from targets.models import Target
from tests.scheduler_project.probe_api import Failure
from tests.signed_in import client_with, key_client, make_user, pointers_of, post_raw, problem_of

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.scheduler_project.probe_api")]
ID = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception], Any]:
    """Makes a view of the probe API raise, and gives its answer."""

    def post(error: Exception) -> Any:
        def raise_it() -> None:
            raise error

        monkeypatch.setattr(Failure, "raise_it", staticmethod(raise_it))
        return key_client().post("/api/v1/things/fail")

    return post


@pytest.mark.parametrize(
    "path", ["/api", "/api/", "/api/v1", "/api/v1/", "/api/v1/nope", "/api/v2/things", "/api/v1/things/"]
)
@pytest.mark.parametrize("method", ["get", "post", "delete"])
def test_an_unknown_address_is_a_404_without_a_redirect(client: Client, path: str, method: str) -> None:
    problem_of(getattr(client, method)(path), 404)


def test_a_trailing_slash_gets_a_hint(client: Client) -> None:
    assert "trailing slash" in problem_of(client.get("/api/v1/things/"), 404)["detail"]


@pytest.mark.parametrize("name", ["1", "nope", ID[:-1], ID + "0", ID.replace("-", ""), "%00", "{" + ID + "}", "..%2f"])
def test_a_malformed_id_in_the_path_is_a_404(name: str) -> None:
    problem_of(key_client().get(f"/api/v1/things/{name}"), 404)


@pytest.mark.parametrize("name", [ID, ID.upper()])
def test_an_unknown_id_is_a_404_that_names_the_kind(name: str) -> None:
    problem = problem_of(key_client().get(f"/api/v1/things/{name}"), 404)
    assert problem["detail"] == "There is no such target, or it was deleted."


@pytest.mark.parametrize("method", ["put", "options", "trace", "generic"])
def test_a_wrong_method_is_a_405_that_names_the_right_ones(method: str) -> None:
    client = key_client()
    path = f"/api/v1/things/{ID}"
    response = client.generic("FROB", path) if method == "generic" else getattr(client, method)(path)
    problem_of(response, 405)
    assert response["Allow"] == "GET, HEAD, PATCH"


@pytest.mark.parametrize("accept", ["text/html", "application/xml;q=0.9, text/plain", "image/*"])
def test_a_client_that_excludes_json_gets_a_406(accept: str) -> None:
    problem = problem_of(key_client().get("/api/v1/things", HTTP_ACCEPT=accept), 406)
    assert "application/json" in problem["detail"]


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "application/json; indent=4",
        "text/html,application/xhtml+xml,*/*;q=0.8",
        "application/problem+json",
        "application/*",
    ],
)
def test_a_client_that_allows_json_gets_json(accept: str) -> None:
    response = key_client().get("/api/v1/things", HTTP_ACCEPT=accept)
    assert (response.status_code, response["Content-Type"]) == (200, "application/json")


@pytest.mark.parametrize("accept", [";;;", ",", "a/b/c", "application/json;q=x", "é", "x" * 10_000])
def test_no_accept_header_makes_an_error_of_ours(accept: str) -> None:
    assert key_client().get("/api/v1/things", HTTP_ACCEPT=accept).status_code in (200, 406)


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "json", "x" * 300],
)
def test_a_body_that_is_not_declared_as_json_is_a_415(kind: str) -> None:
    problem = problem_of(post_raw(key_client(), "/api/v1/things/check", b'{"text": "x"}', kind), 415)
    assert "application/json" in problem["detail"]


def test_a_post_without_a_body_counts_as_an_empty_object() -> None:
    client = key_client()
    assert post_raw(client, "/api/v1/things/check", b"", "").status_code == 200
    form = "application/x-www-form-urlencoded"
    assert post_raw(client, "/api/v1/things/check", b"", form).status_code == 200


@pytest.mark.parametrize("body", [b"{", b"NaN", b"\xff", b"plain"])
def test_a_body_that_is_not_json_is_a_400(body: bytes) -> None:
    problem_of(post_raw(key_client(), "/api/v1/things/check", body, "application/json"), 400)


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"1", b"null", b"true"])
def test_a_body_that_is_no_object_is_a_422(body: bytes) -> None:
    response = post_raw(key_client(), "/api/v1/things/check", body, "application/json")
    assert pointers_of(response) == [""]


@pytest.mark.parametrize("body", [b'{"text": "' + b"x" * 1024 * 1024 + b'"}', b"[" * 65 + b"]" * 65])
def test_a_body_too_large_or_too_deep_is_a_413(body: bytes) -> None:
    problem_of(post_raw(key_client(), "/api/v1/things/check", body, "application/json"), 413)


def test_a_chunked_body_is_a_411_instead_of_passing_for_an_empty_one() -> None:
    problem_of(post_raw(key_client(), "/api/v1/things/check", b"", HTTP_TRANSFER_ENCODING="chunked"), 411)


@pytest.mark.parametrize("query", ["a=%00", "%00=a", "limit=1&search=x%00y"])
def test_nul_in_the_query_is_a_422(query: str) -> None:
    (pointer,) = pointers_of(key_client().get(f"/api/v1/things?{query}"))
    assert pointer.startswith("?")


def test_a_thousand_parameters_are_a_400() -> None:
    query = "&".join(f"p{number}=1" for number in range(1001))
    problem_of(key_client().get(f"/api/v1/things?{query}"), 400)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ScheduleWrongState("It is paused already."), 409),
        (RunWrongState("It has ended."), 409),
        (InvalidFields({"name": "Too long."}), 422),
        (Target.DoesNotExist(), 404),
        (ObjectDoesNotExist(), 404),
        (Http404(), 404),
        (PermissionDenied(), 403),
        (ValidationError({"name": ["Too long."]}), 422),
        (DataError("out of range"), 422),
        (OperationalError("gone"), 503),
        (InterfaceError("closed"), 503),
        (InternalError("a bug of the server"), 500),
        (Throttled(wait=2.1), 429),
        (ZeroDivisionError("secret detail"), 500),
    ],
)
def test_each_exception_has_its_status(failing: Callable[[Exception], Any], error: Exception, status: int) -> None:
    problem_of(failing(error), status)


def test_an_error_of_ours_tells_the_log_and_not_the_client(
    failing: Callable[[Exception], Any], caplog: pytest.LogCaptureFixture
) -> None:
    response = failing(ZeroDivisionError("secret detail"))
    assert b"secret" not in response.content
    assert "POST /api/v1/things/fail" in caplog.text
    assert "secret detail" in caplog.text


def test_debug_mode_shows_problems_too(failing: Callable[[Exception], Any], settings: Settings) -> None:
    settings.DEBUG = True
    problem_of(failing(ZeroDivisionError()), 500)
    problem_of(key_client().get("/api/v1/nope"), 404)


def test_an_absent_database_says_when_to_come_back(failing: Callable[[Exception], Any]) -> None:
    assert int(failing(OperationalError())["Retry-After"]) > 0


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_a_session_that_postgresql_ends_for_idling_in_a_transaction_is_a_503(
    failing: Callable[[Exception], Any],
) -> None:
    other = connection.copy()
    deadline = time.monotonic() + 60
    with pytest.raises(InternalError) as ended, other.cursor() as cursor:
        cursor.execute("SET idle_in_transaction_session_timeout = 1")
        cursor.execute("BEGIN")
        while time.monotonic() < deadline:
            time.sleep(0.05)
            cursor.execute("SELECT 1")
    other.close()
    problem_of(failing(ended.value), 503)


def test_a_throttle_says_when_to_come_back_in_whole_seconds(failing: Callable[[Exception], Any]) -> None:
    assert failing(Throttled(wait=2.1))["Retry-After"] == "3"
    assert failing(Throttled(wait=0.0))["Retry-After"] == "1"


def test_fields_of_a_service_become_pointers(failing: Callable[[Exception], Any]) -> None:
    problem = problem_of(failing(InvalidFields({"interval_seconds": "Must be at least 1."})), 422)
    assert problem["errors"] == [{"pointer": "/interval_seconds", "code": "invalid", "detail": "Must be at least 1."}]
    assert problem["detail"] == "interval_seconds: Must be at least 1."
    assert (problem["type"], problem["title"]) == ("about:blank", "Unprocessable Content")


def test_nested_validation_errors_become_flat_pointers(failing: Callable[[Exception], Any]) -> None:
    nested: Any = {"headers": {"a/b": ["Bad."]}, "list": [{}, {"x": ["Wrong."]}], "non_field_errors": ["Both."]}
    assert sorted(pointers_of(failing(ValidationError(nested)))) == ["", "/headers/a~1b", "/list/1/x"]


def test_the_summary_counts_what_it_leaves_out(failing: Callable[[Exception], Any]) -> None:
    problem = problem_of(failing(InvalidFields({"a": "Bad.", "b": "Bad.", "c": "Bad."})), 422)
    assert problem["detail"] == "a: Bad. (and 2 more: see errors)"


def test_a_wrong_host_is_a_400_problem_under_the_api_only() -> None:
    problem_of(client_with("x").get("/api/v1/things", HTTP_HOST="evil.example"), 400)
    assert client_with("x").get("/docs", HTTP_HOST="evil.example")["Content-Type"].startswith("text/html")


def raised(error: Exception, handler: Callable[[HttpRequest], Any], path: str) -> Any:
    """What Django's handler500 answers while `error` is being handled."""
    try:
        raise error
    except type(error):
        return handler(RequestFactory().get(path))


def test_errors_in_middleware_are_problems_too() -> None:
    problem_of(raised(ZeroDivisionError(), server_error, "/api/v1/things"), 500)
    away = raised(OperationalError(), server_error, "/api/v1/things")
    problem_of(away, 503)
    assert away["Retry-After"]


def test_the_admin_says_so_when_the_database_is_away() -> None:
    away = raised(OperationalError(), server_error, "/admin/")
    assert (away.status_code, away["Content-Type"]) == (503, "text/plain; charset=utf-8")
    assert raised(ZeroDivisionError(), server_error, "/admin/").status_code == 500


def test_a_problem_raised_before_any_view_keeps_its_status() -> None:
    error = Problem("Odd.")
    problem_of(bad_request(RequestFactory().get("/api/v1/things"), error), 500)


def test_a_database_that_is_away_during_sign_in_is_a_503(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*args: object, **kwargs: object) -> None:
        raise OperationalError("gone")

    client = key_client()
    monkeypatch.setattr(ApiKey.objects, "filter", away)
    problem_of(client.get("/api/v1/things"), 503)


def test_a_database_that_is_away_during_session_look_up_is_a_503(monkeypatch: pytest.MonkeyPatch) -> None:
    client = key_client()
    client.credentials()
    client.force_login(make_user())

    def away(*args: object, **kwargs: object) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr("django.contrib.sessions.backends.db.SessionStore._get_session_from_db", away)
    problem_of(client.get("/api/v1/things"), 503)


@pytest.mark.parametrize(
    ("steps", "pointer"), [((), ""), (("a",), "/a"), (("a/b", 0, "c~d"), "/a~1b/0/c~0d"), (("",), "/")]
)
def test_pointers_follow_rfc_6901(steps: tuple[str | int, ...], pointer: str) -> None:
    assert pointer_to(*steps) == pointer


def test_query_and_body_problems_point_differently() -> None:
    assert bad_query("limit", "No.").errors == (FieldError("?limit", "invalid", "No."),)
    assert bad_fields({"": "No."}).errors == (FieldError("", "invalid", "No."),)


@pytest.mark.parametrize("path", ["/api/v1/schedules/%0Ax/run", "/api/v1/a%0Ab", "/api/%0A", "/api/v1/%0D%0A"])
def test_an_address_with_line_breaks_is_unknown_like_any_other(path: str) -> None:
    problem_of(Client().post(path), 404)
