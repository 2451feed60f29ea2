"""API keys and audit events as JSON."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from access.models import ApiKey, AuditEvent, Scope
from access.networks import MOST_CIDRS
from scheduler_project.strict_fields import (
    MomentField,
    StrictCharField,
    StrictChoiceField,
    StrictModelSerializer,
    StrictSerializer,
)

EXPIRY_HELP = "When the key ends; null: never."


class ApiKeySerializer(StrictModelSerializer):
    """A key without its text, which is shown once and never stored."""

    name = StrictCharField(max_length=200, help_text="What the key is for.")
    scopes = serializers.ListField(child=StrictChoiceField(Scope.values), read_only=True)
    cidrs = serializers.ListField(
        child=StrictCharField(max_length=50),
        required=False,
        max_length=MOST_CIDRS,
        help_text="Networks or addresses that the key may be used from; empty: from anywhere.",
    )
    expires_at = MomentField(required=False, allow_null=True, help_text=EXPIRY_HELP)
    created_at = MomentField(read_only=True)
    revoked_at = MomentField(read_only=True, allow_null=True, help_text="Since when the key is useless.")
    last_used_at = MomentField(read_only=True, allow_null=True, help_text="Exact to a minute.")

    class Meta:
        model = ApiKey
        fields: tuple[str, ...] = (
            "id",
            "name",
            "prefix",
            "scopes",
            "cidrs",
            "created_at",
            "expires_at",
            "revoked_at",
            "last_used_at",
        )
        read_only_fields = ("id", "prefix")


class NewApiKeySerializer(ApiKeySerializer):
    """What a new key is made from, and the answer: the only one that has the key's text."""

    scopes = serializers.ListField(
        child=StrictChoiceField(Scope.values),
        default=lambda: [Scope.READ.value, Scope.WRITE.value, Scope.RUN.value],
        allow_empty=False,
        help_text="At most those that you have yourself. admin includes all.",
    )
    key = serializers.SerializerMethodField(help_text="The key itself. Keep it now: it is not shown again.")

    class Meta(ApiKeySerializer.Meta):
        fields = (*ApiKeySerializer.Meta.fields, "key")

    def get_key(self, key: ApiKey) -> str:
        """The text, which the view hands over in the context."""
        text: Any = self.context["key_text"]
        return str(text)


class SignInSerializer(StrictSerializer):
    """A user's name and password."""

    username = StrictCharField()
    password = StrictCharField(write_only=True)


class RefreshSerializer(StrictSerializer):
    """A refresh token."""

    refresh = StrictCharField(max_length=4096)


class PairSerializer(serializers.Serializer[Any]):
    """A pair of tokens."""

    access = serializers.CharField(help_text="Send it as Authorization: Bearer ...")
    refresh = serializers.CharField(help_text="Good once, for the next pair.")
    token_type = serializers.ChoiceField(choices=["Bearer"])
    expires_in = serializers.IntegerField(help_text="Seconds that the access token is good for.")
    scopes = serializers.ListField(child=serializers.CharField(), help_text="What the user may do now.")


class AuditEventSerializer(StrictModelSerializer):
    """One event."""

    at = MomentField(read_only=True)
    key = serializers.CharField(read_only=True, help_text="The shown beginning of the API key that was used.")
    changes = serializers.DictField(
        child=serializers.ListField(), read_only=True, help_text="`{field: [before, after]}`, secrets masked."
    )

    class Meta:
        model = AuditEvent
        fields = (
            "id",
            "at",
            "action",
            "refused",
            "actor_type",
            "actor_id",
            "actor",
            "key",
            "address",
            "object_type",
            "object_id",
            "object_name",
            "changes",
            "detail",
            "request_id",
        )
        read_only_fields = fields
