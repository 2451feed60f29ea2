"""Fields that take JSON types at their word."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pytest_django import Settings
from rest_framework.exceptions import ValidationError

from scheduler_project.strict_fields import INTEGER_HIGH, MomentField, StrictCharField, StrictNumberField
from targets.models import Target
from tests.scheduler_project.probe_api import ProbeSerializer, ThingSerializer
from tests.signed_in import key_client, pointers_of, problem_of

pytestmark = pytest.mark.urls("tests.scheduler_project.probe_api")
ID = "0197a5f0-0000-7000-8000-000000000000"


def errors_of(body: Any) -> dict[str, Any]:
    serializer = ProbeSerializer(data=body)
    assert not serializer.is_valid()
    return dict(serializer.errors)


def value_of(field: str, value: Any) -> Any:
    serializer = ProbeSerializer(data={field: value})
    serializer.is_valid(raise_exception=True)
    return serializer.validated_data[field]


@pytest.mark.parametrize(
    ("field", "sent", "taken"),
    [
        ("text", "  spaces kept ", None),
        ("interval_seconds", 5.0, 5),
        ("interval_seconds", 1e3, 1000),
        ("interval_seconds", INTEGER_HIGH, INTEGER_HIGH),
        ("number", 5, 5.0),
        ("number", -0.25, -0.25),
        ("flag", False, False),
        ("choice", "red", "red"),
        ("moment", "2026-03-10T17:30:00+05:30", datetime(2026, 3, 10, 12, tzinfo=UTC)),
        ("texts", ["a", "b"], ["a", "b"]),
    ],
)
def test_it_takes_the_right_type(field: str, sent: Any, taken: Any) -> None:
    if field == "text":
        assert errors_of({"text": sent})["text"][0].code == "max_length"
        assert value_of("text", " kept ") == " kept "
    else:
        assert value_of(field, sent) == taken


def test_it_takes_a_uuid_in_either_case() -> None:
    assert value_of("other", ID) == value_of("other", ID.upper())


@pytest.mark.parametrize("wrong", [1, 1.5, True, [], {}, None, "x\0", "\ud800"])
def test_text_is_a_clean_string(wrong: Any) -> None:
    assert list(errors_of({"text": wrong})) == ["text"]


@pytest.mark.parametrize("wrong", ["5", "\u0665", True, False, 1.5, [], {}, None, 0, -1, 2**31, 1e300])
def test_a_whole_number_is_a_json_number_in_range(wrong: Any) -> None:
    assert list(errors_of({"interval_seconds": wrong})) == ["interval_seconds"]


@pytest.mark.parametrize("wrong", ["5", "1e3", True, [], {}, None, "NaN"])
def test_a_number_is_a_json_number(wrong: Any) -> None:
    assert list(errors_of({"number": wrong})) == ["number"]


@pytest.mark.parametrize("wrong", ["true", "", 0, 1, "on", [], None])
def test_a_flag_is_true_or_false(wrong: Any) -> None:
    assert list(errors_of({"flag": wrong})) == ["flag"]


@pytest.mark.parametrize("wrong", ["", "RED", "blue", 1, True, [], {}, None])
def test_a_choice_is_one_of_the_choices(wrong: Any) -> None:
    assert list(errors_of({"choice": wrong})) == ["choice"]


def test_a_wrong_choice_is_told_the_right_ones() -> None:
    assert str(errors_of({"choice": "blue"})["choice"][0]) == "Must be one of: red, green."


@pytest.mark.parametrize(
    "wrong", ["", "x", 1, ID[:-1], "{" + ID + "}", "urn:uuid:" + ID, ID.replace("-", ""), ID + "\n"]
)
def test_a_uuid_has_its_usual_form(wrong: Any) -> None:
    assert list(errors_of({"other": wrong})) == ["other"]


@pytest.mark.parametrize("wrong", ["", "2026-03-10", "2026-03-10T12:00:00", 1773144000, None, True, []])
def test_a_moment_has_an_offset(wrong: Any) -> None:
    assert list(errors_of({"moment": wrong})) == ["moment"]


def test_moments_are_shown_in_the_zone_of_the_service(settings: Settings) -> None:
    settings.SCHEDULER_TIME_ZONE = "America/New_York"
    assert MomentField().to_representation(datetime(2026, 3, 10, 12, tzinfo=UTC)) == "2026-03-10T08:00:00-04:00"


def test_whole_numbers_are_shown_without_a_fraction() -> None:
    assert repr(StrictNumberField().to_representation(30.0)) == "30"
    assert repr(StrictNumberField().to_representation(0.5)) == "0.5"


@pytest.mark.parametrize("body", [[], "x", 1, None, True])
def test_a_body_is_an_object(body: Any) -> None:
    serializer = ProbeSerializer(data=body)
    with pytest.raises(ValidationError):
        serializer.is_valid(raise_exception=True)


def test_unknown_fields_are_refused_with_the_nearest_known_ones() -> None:
    errors = errors_of({"intervall_seconds": 5, "text": "x"})
    assert str(errors["intervall_seconds"][0]) == "There is no such field. Did you mean interval_seconds?"
    assert errors["intervall_seconds"][0].code == "unknown"


def test_an_unknown_field_like_no_other_is_told_all_that_exist() -> None:
    assert "Known: text, number, interval_seconds" in str(errors_of({"zzz": 5})["zzz"][0])


def test_unknown_and_wrong_fields_come_out_together() -> None:
    assert set(errors_of({"nope": 1, "flag": "yes"})) == {"nope", "flag"}


def test_read_only_fields_are_ignored() -> None:
    serializer = ProbeSerializer(data={"id": "whatever", "text": "x"})
    assert serializer.is_valid()
    assert "id" not in serializer.validated_data


@pytest.mark.django_db
def test_over_http_every_wrong_place_has_its_pointer() -> None:
    body = {"texts": ["a", 1], "inner": {"a/b": "x"}, "nope": 1, "flag": 0}
    response = key_client().post("/api/v1/things/check", body)
    assert sorted(pointers_of(response)) == ["/flag", "/inner/a~1b", "/nope", "/texts/1"]


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["non_field_errors", "", "a/b", "x" * 5000])
def test_odd_unknown_names_are_refused_like_any(name: str) -> None:
    problem_of(key_client().post("/api/v1/things/check", {name: 1}), 422)


def test_model_serializers_get_strict_fields_of_their_own() -> None:
    fields = ThingSerializer(Target()).fields
    assert type(fields["name"]) is StrictCharField
    assert type(fields["created_at"]) is MomentField
    assert type(fields["timeout_seconds"]) is StrictNumberField
    assert fields["name"].max_length == 200
