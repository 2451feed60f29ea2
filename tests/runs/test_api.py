"""/runs over HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from pytest_django import DjangoAssertNumQueries

from runs.models import Run
from targets.models import Target
from tests.api_client import ApiClient, wrong_places
from tests.factories import NOW, make_attempt, make_ended_run, make_run, make_schedule, make_target

pytestmark = pytest.mark.django_db

# Fixed: every pytest-xdist worker has to collect the same tests.
UNKNOWN = "3f0e0a3c-5b1d-4c53-9a54-7c5d3c1f2e11"
RUN_FIELDS = {
    "id",
    "schedule_id",
    "target_id",
    "trigger",
    "status",
    "reason",
    "missed_ticks",
    "scheduled_at",
    "started_at",
    "completed_at",
    "next_attempt_at",
    "attempt_count",
    "final_status_code",
    "final_error_type",
    "final_error_message",
    "idempotency_key",
    "replay_of",
    "resolved_at",
    "resolved_note",
    "created_at",
}
ATTEMPT_FIELDS = {
    "id",
    "run_id",
    "attempt_number",
    "request_url",
    "request_method",
    "request_headers",
    "request_body",
    "started_at",
    "completed_at",
    "latency_ms",
    "status_code",
    "response_headers",
    "response_body",
    "response_truncated",
    "response_size_bytes",
    "bodies_cleared_at",
    "error_type",
    "error_message",
    "fenced",
    "created_at",
    "timings",
    "remote_ip",
}


@pytest.fixture
def api() -> ApiClient:
    """A client that may do everything."""
    return ApiClient()


class TestDetail:
    def test_it_shows_the_run_with_its_attempts_in_order(
        self, api: ApiClient, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        run = make_ended_run(attempt_count=3, final_status_code=200)
        for number in (3, 1, 2):
            make_attempt(run, attempt_number=number, remote_ip="127.0.0.1", timings={"dns_ms": 1.5, "total_ms": 2.0})
        with django_assert_max_num_queries(4):
            body = api.get(f"/runs/{run.id}").json()
        assert set(body) == RUN_FIELDS | {"attempts"}
        assert [attempt["attempt_number"] for attempt in body["attempts"]] == [1, 2, 3]
        attempt = body["attempts"][0]
        assert set(attempt) == ATTEMPT_FIELDS
        assert attempt["run_id"] == body["id"] == body["idempotency_key"]
        assert attempt["timings"] == {"dns_ms": 1.5, "connect_ms": None, "tls_ms": None, "ttfb_ms": None, "total_ms": 2}
        assert (attempt["latency_ms"], attempt["remote_ip"], attempt["error_type"]) == (1000, "127.0.0.1", "none")
        assert body["scheduled_at"] == "2026-03-10T17:30:00+05:30"

    def test_an_open_attempt_has_empty_timings(self, api: ApiClient) -> None:
        run = make_ended_run()
        make_attempt(run, completed_at=None, latency_ms=None, status_code=None)
        attempt = api.get(f"/runs/{run.id}").json()["attempts"][0]
        assert set(attempt["timings"].values()) == {None}
        assert (attempt["completed_at"], attempt["response_body"], attempt["response_headers"]) == (None, "", {})

    def test_a_run_never_tried_has_no_error(self, api: ApiClient) -> None:
        body = api.get(f"/runs/{make_run().id}").json()
        assert (body["final_error_type"], body["final_error_message"], body["attempts"]) == ("none", "", [])

    @pytest.mark.parametrize("path", [f"/runs/{UNKNOWN}", "/runs/0", "/runs/%00", f"/runs/{UNKNOWN}/cancel/"])
    def test_what_is_not_there_is_404(self, api: ApiClient, path: str) -> None:
        assert api.get(path).status_code == 404

    def test_there_is_nothing_to_write(self, api: ApiClient) -> None:
        path = f"/runs/{make_run().id}"
        for answer in (api.patch(path, {}), api.delete(path), api.post("/runs", {}), api.send("PUT", path, {})):
            assert answer.status_code == 405


class TestList:
    def test_it_walks_newest_first_and_back_without_counting(self, api: ApiClient) -> None:
        schedule = make_schedule()
        runs = [make_run(schedule, scheduled_at=NOW + timedelta(minutes=minute)) for minute in range(5)]
        page = api.get("/runs", limit="2").json()
        assert set(page) == {"next", "previous", "results"}
        assert set(page["results"][0]) == RUN_FIELDS
        assert [row["id"] for row in page["results"]] == [str(runs[4].id), str(runs[3].id)]
        assert page["previous"] is None
        second = api.get(page["next"]).json()
        assert [row["id"] for row in second["results"]] == [str(runs[2].id), str(runs[1].id)]
        assert api.get(second["previous"]).json()["results"] == page["results"]
        last = api.get(second["next"]).json()
        assert ([row["id"] for row in last["results"]], last["next"]) == ([str(runs[0].id)], None)

    def test_it_filters_by_owner(self, api: ApiClient) -> None:
        one, other = make_run(), make_run()
        assert self.ids(api, schedule_id=str(one.schedule_id)) == {str(one.id)}
        assert self.ids(api, target_id=str(other.target_id)) == {str(other.id)}
        assert self.ids(api, schedule_id=str(one.schedule_id), target_id=str(other.target_id)) == set()

    def test_it_filters_by_what_became_of_it(self, api: ApiClient) -> None:
        pending = make_run()
        failed = make_ended_run(status="failed", final_error_type="server_error")
        late = make_ended_run(status="timeout", final_error_type="timeout", trigger="manual")
        dealt_with = make_ended_run(status="failed", final_error_type="dns", resolved_at=NOW)
        assert self.ids(api, status="pending") == {str(pending.id)}
        assert self.ids(api, status="pending,timeout") == {str(pending.id), str(late.id)}
        assert self.ids(api, trigger="manual") == {str(late.id)}
        assert self.ids(api, error_type="dns,timeout") == {str(late.id), str(dealt_with.id)}
        assert self.ids(api, dead="true") == {str(failed.id), str(late.id)}
        assert self.ids(api, dead="false") == {str(pending.id), str(dealt_with.id)}

    def test_it_filters_by_time_half_open(self, api: ApiClient) -> None:
        schedule = make_schedule()
        runs = [make_run(schedule, scheduled_at=NOW + timedelta(minutes=minute)) for minute in range(3)]
        found = self.ids(api, start_time="2026-03-10T12:00:00Z", end_time="2026-03-10T12:02:00Z")
        assert found == {str(runs[0].id), str(runs[1].id)}
        raw = api.get("/runs?start_time=2026-03-10T17:32:00+05:30").json()["results"]
        assert [row["id"] for row in raw] == [str(runs[2].id)]

    def test_a_filter_goes_on_over_pages(self, api: ApiClient) -> None:
        schedule = make_schedule()
        for minute in range(4):
            trigger = "manual" if minute % 2 else "schedule"
            make_run(schedule, scheduled_at=NOW + timedelta(minutes=minute), trigger=trigger)
        page = api.get("/runs", trigger="manual", limit="1").json()
        assert [row["trigger"] for row in api.get(page["next"]).json()["results"]] == ["manual"]

    def test_it_leaves_out_what_belongs_to_deleted_owners_and_keeps_tests(self, api: ApiClient) -> None:
        make_run(make_schedule(deleted_at=NOW))
        make_run(make_schedule(make_target(deleted_at=NOW)))
        test = make_ended_run(trigger="test")
        Run.objects.filter(pk=test.pk).update(schedule=None)
        body = api.get("/runs").json()["results"]
        assert [(row["id"], row["schedule_id"]) for row in body] == [(str(test.id), None)]

    def test_it_takes_one_query_for_one_and_for_many(
        self, api: ApiClient, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        for _ in range(20):
            make_run()
        with django_assert_max_num_queries(3):
            assert len(api.get("/runs").json()["results"]) == 20

    @pytest.mark.parametrize(
        ("query", "pointer"),
        [
            ("schedule_id=5", "?schedule_id"),
            ("target_id=", "?target_id"),
            ("status=done", "?status"),
            ("status=failed,,timeout", "?status"),
            ("trigger=cron", "?trigger"),
            ("error_type=404", "?error_type"),
            ("start_time=today", "?start_time"),
            ("start_time=2026-03-10", "?start_time"),
            ("end_time=10000-01-01T00:00:00Z", "?end_time"),
            ("end_time=" + quote("9999-12-31T23:59:59-14:00"), "?end_time"),
            ("dead=yes", "?dead"),
            ("dead=", "?dead"),
            ("cursor=x", "?cursor"),
            ("cursor=%00", "?cursor"),
            ("limit=-5", "?limit"),
            ("offset=5", "?offset"),
            ("shedule_id=5", "?shedule_id"),
        ],
    )
    def test_it_refuses_junk(self, api: ApiClient, query: str, pointer: str) -> None:
        assert wrong_places(api.get(f"/runs?{query}")) == [pointer]

    @staticmethod
    def ids(api: ApiClient, **query: str) -> set[str]:
        return {row["id"] for row in api.get("/runs", **query).json()["results"]}


class TestCancel:
    @pytest.mark.parametrize("status", ["pending", "retrying"])
    def test_it_ends_a_run_that_waits(self, api: ApiClient, status: str) -> None:
        run = make_run(status=status, next_attempt_at=NOW)
        answer = api.post(f"/runs/{run.id}/cancel")
        assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
        assert answer.json()["next_attempt_at"] is None
        again = api.post(f"/runs/{run.id}/cancel")
        assert (again.status_code, again.json()["status"]) == (409, 409)

    def test_it_refuses_a_body_with_fields(self, api: ApiClient) -> None:
        assert wrong_places(api.post(f"/runs/{make_run().id}/cancel", {"why": "x"})) == ["/why"]


class TestReplay:
    @pytest.mark.parametrize("status", ["success", "failed", "timeout", "skipped", "cancelled"])
    def test_it_makes_a_new_run_of_any_final_one(self, api: ApiClient, status: str) -> None:
        run = make_ended_run(status=status)
        answer = api.post(f"/runs/{run.id}/replay")
        body = answer.json()
        assert answer.status_code == 202
        assert (body["trigger"], body["status"], body["replay_of"]) == ("replay", "pending", str(run.id))
        assert body["id"] != str(run.id)
        assert api.get(answer["Location"]).json()["id"] == body["id"]

    def test_a_run_that_has_not_ended_can_not_be_replayed(self, api: ApiClient) -> None:
        assert api.post(f"/runs/{make_run().id}/replay").status_code == 409


class TestResolve:
    def test_it_takes_a_note_and_takes_the_run_off_the_list_of_the_dead(self, api: ApiClient) -> None:
        run = make_ended_run(status="failed")
        answer = api.post(f"/runs/{run.id}/resolve", {"note": "Fixed upstream."})
        body = answer.json()
        assert (answer.status_code, body["resolved_note"]) == (200, "Fixed upstream.")
        assert body["resolved_at"]
        assert api.get("/runs", dead="true").json()["results"] == []
        assert api.post(f"/runs/{run.id}/resolve").status_code == 409

    def test_the_note_may_be_missing(self, api: ApiClient) -> None:
        assert api.post(f"/runs/{make_ended_run(status='timeout').id}/resolve").json()["resolved_note"] == ""

    @pytest.mark.parametrize("body", [{"note": 5}, {"note": "x" * 1001}, {"note": "a\u0000"}, {"note": None}])
    def test_the_note_is_text_of_bounded_length(self, api: ApiClient, body: Any) -> None:
        assert wrong_places(api.post(f"/runs/{make_ended_run(status='failed').id}/resolve", body)) == ["/note"]

    def test_a_run_that_did_not_fail_can_not_be_resolved(self, api: ApiClient) -> None:
        assert api.post(f"/runs/{make_ended_run().id}/resolve").status_code == 409


@pytest.mark.parametrize("verb", ["cancel", "replay", "resolve"])
class TestAccess:
    def test_acting_on_a_run_needs_the_scope_run(self, verb: str) -> None:
        path = f"/runs/{UNKNOWN}/{verb}"
        assert ApiClient("read", "write").post(path).status_code == 403
        assert ApiClient("run").post(path).status_code == 404

    def test_runs_of_deleted_targets_are_gone(self, api: ApiClient, verb: str) -> None:
        run = make_ended_run(status="failed")
        Target.objects.update(deleted_at=NOW)
        assert api.post(f"/runs/{run.id}/{verb}").status_code == 404
