"""API keys, and the answers kept for repeated POSTs with the same Idempotency-Key."""

from __future__ import annotations

import uuid

from django.db import models


class Scope(models.TextChoices):
    """What a key may do: read lists, write targets and schedules, run calls, administer."""

    READ = "read"
    WRITE = "write"
    RUN = "run"
    ADMIN = "admin"


class ApiKey(models.Model):
    """A bearer key. Only its hash is kept; `prefix` lets people tell keys apart."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=200)
    prefix = models.CharField(max_length=16)
    key_hash = models.CharField(max_length=64, unique=True)
    scopes = models.JSONField(default=list)
    # Networks that it may be used from; empty: from anywhere.
    cidrs = models.JSONField(default=list, blank=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created_at", "-id")
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}...)"


class IdempotentRequest(models.Model):
    """The answer to a POST that carried an Idempotency-Key; `status_code` is null while it is in flight."""

    id = models.BigAutoField(primary_key=True)
    # The key or user that sent it, so that two clients' keys never meet.
    owner = models.CharField(max_length=64)
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    status_code = models.PositiveSmallIntegerField(null=True)
    headers = models.JSONField(default=dict)
    body = models.TextField(default="", blank=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["owner", "key"], name="idempotent_request_unique")]
        # access.idempotency.forget_old
        indexes = [models.Index(fields=["created_at"], name="idempotent_request_age")]

    def __str__(self) -> str:
        return f"{self.owner} {self.key}"
