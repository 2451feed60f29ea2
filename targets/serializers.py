"""Targets and named secrets as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from scheduler_project.json_parser import text_problem
from scheduler_project.strict_fields import (
    MomentField,
    StrictBooleanField,
    StrictCharField,
    StrictChoiceField,
    StrictIntegerField,
    StrictNumberField,
    StrictSerializer,
)
from targets.auth import API_KEY, CLIENT_AUTH, OPTIONAL, REQUIRED, mask_auth
from targets.masking import MASK, mask_headers
from targets.models import HttpMethod, Secret, Target
from targets.secret_references import MAX_REFERENCE_CHARS, MAX_VALUE_CHARS
from targets.secret_services import MAX_HOSTS
from targets.secret_services import MAX_NAME_CHARS as MAX_SECRET_NAME_CHARS
from targets.validators import (
    MAX_CONCURRENCY,
    MAX_EXPECTED_STATUS_CHARS,
    MAX_MUST_CONTAIN_CHARS,
    MAX_NAME_CHARS,
    MAX_URL_TEMPLATE_CHARS,
)

# So many of the targets that use a secret are listed with it.
MOST_SHOWN = 100
_USED_BY = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"id": {"type": "string", "format": "uuid"}, "name": {"type": "string"}},
        "required": ["id", "name"],
    },
}


@extend_schema_field({"type": "object", "additionalProperties": {"type": "string"}})
class HeadersField(serializers.DictField):
    """Header names and values; secret values come out masked."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(child=StrictCharField(allow_blank=True), **kwargs)
        self.error_messages["not_a_dict"] = "Must be an object of header names and text values."

    def to_representation(self, value: Mapping[str, str]) -> dict[str, str]:
        """The headers with every secret value masked."""
        return mask_headers(value)


def _auth_schema(kind: str) -> dict[str, Any]:
    """One type of auth, in OpenAPI's words."""
    members: dict[str, Any] = {name: {"type": "string"} for name in (*REQUIRED[kind], *OPTIONAL.get(kind, ()))}
    if kind == API_KEY:
        members["in"] = {"type": "string", "enum": ["header", "query"]}
    if "client_auth" in members:
        members["client_auth"] = {"type": "string", "enum": list(CLIENT_AUTH), "default": CLIENT_AUTH[0]}
    properties = {"type": {"type": "string", "const": kind}, **members}
    return {
        "type": "object",
        "properties": properties,
        "required": ["type", *REQUIRED[kind]],
        "additionalProperties": False,
    }


