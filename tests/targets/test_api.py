"""/targets over HTTP."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest
from pytest_django import DjangoAssertNumQueries, Settings

from runs.models import Run
from schedules.models import Schedule
from targets.masking import MASK
from targets.models import Target
from tests.api_client import ApiClient, wrong_places
from tests.factories import NOW, make_ended_run, make_schedule, make_target
from tests.targets.auths import EACH

pytestmark = pytest.mark.django_db

MISSING = "5b1f6f5e-3a0c-4d0b-9a57-2f6f1d6a9c11"

FIELDS = {
    "id",
    "name",
    "url",
    "method",
    "headers",
    "body_template",
    "timeout_seconds",
    "created_at",
    "updated_at",
    "connect_timeout_seconds",
    "follow_redirects",
    "verify_tls",
    "expected_status",
    "response_must_contain",
    "max_concurrency",
    "auth",
    "signing_secret",
    "previous_signing_secret_until",
}
NEW = {"name": "Orders", "url": "https://api.example.com/orders"}


@pytest.fixture
def api() -> ApiClient:
    """A client that may do everything."""
    return ApiClient()


class TestCreate:
    def test_it_answers_the_target_with_its_address_and_version(self, api: ApiClient) -> None:
        answer = api.post("/targets", NEW)
        body = answer.json()
        assert answer.status_code == 201
        assert set(body) == FIELDS
        assert answer["Location"] == f"http://testserver/api/v1/targets/{body['id']}"
        again = api.get(answer["Location"])
        assert again.json() == body
        assert again["ETag"] == answer["ETag"]

    def test_it_shows_defaults_and_whole_numbers_as_such(self, api: ApiClient) -> None:
        body = api.post("/targets", NEW).json()
        assert (body["method"], body["headers"], body["body_template"]) == ("GET", {}, None)
        assert (body["follow_redirects"], body["verify_tls"], body["expected_status"]) == (False, True, "200-299")
        assert '"timeout_seconds":30,' in json.dumps(body, separators=(",", ":"))
        assert body["created_at"].endswith("+05:30")

    def test_it_keeps_a_json_body_as_text(self, api: ApiClient) -> None:
        body = api.post("/targets", {**NEW, "method": "POST", "body_template": {"id": "{{run_id}}", "n": [1]}}).json()
        assert json.loads(body["body_template"]) == {"id": "{{run_id}}", "n": [1]}

    def test_it_ignores_read_only_fields(self, api: ApiClient) -> None:
        body = api.post("/targets", {**NEW, "id": str(uuid4()), "created_at": "2000-01-01T00:00:00Z"}).json()
        assert not body["created_at"].startswith("2000")

    def test_the_same_idempotency_key_makes_one_target(self, api: ApiClient) -> None:
        first, second = (api.post("/targets", NEW, Idempotency_Key="k1") for _ in range(2))
        assert first.json() == second.json()
        assert (first["ETag"], first["Location"]) == (second["ETag"], second["Location"])
        assert Target.objects.count() == 1
        assert api.post("/targets", {**NEW, "name": "Other"}, Idempotency_Key="k1").status_code == 422

    @pytest.mark.parametrize(
        ("changes", "pointer"),
        [
            ({"name": None}, "/name"),
            ({"name": ""}, "/name"),
            ({"name": 5}, "/name"),
            ({"name": "x" * 201}, "/name"),
            ({"url": "ftp://example.com"}, "/url"),
            ({"url": "http://example.com/{{nonsense}}"}, "/url"),
            ({"url": ["http://example.com"]}, "/url"),
            ({"method": "BREW"}, "/method"),
            ({"method": ["GET"]}, "/method"),
            ({"headers": None}, "/headers"),
            ({"headers": [["a", "b"]]}, "/headers"),
            ({"headers": {"X-A": 1}}, "/headers/X-A"),
            ({"headers": {"Host": "example.com"}}, "/headers"),
            ({"headers": {"X-Token": MASK}}, "/headers"),
            ({"body_template": 5}, "/body_template"),
            ({"body_template": True}, "/body_template"),
            ({"timeout_seconds": 0}, "/timeout_seconds"),
            ({"timeout_seconds": -1}, "/timeout_seconds"),
            ({"timeout_seconds": 121}, "/timeout_seconds"),
            ({"timeout_seconds": "30"}, "/timeout_seconds"),
            ({"timeout_seconds": True}, "/timeout_seconds"),
            ({"timeout_seconds": None}, "/timeout_seconds"),
            ({"connect_timeout_seconds": 0}, "/connect_timeout_seconds"),
            ({"follow_redirects": 1}, "/follow_redirects"),
            ({"verify_tls": "true"}, "/verify_tls"),
            ({"verify_tls": None}, "/verify_tls"),
            ({"expected_status": "2xx"}, "/expected_status"),
            ({"expected_status": 200}, "/expected_status"),
            ({"response_must_contain": 1}, "/response_must_contain"),
            ({"max_concurrency": 0}, "/max_concurrency"),
            ({"max_concurrency": 1.5}, "/max_concurrency"),
            ({"max_concurrency": 10**18}, "/max_concurrency"),
            ({"auth": None}, "/auth"),
            ({"auth": "none"}, "/auth"),
            ({"signing_secret": "whsec_"}, "/signing_secret"),
            ({"nmae": "x"}, "/nmae"),
        ],
    )
    def test_it_refuses_wrong_values_and_names_the_field(
        self, api: ApiClient, changes: dict[str, Any], pointer: str
    ) -> None:
        assert wrong_places(api.post("/targets", {**NEW, **changes})) == [pointer]
        assert not Target.objects.exists()

    def test_it_names_what_is_missing(self, api: ApiClient) -> None:
        assert wrong_places(api.post("/targets", {})) == ["/name", "/url"]
        assert wrong_places(api.post("/targets")) == ["/name", "/url"]


class TestSecrets:
    def test_secret_headers_come_back_masked_and_survive_a_round_trip(self, api: ApiClient) -> None:
        headers = {"Authorization": "Bearer s3cret", "X-Api-Key": "k", "Accept": "*/*"}
        answer = api.post("/targets", {**NEW, "headers": headers})
        shown = {"Authorization": MASK, "X-Api-Key": MASK, "Accept": "*/*"}
        assert answer.json()["headers"] == shown
        path = f"/targets/{answer.json()['id']}"
        changed = api.patch(path, {"headers": {**shown, "X-Api-Key": "new"}})
        assert changed.json()["headers"] == shown
        assert Target.objects.get().headers == {**headers, "X-Api-Key": "new"}
        assert changed["ETag"] != answer["ETag"]


class TestChange:
    def test_it_changes_what_it_names(self, api: ApiClient) -> None:
        target = make_target(url="http://a.example/")
        answer = api.patch(f"/targets/{target.id}", {"name": "New", "max_concurrency": 3})
        assert answer.status_code == 200
        assert (answer.json()["name"], answer.json()["max_concurrency"]) == ("New", 3)
        assert answer.json()["url"] == "http://a.example/"

    def test_it_honours_if_match(self, api: ApiClient) -> None:
        path = f"/targets/{make_target(url='http://a.example/').id}"
        old = api.get(path)["ETag"]
        assert api.patch(path, {"name": "One"}, If_Match=old).status_code == 200
        assert api.patch(path, {"name": "Two"}, If_Match=old).status_code == 412
        assert api.delete(path, If_Match=old).status_code == 412
        assert api.get(path).json()["name"] == "One"
        assert api.delete(path, If_Match=api.get(path)["ETag"]).status_code == 204

    def test_the_version_is_that_of_what_users_write(self, api: ApiClient) -> None:
        target = make_target()
        before = api.get(f"/targets/{target.id}")["ETag"]
        Target.objects.update(updated_at=NOW.replace(year=2027))
        assert api.get(f"/targets/{target.id}")["ETag"] == before

    def test_it_refuses_wrong_values(self, api: ApiClient, settings: Settings) -> None:
        settings.MAX_TIMEOUT_SECONDS = 10
        path = f"/targets/{make_target().id}"
        assert wrong_places(api.patch(path, {"timeout_seconds": 11})) == ["/timeout_seconds"]
        assert wrong_places(api.patch(path, {"name": None})) == ["/name"]
        assert wrong_places(api.patch(path, [])) == [""]


class TestDelete:
    def test_it_takes_schedules_and_runs_along_at_once(
        self, api: ApiClient, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        run = make_ended_run(make_schedule(make_target()))
        for _ in range(20):
            make_schedule(run.target)
        # Three of them are the audit event and the transaction that it shares with the deletion.
        with django_assert_max_num_queries(11):
            assert api.delete(f"/targets/{run.target_id}").status_code == 204
        assert not Schedule.objects.exists()
        assert not Run.objects.exists()
        for path in (f"/targets/{run.target_id}", f"/schedules/{run.schedule_id}", f"/runs/{run.id}"):
            assert api.get(path).status_code == 404
        assert api.delete(f"/targets/{run.target_id}").status_code == 404


class TestList:
    def test_it_lists_newest_first_with_count_and_links(self, api: ApiClient) -> None:
        targets = [make_target(created_at=NOW.replace(minute=minute)) for minute in range(3)]
        page = api.get("/targets", limit="2").json()
        assert [row["id"] for row in page["results"]] == [str(targets[2].id), str(targets[1].id)]
        assert (page["count"], page["previous"]) == (3, None)
        rest = api.get(page["next"]).json()
        assert [row["id"] for row in rest["results"]] == [str(targets[0].id)]
        assert rest["next"] is None

    def test_it_searches_names_in_any_case_and_literally(self, api: ApiClient) -> None:
        for name in ("Orders", "100%", "Users"):
            make_target(name=name)
        assert [row["name"] for row in api.get("/targets", search="oRDer").json()["results"]] == ["Orders"]
        assert [row["name"] for row in api.get("/targets", search="%").json()["results"]] == ["100%"]

    def test_it_leaves_out_deleted_ones(self, api: ApiClient) -> None:
        make_target(deleted_at=NOW)
        assert api.get("/targets").json()["count"] == 0

    def test_it_takes_the_same_queries_for_one_and_for_many(
        self, api: ApiClient, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        for _ in range(20):
            make_target()
        with django_assert_max_num_queries(4):
            assert len(api.get("/targets").json()["results"]) == 20

    @pytest.mark.parametrize(
        ("query", "pointer"),
        [
            ({"limit": "0"}, "?limit"),
            ({"limit": "x"}, "?limit"),
            ({"offset": "-1"}, "?offset"),
            ({"serach": "x"}, "?serach"),
            ({"search": "\x00"}, "?search"),
        ],
    )
    def test_it_refuses_parameters_it_does_not_know(self, api: ApiClient, query: dict[str, str], pointer: str) -> None:
        assert wrong_places(api.get("/targets", **query)) == [pointer]

    def test_it_refuses_a_parameter_given_twice(self, api: ApiClient) -> None:
        assert wrong_places(api.get("/targets?search=a&search=b")) == ["?search"]


class TestAccess:
    @pytest.mark.parametrize(("scopes", "status"), [(["read"], 200), (["write"], 403), (["run"], 403)])
    def test_reading_needs_read(self, scopes: list[str], status: int) -> None:
        assert ApiClient(*scopes).get("/targets").status_code == status

    @pytest.mark.parametrize(("scopes", "status"), [(["read", "run"], 403), (["write"], 201)])
    def test_writing_needs_write(self, scopes: list[str], status: int) -> None:
        assert ApiClient(*scopes).post("/targets", NEW).status_code == status

    def test_a_test_call_needs_run(self) -> None:
        assert ApiClient("read", "write").post(f"/targets/{uuid4()}/test").status_code == 403
        assert ApiClient("run").post(f"/targets/{uuid4()}/test").status_code == 404

    @pytest.mark.parametrize("method", ["PUT", "OPTIONS", "TRACE"])
    def test_other_methods_are_405(self, api: ApiClient, method: str) -> None:
        answer = api.send(method, f"/targets/{make_target().id}", NEW)
        assert answer.status_code == 405
        assert "PATCH" in answer["Allow"]

    @pytest.mark.parametrize(
        "path", ["/targets/1", "/targets/none", f"/targets/{MISSING}x", "/targets/", f"/targets/{MISSING}"]
    )
    def test_unknown_and_malformed_ids_are_404(self, api: ApiClient, path: str) -> None:
        answer = api.get(path)
        assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")


@pytest.mark.parametrize("auth", EACH.values(), ids=EACH)
def test_no_answer_gives_a_credential_back(auth: dict[str, str]) -> None:
    client = ApiClient()
    made = client.post("/targets", {"name": "A", "url": "https://api.example.com/", "auth": auth})
    path = f"/targets/{made.json()['id']}"
    answers = [made, client.get(path), client.get("/targets"), client.patch(path, {"name": "B"})]
    assert all(MASK in answer.content.decode() for answer in answers)
    assert not [answer for answer in answers if "canary" in answer.content.decode()]
    assert Target.objects.get().auth == auth
