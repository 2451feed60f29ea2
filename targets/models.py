"""Target: what to call. Secret: a value that targets send and nobody reads."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from targets.secrets import EncryptedJSONField

# Columns that are long or encrypted: whoever needs only the rest of a target defers them.
BULKY = ("headers", "body_template", "auth", "signing_secret", "previous_signing_secret")


class HttpMethod(models.TextChoices):
    """Methods that a target may use (RFC 9110, RFC 5789 for PATCH)."""

    GET = "GET"
    POST = "POST"
    PUT = "PUT"
    PATCH = "PATCH"
    DELETE = "DELETE"
    HEAD = "HEAD"
    OPTIONS = "OPTIONS"


class VisibleTargets(models.Manager["Target"]):
    """Targets that are not deleted: what every list, form and look-up sees."""

    def get_queryset(self) -> models.QuerySet[Target]:
        """Leave tombstones out."""
        return super().get_queryset().filter(deleted_at__isnull=True)


class Target(models.Model):
    """One external endpoint: request, limits, and what counts as success."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=200)
    url = models.TextField()
    method = models.CharField(max_length=7, choices=HttpMethod, default=HttpMethod.GET)
    headers = EncryptedJSONField(default=dict, blank=True)
    body_template = models.TextField(null=True, blank=True)  # noqa: DJ001 - null is "no body", "" is an empty one
    timeout_seconds = models.FloatField()
    connect_timeout_seconds = models.FloatField(default=10)
    follow_redirects = models.BooleanField(default=False)
    verify_tls = models.BooleanField(default=True)
    expected_status = models.CharField(max_length=200, default="200-299")
    response_must_contain = models.TextField(null=True, blank=True)  # noqa: DJ001 - null is "not checked"
    max_concurrency = models.PositiveIntegerField(null=True, blank=True)
    # targets.auth has the shapes; null is none.
    auth = EncryptedJSONField(null=True, blank=True)
    signing_secret = EncryptedJSONField(null=True, blank=True)
    # The one before, which signs too until then.
    previous_signing_secret = EncryptedJSONField(null=True, editable=False)
    previous_signing_secret_until = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    deleted_at = models.DateTimeField(null=True, editable=False)

    objects = VisibleTargets()
    with_deleted: models.Manager[Target] = models.Manager()

    class Meta:
        base_manager_name = "with_deleted"
        ordering = ("-created_at", "-id")
        indexes = [
            # TargetViewSet.list: newest first
            models.Index(fields=["-created_at", "-id"], name="target_newest", condition=Q(deleted_at__isnull=True)),
            # runs.maintenance.purge_deleted
            models.Index(fields=["deleted_at"], name="target_tombstones", condition=Q(deleted_at__isnull=False)),
        ]
        constraints = [
            models.CheckConstraint(name="target_method_known", condition=Q(method__in=HttpMethod.values)),
            models.CheckConstraint(name="target_timeout_positive", condition=Q(timeout_seconds__gt=0)),
            models.CheckConstraint(name="target_connect_timeout_positive", condition=Q(connect_timeout_seconds__gt=0)),
            models.CheckConstraint(
                name="target_max_concurrency_positive",
                condition=Q(max_concurrency__isnull=True) | Q(max_concurrency__gt=0),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Secret(models.Model):
    """A named value for `{{secret.NAME}}`: stored encrypted, or read where the worker runs when it is sent."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=64)
    value = EncryptedJSONField(null=True, blank=True)
    # `env:NAME` or `file:PATH`; null where the value is stored.
    reference = models.CharField(max_length=500, null=True, blank=True)  # noqa: DJ001 - null is "stored here"
    # Hosts in the form of targets.egress.normal_host; empty: it may be sent anywhere.
    allowed_hosts = models.JSONField(default=list, blank=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        # SecretViewSet.list
        ordering = ("name", "id")
        constraints = [
            models.UniqueConstraint(fields=["name"], name="secret_name_unique"),
            # Two names that differ in case only would be taken for each other.
            models.UniqueConstraint(Lower("name"), name="secret_name_unique_in_any_case"),
            models.CheckConstraint(
                name="secret_has_value_or_reference",
                condition=Q(value__isnull=True, reference__isnull=False)
                | Q(value__isnull=False, reference__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class SecretUse(models.Model):
    """A target that is not deleted names a secret; written with the target, under the secret's row lock."""

    id = models.BigAutoField(primary_key=True)
    # The unique constraint's index begins with it.
    target = models.ForeignKey(Target, on_delete=models.CASCADE, related_name="secret_uses", db_index=False)
    secret = models.ForeignKey(Secret, on_delete=models.PROTECT, related_name="uses")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["target", "secret"], name="secret_use_once"),
        ]

    def __str__(self) -> str:
        return f"{self.target_id} uses {self.secret_id}"