@extend_schema_field({"oneOf": [_auth_schema(kind) for kind in REQUIRED]})
class AuthField(serializers.DictField):
    """How calls prove who they are; secret members come out masked."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(child=StrictCharField(allow_blank=True), **kwargs)
        self.error_messages["not_a_dict"] = "Must be an object with a type and its text values."

    def get_attribute(self, instance: Target) -> dict[str, str]:
        """The auth as it is shown; none is an object, too."""
        return mask_auth(instance.auth)


class MaskedField(StrictCharField):
    """Text that comes out masked."""

    def to_representation(self, value: object) -> str:
        """That there is one."""
        return MASK


@extend_schema_field({"type": ["string", "object", "array"]})
class BodyTemplateField(serializers.Field[str, Any, str, Any]):
    """Text as it is sent; a JSON object or array is kept as its JSON text."""

    def to_internal_value(self, data: Any) -> str:
        """The text of the body."""
        if isinstance(data, dict | list):
            return json.dumps(data, ensure_ascii=False)
        if not isinstance(data, str):
            raise serializers.ValidationError("Must be text, a JSON object, a JSON array or null.", code="invalid")
        problem = text_problem(data)
        if problem:
            raise serializers.ValidationError(problem, code="unsafe_text")
        return data

    def to_representation(self, value: str) -> str:
        """The text."""
        return value


class TargetSerializer(StrictSerializer):
    """What to call. Values are judged by targets.services; here their JSON types are."""

    id = serializers.UUIDField(read_only=True)
    name = StrictCharField(max_length=MAX_NAME_CHARS, trim_whitespace=True)
    url = StrictCharField(
        max_length=MAX_URL_TEMPLATE_CHARS,
        help_text="http or https; placeholders such as {{run_id}} may stand in path and query.",
    )
    method = StrictChoiceField(HttpMethod.choices, required=False)
    headers = HeadersField(
        required=False, help_text=f'Secret values come back as "{MASK}"; sending that back leaves them unchanged.'
    )
    body_template = BodyTemplateField(
        required=False,
        allow_null=True,
        help_text="Text with placeholders. A JSON object or array is stored as its JSON text. null sends no body.",
    )
    timeout_seconds = StrictNumberField(
        required=False, help_text="Total deadline of an attempt; at most MAX_TIMEOUT_SECONDS."
    )
    connect_timeout_seconds = StrictNumberField(required=False)
    follow_redirects = StrictBooleanField(required=False)
    verify_tls = StrictBooleanField(required=False)
    expected_status = StrictCharField(
        required=False, max_length=MAX_EXPECTED_STATUS_CHARS, help_text="Such as 200-299 or 200-204,404."
    )
    response_must_contain = StrictCharField(required=False, allow_null=True, max_length=MAX_MUST_CONTAIN_CHARS)
    max_concurrency = StrictIntegerField(
        required=False,
        allow_null=True,
        min_value=1,
        max_value=MAX_CONCURRENCY,
        help_text="Calls at once per worker process; null: 80 % of its seats.",
    )
    auth = AuthField(
        required=False, help_text=f'Secret members come back as "{MASK}"; sending that back leaves them unchanged.'
    )
    signing_secret = MaskedField(
        required=False,
        allow_null=True,
        max_length=200,
        help_text="whsec_ and 24 to 64 random bytes in base64: requests are signed by the Standard Webhooks "
        f'specification. Comes back as "{MASK}". After a change the old one signs too, for 24 hours.',
    )
    previous_signing_secret_until = MomentField(
        read_only=True,
        allow_null=True,
        help_text="Until when the signing secret before this one signs, or signed, too; null: there is none.",
    )
    created_at = MomentField(read_only=True)
    updated_at = MomentField(read_only=True)


class SecretSerializer(StrictSerializer):
    """A named secret. Values are judged by targets.secret_services; here their JSON types are."""

    id = serializers.UUIDField(read_only=True)
    name = StrictCharField(
        max_length=MAX_SECRET_NAME_CHARS,
        help_text="Letters, digits, hyphens and underscores: {{secret.NAME}} stands for it.",
    )
    value = MaskedField(
        required=False,
        allow_null=True,
        max_length=MAX_VALUE_CHARS,
        help_text=f'Comes back as "{MASK}"; sending that back leaves it unchanged. null: see reference.',
    )
    reference = StrictCharField(
        required=False,
        allow_null=True,
        max_length=MAX_REFERENCE_CHARS,
        help_text="env:NAME or file:PATH, read where and when it is sent, instead of a value stored here. "
        "The settings SECRETS_ENV_PREFIX and SECRETS_DIR say which.",
    )
    allowed_hosts = serializers.ListField(
        child=StrictCharField(max_length=253),
        required=False,
        max_length=MAX_HOSTS,
        help_text="The only hosts that it may be sent to. Empty: whoever may edit targets may send it anywhere.",
    )
    used_by = serializers.SerializerMethodField(help_text=f"The targets that use it, at most {MOST_SHOWN}, by name.")
    used_by_count = serializers.IntegerField(read_only=True)
    created_at = MomentField(read_only=True)
    updated_at = MomentField(read_only=True)

    @extend_schema_field(_USED_BY)
    def get_used_by(self, secret: Secret) -> list[dict[str, Any]]:
        """Id and name of each."""
        return [{"id": str(use.target_id), "name": use.target.name} for use in getattr(secret, "shown_uses", ())]
