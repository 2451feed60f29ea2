"""/secrets: named secrets by the API."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from pytest_django import DjangoAssertNumQueries, Settings

from targets.masking import MASK
from targets.models import Secret, SecretUse
from targets.secret_services import create_secret
from targets.services import create_target, delete_target
from tests.api_client import ApiClient, wrong_places
from tests.factories import NOW
from tests.signed_in import problem_of

pytestmark = pytest.mark.django_db
FIELDS = {"id", "name", "value", "reference", "allowed_hosts", "used_by", "used_by_count", "created_at", "updated_at"}


@pytest.fixture
def api() -> ApiClient:
    """A client that may do everything."""
    return ApiClient()


def make_secret(name: str = "STRIPE", value: str | None = "s3cret-value", **fields: Any) -> Secret:
    return create_secret(fields={"name": name, "value": value, **fields}, now=NOW)


def make_user(name: str = "Orders", secret: str = "STRIPE") -> Any:
    fields = {"name": name, "url": "https://api.example.com/", "headers": {"X-A": f"{{{{secret.{secret}}}}}"}}
    return create_target(fields=fields, now=NOW)


class TestCreate:
    def test_it_answers_everything_but_the_value(self, api: ApiClient) -> None:
        answer = api.post("/secrets", {"name": "STRIPE", "value": "s3cret-value"})
        body = answer.json()
        assert answer.status_code == 201
        assert set(body) == FIELDS
        assert (body["name"], body["value"], body["reference"], body["allowed_hosts"]) == ("STRIPE", MASK, None, [])
        assert (body["used_by"], body["used_by_count"]) == ([], 0)
        assert b"s3cret" not in answer.content
        again = api.get(answer["Location"])
        assert (again.json(), again["ETag"]) == (body, answer["ETag"])

    def test_a_reference_is_shown(self, api: ApiClient) -> None:
        body = api.post("/secrets", {"name": "DB", "reference": "env:API_SCHEDULER_SECRET_DB"}).json()
        assert (body["value"], body["reference"]) == (None, "env:API_SCHEDULER_SECRET_DB")

    def test_hosts_are_kept_in_their_one_spelling(self, api: ApiClient) -> None:
        hosts = ["API.example.com", "api.example.com.", "bücher.example", "::1"]
        body = api.post("/secrets", {"name": "A", "value": "v", "allowed_hosts": hosts}).json()
        assert body["allowed_hosts"] == ["::1", "api.example.com", "xn--bcher-kva.example"]

    @pytest.mark.parametrize(
        ("body", "pointers"),
        [
            ({}, ["/name"]),
            ({"name": "A"}, ["/value"]),
            ({"name": "A", "value": None}, ["/value"]),
            ({"name": "A", "value": ""}, ["/value"]),
            ({"name": "A", "value": 5}, ["/value"]),
            ({"name": "A", "value": "x" * 8193}, ["/value"]),
            ({"name": "A", "value": MASK}, ["/value"]),
            ({"name": "A", "value": "x", "reference": "env:API_SCHEDULER_SECRET_X"}, ["/reference"]),
            ({"name": "A", "reference": "env:SECRET_KEY"}, ["/reference"]),
            ({"name": "A", "reference": "env:API_SCHEDULER_SECRET_"}, ["/reference"]),
            ({"name": "A", "reference": "file:x"}, ["/reference"]),
            ({"name": "A", "reference": "vault:x"}, ["/reference"]),
            ({"name": "", "value": "x"}, ["/name"]),
            ({"name": "1A", "value": "x"}, ["/name"]),
            ({"name": "A B", "value": "x"}, ["/name"]),
            ({"name": "Ä", "value": "x"}, ["/name"]),
            ({"name": "x" * 65, "value": "x"}, ["/name"]),
            ({"name": "abcdef01-3a0c-4d0b-9a57-2f6f1d6a9c11", "value": "x"}, ["/name"]),
            ({"name": "A", "value": "x", "allowed_hosts": "api.example.com"}, ["/allowed_hosts"]),
            ({"name": "A", "value": "x", "allowed_hosts": ["https://a.example/"]}, ["/allowed_hosts"]),
            ({"name": "A", "value": "x", "allowed_hosts": ["*.example.com"]}, ["/allowed_hosts"]),
            ({"name": "A", "valu": "x"}, ["/valu"]),
        ],
    )
    def test_it_refuses_what_can_not_be(self, api: ApiClient, body: dict[str, Any], pointers: list[str]) -> None:
        assert wrong_places(api.post("/secrets", body)) == pointers
        assert not Secret.objects.exists()

    @pytest.mark.parametrize("name", ["STRIPE", "stripe"])
    def test_a_name_is_taken_once_in_any_case(self, api: ApiClient, name: str) -> None:
        make_secret()
        answer = api.post("/secrets", {"name": name, "value": "x"})
        assert wrong_places(answer) == ["/name"]

    def test_the_same_idempotency_key_makes_one(self, api: ApiClient) -> None:
        sent = {"name": "STRIPE", "value": "s3cret-value"}
        first, second = (api.post("/secrets", sent, Idempotency_Key="k1") for _ in range(2))
        assert first.json() == second.json()


class TestOne:
    def test_it_is_found_by_id_and_by_name(self, api: ApiClient) -> None:
        secret = make_secret()
        assert api.get(f"/secrets/{secret.id}").json() == api.get("/secrets/STRIPE").json()

    @pytest.mark.parametrize("path", [f"/secrets/{UUID(int=7)}", "/secrets/stripe", "/secrets/a.b", "/secrets/"])
    def test_no_other_is(self, api: ApiClient, path: str) -> None:
        make_secret()
        problem_of(api.get(path), 404)

    def test_it_tells_which_targets_use_it(self, api: ApiClient) -> None:
        make_secret()
        targets = [make_user(name) for name in ("Orders", "Accounts")]
        body = api.get("/secrets/STRIPE").json()
        assert [row["name"] for row in body["used_by"]] == ["Accounts", "Orders"]
        assert {row["id"] for row in body["used_by"]} == {str(target.id) for target in targets}
        assert body["used_by_count"] == 2
        found = api.get("/targets", secret="STRIPE").json()["results"]
        assert {row["name"] for row in found} == {"Accounts", "Orders"}
        assert api.get("/targets", secret="OTHER").json()["count"] == 0


class TestChange:
    def test_what_comes_back_can_be_sent_back(self, api: ApiClient) -> None:
        make_secret(allowed_hosts=["api.example.com"])
        before = api.get("/secrets/STRIPE")
        after = api.patch("/secrets/STRIPE", before.json())
        assert after.status_code == 200
        assert after["ETag"] == before["ETag"]
        assert Secret.objects.get().value == "s3cret-value"

    def test_a_new_value_is_another_version(self, api: ApiClient) -> None:
        make_secret()
        before = api.get("/secrets/STRIPE")["ETag"]
        answer = api.patch("/secrets/STRIPE", {"value": "another-value"}, If_Match=before)
        assert (answer.status_code, Secret.objects.get().value) == (200, "another-value")
        assert answer["ETag"] != before
        assert api.patch("/secrets/STRIPE", {"value": "x"}, If_Match=before).status_code == 412
        assert api.delete("/secrets/STRIPE", If_Match=before).status_code == 412

    def test_a_value_and_a_reference_take_each_others_place(self, api: ApiClient) -> None:
        make_secret()
        body = api.patch("/secrets/STRIPE", {"reference": "env:API_SCHEDULER_SECRET_X"}).json()
        assert (body["value"], body["reference"]) == (None, "env:API_SCHEDULER_SECRET_X")
        assert wrong_places(api.patch("/secrets/STRIPE", {"value": MASK})) == ["/value"]
        body = api.patch("/secrets/STRIPE", {"value": "v"}).json()
        assert (body["value"], body["reference"]) == (MASK, None)

    def test_it_is_renamed_only_while_nobody_uses_it(self, api: ApiClient) -> None:
        make_secret()
        assert api.patch("/secrets/STRIPE", {"name": "Stripe"}).json()["name"] == "Stripe"
        make_user(secret="Stripe")
        problem = problem_of(api.patch("/secrets/Stripe", {"name": "PAY"}), 409)
        assert "it is used by Orders." in problem["detail"]

    @pytest.mark.parametrize("hosts", [[], ["evil.example"], ["api.example.com", "evil.example"]])
    def test_the_stored_value_goes_to_no_further_host(self, api: ApiClient, hosts: list[str]) -> None:
        make_secret(allowed_hosts=["api.example.com"])
        assert wrong_places(api.patch("/secrets/STRIPE", {"allowed_hosts": hosts})) == ["/value"]
        assert wrong_places(api.patch("/secrets/STRIPE", {"allowed_hosts": hosts, "value": MASK})) == ["/value"]
        assert api.patch("/secrets/STRIPE", {"allowed_hosts": hosts, "value": "known"}).status_code == 200

    def test_fewer_hosts_are_no_risk_but_must_leave_its_targets_their_own(self, api: ApiClient) -> None:
        make_secret()
        make_user()
        refused = api.patch("/secrets/STRIPE", {"allowed_hosts": ["b.example"]})
        assert wrong_places(refused) == ["/allowed_hosts"]
        assert "Orders would not be called" in refused.json()["detail"]
        assert api.patch("/secrets/STRIPE", {"allowed_hosts": ["api.example.com"]}).status_code == 200

    def test_a_value_that_no_key_opens_can_be_replaced(self, api: ApiClient, settings: Settings) -> None:
        make_secret()
        settings.FIELD_ENCRYPTION_KEYS = ["pq1Qf3gJ5nO0b7m8d2k4h6s9u1w3y5A7C9E1G3I5K7M="]
        assert api.get("/secrets/STRIPE").json()["value"] == MASK
        assert wrong_places(api.patch("/secrets/STRIPE", {"name": "PAY"})) == ["/value"]
        assert api.patch("/secrets/STRIPE", {"value": "again"}).status_code == 200


class TestDelete:
    def test_it_goes(self, api: ApiClient) -> None:
        make_secret()
        assert api.delete("/secrets/STRIPE").status_code == 204
        assert api.delete("/secrets/STRIPE").status_code == 404
        assert not Secret.objects.exists()

    def test_not_while_a_target_uses_it(self, api: ApiClient) -> None:
        make_secret()
        targets = [make_user(f"Target {number:02}") for number in range(12)]
        problem = problem_of(api.delete("/secrets/STRIPE"), 409)
        assert "Target 00, Target 01" in problem["detail"]
        assert "and 2 more targets" in problem["detail"]
        for target in targets:
            delete_target(target_id=target.id, now=NOW)
        assert api.delete("/secrets/STRIPE").status_code == 204


class TestUse:
    @pytest.mark.parametrize(
        ("fields", "pointer"),
        [
            ({"url": "https://a.example/?k={{secret.NONE}}"}, "/url"),
            ({"headers": {"X-A": "{{secret.NONE}}"}}, "/headers"),
            ({"body_template": "{{ secret.NONE }}"}, "/body_template"),
            ({"auth": {"type": "bearer", "token": "{{secret.NONE}}"}}, "/auth/token"),
        ],
    )
    def test_an_unknown_secret_is_refused_where_it_stands(
        self, api: ApiClient, fields: dict[str, Any], pointer: str
    ) -> None:
        make_secret("None")
        answer = api.post("/targets", {"name": "A", "url": "https://a.example/", **fields})
        assert wrong_places(answer) == [pointer]
        assert "There is no secret named 'NONE'" in answer.json()["detail"]

    @pytest.mark.parametrize(
        "url", ["https://a.example/{{secret.A}}", "https://{{secret.A}}/", "https://a.example/#{{secret.A}}"]
    )
    def test_a_secret_is_refused_in_path_and_host(self, api: ApiClient, url: str) -> None:
        make_secret("A")
        assert wrong_places(api.post("/targets", {"name": "A", "url": url})) == ["/url"]

    def test_a_secret_with_hosts_goes_nowhere_else(self, api: ApiClient) -> None:
        make_secret("A", allowed_hosts=["api.example.com"])
        target = {"name": "A", "url": "https://api.example.com/", "headers": {"X-A": "{{secret.A}}"}}
        path = f"/targets/{api.post('/targets', target).json()['id']}"
        moved = api.patch(path, {"url": "https://evil.example/"})
        assert wrong_places(moved) == ["/headers"]
        assert "may not be sent to evil.example" in moved.json()["detail"]
        assert wrong_places(api.post("/targets", {**target, "url": "https://evil.example/"})) == ["/headers"]

    def test_a_clients_secret_is_judged_by_the_host_of_the_token_endpoint(self, api: ApiClient) -> None:
        make_secret("A", allowed_hosts=["login.example.com"])
        auth = {
            "type": "oauth2_client_credentials",
            "token_url": "https://login.example.com/token",
            "client_id": "me",
            "client_secret": "{{secret.A}}",
            "scope": "",
        }
        target = {"name": "A", "url": "https://api.example.com/", "auth": auth}
        assert api.post("/targets", target).status_code == 201
        elsewhere = {**target, "auth": {**auth, "token_url": "https://evil.example/"}}
        assert wrong_places(api.post("/targets", elsewhere)) == ["/auth/client_secret"]

    def test_uses_follow_the_target(self, api: ApiClient) -> None:
        make_secret("A")
        make_secret("B")
        target = make_user(secret="A")
        api.patch(f"/targets/{target.id}", {"headers": {}, "body_template": "{{secret.B}}"})
        assert [use.secret.name for use in SecretUse.objects.select_related("secret")] == ["B"]
        api.patch(f"/targets/{target.id}", {"name": "Another"})
        assert [use.secret.name for use in SecretUse.objects.select_related("secret")] == ["B"]
        api.delete(f"/targets/{target.id}")
        assert not SecretUse.objects.exists()


class TestList:
    def test_it_lists_by_name_with_count_and_links(self, api: ApiClient) -> None:
        for name in ("B", "A", "C"):
            make_secret(name)
        page = api.get("/secrets", limit="2").json()
        assert [row["name"] for row in page["results"]] == ["A", "B"]
        assert page["count"] == 3
        assert [row["name"] for row in api.get(page["next"]).json()["results"]] == ["C"]
        assert [row["name"] for row in api.get("/secrets", search="b").json()["results"]] == ["B"]
        assert wrong_places(api.get("/secrets", serach="b")) == ["?serach"]

    def test_it_takes_the_same_queries_for_one_and_for_many(
        self, api: ApiClient, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        for number in range(10):
            make_secret(f"S{number}")
            make_user(secret=f"S{number}")
        with django_assert_max_num_queries(5):
            rows = api.get("/secrets").json()["results"]
        assert [row["used_by_count"] for row in rows] == [1] * 10
        assert all(row["used_by"][0]["name"] == "Orders" for row in rows)


class TestAccess:
    @pytest.mark.parametrize(
        ("scope", "reads", "writes"),
        [("read", 403, 403), ("write", 403, 403), ("run", 403, 403), ("admin", 200, 201)],
    )
    def test_it_needs_the_scope_admin(self, scope: str, reads: int, writes: int) -> None:
        client = ApiClient(scope)
        assert client.get("/secrets").status_code == reads
        assert client.post("/secrets", {"name": "A", "value": "v"}).status_code == writes
