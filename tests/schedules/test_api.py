"""/schedules over HTTP; a preview has its limit (guarantee D12)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from pytest_django import DjangoAssertNumQueries

from runs.models import Run
from schedules.models import Schedule
from tests.api_client import ApiClient, wrong_places
from tests.factories import NOW, make_ended_run, make_run, make_schedule, make_target

pytestmark = pytest.mark.django_db

MISSING = "5b1f6f5e-3a0c-4d0b-9a57-2f6f1d6a9c11"

FIELDS = {
    "id",
    "name",
    "target_id",
    "schedule_type",
    "interval_seconds",
    "cron_expression",
    "run_at",
    "timezone",
    "start_at",
    "duration_seconds",
    "max_runs",
    "jitter_seconds",
    "catch_up",
    "misfire_grace_seconds",
    "overlap_policy",
    "max_retries",
    "retry_delay_seconds",
    "max_retry_delay_seconds",
    "on_worker_lost",
    "status",
    "paused_reason",
    "started_at",
    "expires_at",
    "run_count",
    "last_run_at",
    "next_run_at",
    "last_error",
    "description",
    "created_at",
    "updated_at",
}


@pytest.fixture
def api() -> ApiClient:
    """A client that may do everything."""
    return ApiClient()


def new(**fields: Any) -> dict[str, Any]:
    """The body of an interval schedule, and `fields`; None takes a field away."""
    target_id = fields.pop("target_id", None) or str(make_target().id)
    body = {
        "name": "Sync",
        "target_id": target_id,
        "schedule_type": "interval",
        "interval_seconds": 10,
        **fields,
    }
    return {name: value for name, value in body.items() if value is not None}


class TestCreate:
    def test_it_answers_the_schedule_with_its_address_and_version(self, api: ApiClient) -> None:
        answer = api.post("/schedules", new(duration_seconds=300, max_runs=30))
        body = answer.json()
        assert answer.status_code == 201
        assert set(body) == FIELDS
        assert answer["Location"] == f"http://testserver/api/v1/schedules/{body['id']}"
        again = api.get(answer["Location"])
        assert again.json() == body
        assert again["ETag"] == answer["ETag"]

    def test_it_says_what_the_schedule_will_do(self, api: ApiClient) -> None:
        body = api.post("/schedules", new(duration_seconds=300)).json()
        started, ends, first = (
            datetime.fromisoformat(body[key]) for key in ("started_at", "expires_at", "next_run_at")
        )
        assert (ends - started, first - started) == (timedelta(seconds=300), timedelta(seconds=10))
        assert (body["status"], body["run_count"], body["timezone"]) == ("active", 0, "Asia/Kolkata")
        assert body["description"] == "every 10 seconds for 5 minutes"
        assert body["started_at"].endswith("+05:30")
        assert isinstance(body["retry_delay_seconds"], int)

    def test_it_takes_cron_and_once(self, api: ApiClient) -> None:
        cron = new(
            schedule_type="cron", interval_seconds=None, cron_expression=" 30 3 * * 1 ", timezone="Europe/Berlin"
        )
        body = api.post("/schedules", cron).json()
        assert (body["cron_expression"], body["interval_seconds"], body["run_at"]) == ("30 3 * * 1", None, None)
        once = new(schedule_type="once", interval_seconds=None, run_at="2999-01-01T00:00:00Z")
        assert api.post("/schedules", once).json()["next_run_at"] == "2999-01-01T05:30:00+05:30"

    def test_it_ignores_read_only_fields(self, api: ApiClient) -> None:
        body = api.post("/schedules", new(status="expired", run_count=7, next_run_at=None, description="x")).json()
        assert (body["status"], body["run_count"]) == ("active", 0)

    @pytest.mark.parametrize(
        ("changes", "pointer"),
        [
            ({"interval_seconds": None}, "/interval_seconds"),
            ({"interval_seconds": "10"}, "/interval_seconds"),
            ({"interval_seconds": 0}, "/interval_seconds"),
            ({"interval_seconds": 1.5}, "/interval_seconds"),
            ({"interval_seconds": True}, "/interval_seconds"),
            ({"interval_seconds": 10**15}, "/interval_seconds"),
            ({"interval_seconds": 10**30}, "/interval_seconds"),
            ({"interval_seconds": 1e300}, "/interval_seconds"),
            ({"cron_expression": "* * * * *"}, "/cron_expression"),
            ({"schedule_type": "cron", "interval_seconds": None}, "/cron_expression"),
            ({"schedule_type": "cron", "interval_seconds": None, "cron_expression": "0 0 0 * * *"}, "/cron_expression"),
            ({"schedule_type": "cron", "interval_seconds": None, "cron_expression": "0 0 30 2 *"}, "/cron_expression"),
            ({"schedule_type": "cron", "interval_seconds": None, "cron_expression": "x" * 201}, "/cron_expression"),
            ({"schedule_type": "once", "interval_seconds": None}, "/run_at"),
            ({"schedule_type": "once", "interval_seconds": None, "run_at": "2020-01-01T00:00:00Z"}, "/run_at"),
            ({"schedule_type": "once", "interval_seconds": None, "run_at": "2030-01-01T00:00:00"}, "/run_at"),
            ({"schedule_type": "once", "interval_seconds": None, "run_at": "9999-12-31T23:59:59-23:59"}, "/run_at"),
            ({"schedule_type": "weekly"}, "/schedule_type"),
            ({"schedule_type": {}}, "/schedule_type"),
            ({"timezone": "Mars/Olympus"}, "/timezone"),
            ({"timezone": "../../etc/passwd"}, "/timezone"),
            ({"timezone": "x" * 5000}, "/timezone"),
            ({"timezone": 5}, "/timezone"),
            ({"target_id": "5"}, "/target_id"),
            ({"target_id": str(uuid4())}, "/target_id"),
            ({"name": "   "}, "/name"),
            ({"name": "a\u0000b"}, "/name"),
            ({"name": "a\ud800b"}, "/name"),
            ({"start_at": "10000-01-01T00:00:00Z"}, "/start_at"),
            ({"start_at": "9999-12-29T00:00:00Z"}, "/start_at"),
            ({"start_at": "0001-01-01T00:00:00+23:59"}, "/start_at"),
            ({"start_at": 0}, "/start_at"),
            ({"expires_at": "2020-01-01T00:00:00Z"}, "/expires_at"),
            ({"expires_at": "2020-02-01T00:00:00Z", "start_at": "2020-01-01T00:00:00Z"}, "/expires_at"),
            ({"expires_at": "2999-01-01T00:00:00Z", "duration_seconds": 60}, "/expires_at"),
            ({"duration_seconds": 5}, "/duration_seconds"),
            ({"duration_seconds": -1}, "/duration_seconds"),
            ({"duration_seconds": 2**62}, "/duration_seconds"),
            ({"max_runs": 0}, "/max_runs"),
            ({"max_runs": 2**31}, "/max_runs"),
            ({"jitter_seconds": 10}, "/jitter_seconds"),
            ({"misfire_grace_seconds": -1}, "/misfire_grace_seconds"),
            ({"max_retries": 101}, "/max_retries"),
            ({"max_retries": False}, "/max_retries"),
            ({"retry_delay_seconds": -1}, "/retry_delay_seconds"),
            ({"retry_delay_seconds": 1e308}, "/retry_delay_seconds"),
            ({"max_retry_delay_seconds": 0.5}, "/max_retry_delay_seconds"),
            ({"catch_up": "LATEST"}, "/catch_up"),
            ({"overlap_policy": ["skip"]}, "/overlap_policy"),
            ({"on_worker_lost": ""}, "/on_worker_lost"),
            ({"interval": 10}, "/interval"),
        ],
    )
    def test_it_refuses_wrong_values_and_names_the_field(
        self, api: ApiClient, changes: dict[str, Any], pointer: str
    ) -> None:
        assert wrong_places(api.post("/schedules", new(**changes))) == [pointer]
        assert not Schedule.objects.exists()

    @pytest.mark.parametrize("value", [366 * 86_400 + 1, 2**63, 10**30, -(10**30), 1e300])
    def test_it_names_the_range_however_large_the_number(self, api: ApiClient, value: float) -> None:
        (problem,) = api.post("/schedules", new(interval_seconds=value)).json()["errors"]
        assert problem["detail"] == "Must be from 1 to 31622400."

    @pytest.mark.parametrize("name", ["timezone", "max_retries", "catch_up", "jitter_seconds", "name", "target_id"])
    def test_null_is_not_a_default(self, api: ApiClient, name: str) -> None:
        assert wrong_places(api.post("/schedules", {**new(), name: None})) == [f"/{name}"]


class TestChange:
    def test_it_changes_the_type_with_its_field(self, api: ApiClient) -> None:
        path = f"/schedules/{make_schedule().id}"
        body = api.patch(path, {"schedule_type": "cron", "cron_expression": "@daily"}).json()
        assert (body["schedule_type"], body["cron_expression"], body["interval_seconds"]) == ("cron", "@daily", None)

    def test_it_takes_back_all_that_it_gave_out(self, api: ApiClient) -> None:
        shown = api.post("/schedules", new(duration_seconds=300)).json()
        path = f"/schedules/{shown['id']}"
        answer = api.patch(path, shown)
        assert answer.status_code == 200
        assert {**answer.json(), "updated_at": None} == {**shown, "updated_at": None}

    def test_it_honours_if_match_and_a_worker_does_not_change_the_version(self, api: ApiClient) -> None:
        schedule = make_schedule()
        path = f"/schedules/{schedule.id}"
        version = api.get(path)["ETag"]
        Schedule.objects.update(run_count=3, last_run_at=NOW, next_run_at=NOW, last_error="x", updated_at=NOW)
        assert api.get(path)["ETag"] == version
        assert api.patch(path, {"max_runs": 9}, If_Match=version).status_code == 200
        assert api.patch(path, {"max_runs": 8}, If_Match=version).status_code == 412
        assert api.delete(path, If_Match=version).status_code == 412
        assert api.delete(path, If_Match="*").status_code == 204

    def test_it_names_wrong_fields(self, api: ApiClient) -> None:
        path = f"/schedules/{make_schedule().id}"
        assert wrong_places(api.patch(path, {"cron_expression": "* * * * *"})) == ["/cron_expression"]
        assert wrong_places(api.patch(path, {"max_runs": -1, "nope": 1})) == ["/nope", "/max_runs"]
        assert api.patch(path, {}).status_code == 200

    def test_a_deleted_schedule_is_gone_with_its_runs(self, api: ApiClient) -> None:
        run = make_ended_run()
        path = f"/schedules/{run.schedule_id}"
        assert api.delete(path).status_code == 204
        assert [api.get(each).status_code for each in (path, f"/runs/{run.id}")] == [404, 404]
        assert api.patch(path, {"name": "x"}).status_code == 404
        assert api.post(f"{path}/run").status_code == 404


@pytest.mark.parametrize("path", ["/schedule", "/schedules/x/pause", "/schedules/", f"/schedules/{MISSING}/stop", "/"])
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
def test_an_unknown_address_is_a_404_problem_for_every_method(api: ApiClient, method: str, path: str) -> None:
    answer = api.send(method, path, {})
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")


class TestPauseAndResume:
    def test_a_pause_answers_the_schedule_and_takes_a_reason(self, api: ApiClient) -> None:
        path = f"/schedules/{make_schedule().id}"
        answer = api.post(f"{path}/pause", {"reason": "maintenance"})
        body = answer.json()
        assert (answer.status_code, body["status"], body["paused_reason"]) == (200, "paused", "maintenance")
        assert body["next_run_at"] is None
        assert api.post(f"{path}/pause").status_code == 409
        resumed = api.post(f"{path}/resume")
        assert (resumed.status_code, resumed.json()["status"], resumed.json()["paused_reason"]) == (200, "active", "")
        assert resumed.json()["next_run_at"]
        assert api.post(f"{path}/resume").status_code == 409

    def test_an_expired_schedule_can_be_neither_paused_nor_resumed(self, api: ApiClient) -> None:
        path = f"/schedules/{make_schedule(status='expired', next_run_at=None).id}"
        for verb in ("pause", "resume"):
            answer = api.post(f"{path}/{verb}")
            assert answer.status_code == 409
            assert "expired" in answer.json()["detail"]

    @pytest.mark.parametrize(
        ("verb", "body", "pointer"),
        [
            ("pause", {"reason": 5}, "/reason"),
            ("pause", {"reason": "x" * 501}, "/reason"),
            ("pause", {"why": "x"}, "/why"),
            ("pause", [], ""),
            ("resume", {"reason": "x"}, "/reason"),
            ("run", {"now": True}, "/now"),
        ],
    )
    def test_it_refuses_bodies_that_it_does_not_know(self, api: ApiClient, verb: str, body: Any, pointer: str) -> None:
        assert wrong_places(api.post(f"/schedules/{make_schedule().id}/{verb}", body)) == [pointer]


class TestRunNow:
    @pytest.mark.parametrize(
        "fields",
        [
            {},
            {"status": "paused", "next_run_at": None},
            {"status": "expired", "next_run_at": None, "max_runs": 1, "run_count": 1},
        ],
    )
    def test_it_makes_a_manual_run_in_any_status(self, api: ApiClient, fields: dict[str, Any]) -> None:
        schedule = make_schedule(**fields)
        make_run(schedule)
        answer = api.post(f"/schedules/{schedule.id}/run")
        body = answer.json()
        assert answer.status_code == 202
        assert (body["trigger"], body["status"], body["schedule_id"]) == ("manual", "pending", str(schedule.id))
        assert api.get(answer["Location"]).json()["attempts"] == []

    def test_the_same_key_runs_it_once(self, api: ApiClient) -> None:
        path = f"/schedules/{make_schedule().id}/run"
        first, second = (api.post(path, Idempotency_Key="once") for _ in range(2))
        assert first.json() == second.json()
        assert Run.objects.count() == 1

    def test_it_needs_the_scope_run(self) -> None:
        path = f"/schedules/{make_schedule().id}"
        assert ApiClient("read", "write").post(f"{path}/run").status_code == 403
        assert ApiClient("run").post(f"{path}/run").status_code == 202
        assert ApiClient("run").post(f"{path}/pause").status_code == 403


class TestList:
    def test_it_filters_by_status_target_and_name(self, api: ApiClient) -> None:
        one = make_schedule(name="Alpha")
        two = make_schedule(one.target, name="Beta", status="paused", next_run_at=None)
        other = make_schedule(name="Gamma", status="expired", next_run_at=None)

        def names(**query: str) -> set[str]:
            return {row["name"] for row in api.get("/schedules", **query).json()["results"]}

        assert names() == {"Alpha", "Beta", "Gamma"}
        assert names(status="paused") == {"Beta"}
        assert names(status="active,expired") == {"Alpha", "Gamma"}
        assert names(target_id=str(one.target_id)) == {"Alpha", "Beta"}
        assert names(target_id=str(uuid4())) == set()
        assert names(search="ET") == {"Beta"}
        assert names(target_id=str(other.target_id).upper(), status="expired", search="gam") == {"Gamma"}
        assert two.target_id == one.target_id

    def test_it_leaves_out_what_is_deleted(self, api: ApiClient) -> None:
        make_schedule(deleted_at=NOW)
        make_schedule(make_target(deleted_at=NOW))
        assert api.get("/schedules").json()["count"] == 0

    @pytest.mark.parametrize(
        ("query", "pointer"),
        [
            ({"status": "running"}, "?status"),
            ({"status": ""}, "?status"),
            ({"status": "active,"}, "?status"),
            ({"target_id": "5"}, "?target_id"),
            ({"state": "active"}, "?state"),
            ({"limit": "99999999999999999999"}, "?limit"),
            ({"offset": "1e3"}, "?offset"),
        ],
    )
    def test_it_refuses_junk(self, api: ApiClient, query: dict[str, str], pointer: str) -> None:
        assert wrong_places(api.get("/schedules", **query)) == [pointer]

    def test_it_takes_the_same_queries_for_one_and_for_many(
        self, api: ApiClient, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        for _ in range(20):
            make_schedule()
        with django_assert_max_num_queries(4):
            assert len(api.get("/schedules").json()["results"]) == 20

    def test_a_row_that_can_not_be_put_into_words_does_not_break_the_list(self, api: ApiClient) -> None:
        make_schedule(schedule_type="cron", interval_seconds=None, cron_expression="0 3 * * *", timezone="No/Where")
        make_schedule(schedule_type="cron", interval_seconds=None, cron_expression="not a cron")
        assert len(api.get("/schedules").json()["results"]) == 2


class TestPreview:
    def test_it_shows_what_comes_next(self, api: ApiClient) -> None:
        schedule = make_schedule(
            schedule_type="cron",
            interval_seconds=None,
            cron_expression="30 2 * * *",
            timezone="America/New_York",
            started_at=NOW.replace(month=1),
        )
        answer = api.get(f"/schedules/{schedule.id}/preview?count=2&from=2026-03-07T12:00:00Z")
        assert answer.json() == {
            "results": [
                {
                    "at": "2026-03-08T12:30:00+05:30",
                    "local": "2026-03-08T03:00:00-04:00",
                    "note": "02:30 does not exist on this day: runs at 03:00",
                },
                {"at": "2026-03-09T12:00:00+05:30", "local": "2026-03-09T02:30:00-04:00", "note": ""},
            ]
        }

    def test_it_shows_ten_from_now_on(self, api: ApiClient) -> None:
        results = api.get(f"/schedules/{make_schedule().id}/preview").json()["results"]
        assert len(results) == 10
        assert datetime.fromisoformat(results[0]["at"]) > datetime.now(UTC) - timedelta(minutes=1)

    def test_it_reads_a_plus_that_nobody_escaped(self, api: ApiClient) -> None:
        answer = api.get(f"/schedules/{make_schedule().id}/preview?from=2026-03-10T17:30:00+05:30&count=1")
        assert answer.json()["results"][0]["local"] == "2026-03-10T12:01:00+00:00"

    def test_it_honours_the_window_and_the_remaining_runs_but_not_the_status(self, api: ApiClient) -> None:
        schedule = make_schedule(
            status="paused",
            next_run_at=None,
            max_runs=5,
            run_count=3,
            jitter_seconds=5,
            expires_at=NOW + timedelta(hours=1),
        )
        path = f"/schedules/{schedule.id}/preview"
        shown = api.get(path, **{"from": "2026-03-10T12:00:00Z"}).json()["results"]
        assert [fire["local"] for fire in shown] == ["2026-03-10T12:01:00+00:00", "2026-03-10T12:02:00+00:00"]
        assert api.get(path, **{"from": "2026-03-10T13:00:00Z"}).json()["results"] == []

    @pytest.mark.parametrize(
        ("query", "pointer"),
        [
            ({"count": "0"}, "?count"),
            ({"count": "101"}, "?count"),
            ({"count": "ten"}, "?count"),
            ({"from": "yesterday"}, "?from"),
            ({"from": "1969-12-31T23:59:59Z"}, "?from"),
            ({"from": "2101-01-01T00:00:00Z"}, "?from"),
            ({"form": "2026-01-01T00:00:00Z"}, "?form"),
        ],
    )
    def test_it_refuses_junk(self, api: ApiClient, query: dict[str, str], pointer: str) -> None:
        assert wrong_places(api.get(f"/schedules/{make_schedule().id}/preview", **query)) == [pointer]

    def test_it_is_404_for_an_unknown_schedule(self, api: ApiClient) -> None:
        assert api.get(f"/schedules/{uuid4()}/preview").status_code == 404


class TestPreviewUnsaved:
    INTERVAL = {"schedule_type": "interval", "interval_seconds": 60}

    def shown(self, api: ApiClient, **body: Any) -> list[str]:
        answer = api.post("/schedules/preview", body)
        assert answer.status_code == 200, answer.json()
        return [fire["local"][:19] for fire in answer.json()["results"]]

    def test_it_starts_at_from_and_needs_neither_name_nor_target(self, api: ApiClient) -> None:
        body = {**self.INTERVAL, "from": "2026-03-10T12:00:30Z", "count": 2, "timezone": "UTC"}
        assert self.shown(api, **body) == ["2026-03-10T12:01:30", "2026-03-10T12:02:30"]

    def test_it_keeps_a_start_that_is_given(self, api: ApiClient) -> None:
        body = {**self.INTERVAL, "from": "2026-03-10T12:00:30Z", "count": 1, "timezone": "UTC"}
        assert self.shown(api, **body, start_at="2026-03-10T12:00:00Z") == ["2026-03-10T12:01:00"]

    def test_it_honours_end_and_max_runs(self, api: ApiClient) -> None:
        body = {**self.INTERVAL, "from": "2026-03-10T12:00:00Z", "timezone": "UTC"}
        assert len(self.shown(api, **body, duration_seconds=180)) == 3
        assert len(self.shown(api, **body, max_runs=4)) == 4
        assert len(self.shown(api, **body)) == 10
        once = {"schedule_type": "once", "run_at": "2020-01-01T00:00:00Z"}
        assert self.shown(api, **once) == []

    def test_it_takes_a_whole_draft_and_saves_nothing(self, api: ApiClient) -> None:
        assert len(self.shown(api, **self.INTERVAL, name="Draft", jitter_seconds=3)) == 10
        assert not Schedule.objects.exists()

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({}, "/schedule_type"),
            ({"schedule_type": "interval"}, "/interval_seconds"),
            ({"schedule_type": "cron", "cron_expression": "nonsense"}, "/cron_expression"),
            ({**INTERVAL, "count": 101}, "/count"),
            ({**INTERVAL, "count": 0}, "/count"),
            ({**INTERVAL, "count": "5"}, "/count"),
            ({**INTERVAL, "from": "2101-01-01T00:00:00Z"}, "/from"),
            ({**INTERVAL, "from": 5}, "/from"),
            ({**INTERVAL, "from": None}, "/from"),
            ({**INTERVAL, "timezone": "Nowhere"}, "/timezone"),
            ({**INTERVAL, "max_runs": 0}, "/max_runs"),
            ({**INTERVAL, "until": "x"}, "/until"),
        ],
    )
    def test_it_refuses_junk(self, api: ApiClient, body: dict[str, Any], pointer: str) -> None:
        assert wrong_places(api.post("/schedules/preview", body)) == [pointer]

    def test_reading_is_enough(self) -> None:
        assert ApiClient("read").post("/schedules/preview", self.INTERVAL).status_code == 200


class TestExplain:
    def test_it_answers_the_run_and_a_sentence(self, api: ApiClient) -> None:
        run = make_ended_run(final_status_code=200)
        body = api.get(f"/schedules/{run.schedule_id}/explain", at="2026-03-10T12:00:00Z").json()
        assert set(body) == {"at", "run", "sentence"}
        assert body["at"] == "2026-03-10T17:30:00+05:30"
        assert body["run"]["id"] == str(run.id)
        assert "succeeded with status 200" in body["sentence"]

    def test_it_answers_null_where_no_run_answers(self, api: ApiClient) -> None:
        body = api.get(f"/schedules/{make_schedule().id}/explain", at="2026-03-10T12:00:30Z").json()
        assert body["run"] is None
        assert body["sentence"].startswith("Nothing is due then")

    @pytest.mark.parametrize(
        "at", ["0001-01-03T00:00:00Z", "1969-12-31T23:59:59Z", "2026-03-10T12:00:00.5Z", "9999-12-29T00:00:00Z"]
    )
    @pytest.mark.parametrize("schedule_type", ["interval", "cron", "once"])
    def test_it_answers_for_any_moment(self, api: ApiClient, at: str, schedule_type: str) -> None:
        fields = {"interval": "interval_seconds", "cron": "cron_expression", "once": "run_at"}
        values: dict[str, Any] = {"interval": 60, "cron": "0 3 29 2 *", "once": NOW}
        own = dict.fromkeys(fields.values()) | {fields[schedule_type]: values[schedule_type]}
        schedule = make_schedule(schedule_type=schedule_type, **own)
        answer = api.get(f"/schedules/{schedule.id}/explain", at=at)
        assert answer.status_code == 200
        assert answer.json()["sentence"].endswith(".")

    @pytest.mark.parametrize(
        ("query", "pointer"), [({}, "?at"), ({"at": "now"}, "?at"), ({"at": ""}, "?at"), ({"when": "x"}, "?when")]
    )
    def test_it_refuses_junk(self, api: ApiClient, query: dict[str, str], pointer: str) -> None:
        assert wrong_places(api.get(f"/schedules/{make_schedule().id}/explain", **query)) == [pointer]
