"""API keys, sign-ins and their failures, answers kept for repeated POSTs, and the audit trail."""

from __future__ import annotations

import uuid
from typing import Any, NoReturn

from django.conf import settings
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


class KeySchedule(models.Model):
    """Which schedule a key has made: for MAX_SCHEDULES_PER_KEY. No reference: schedules are purged in bulk."""

    id = models.BigAutoField(primary_key=True)
    key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="schedules")
    schedule_id = models.UUIDField(unique=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.key_id} made {self.schedule_id}"


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


class LoginFailure(models.Model):
    """How often signing in has failed lately, for an account from an address or for an address: see access.lockout."""

    id = models.BigAutoField(primary_key=True)
    # Which of the two, hashed: names that nobody has may be passwords.
    subject = models.CharField(max_length=64, unique=True)
    # Of an account that exists; for the operator's list.
    username = models.CharField(max_length=150, blank=True)
    address = models.CharField(max_length=64)
    failures = models.PositiveIntegerField(default=0)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    locked_until = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-last_at", "-id")
        default_permissions = ("view", "change")
        verbose_name = "failed sign-in"
        # access.lockout.forget_old
        indexes = [models.Index(fields=["last_at"], name="login_failure_age")]

    def __str__(self) -> str:
        return f"{self.username or 'any account'} from {self.address}"


class SignIn(models.Model):
    """A person's or script's sign-in at POST /auth/token; its tokens name it and are worth nothing without it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="sign_ins")
    address = models.CharField(max_length=64)
    # Django's fingerprint of the password: another password ends the sign-in.
    credentials = models.CharField(max_length=128)
    # The only refresh token that is good.
    refresh_id = models.CharField(max_length=64)
    created_at = models.DateTimeField()
    refreshed_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-created_at", "-id")
        default_permissions = ("view", "change")
        verbose_name = "sign-in"
        # access.tokens.forget_old
        indexes = [models.Index(fields=["expires_at"], name="sign_in_age")]

    def __str__(self) -> str:
        return f"{self.user} from {self.address}"


class ActorType(models.TextChoices):
    """What kind of somebody acts; `system` is the service itself, `anonymous` a request without credentials."""

    KEY = "key"
    USER = "user"
    COMMAND = "command"
    ANONYMOUS = "anonymous"
    SYSTEM = "system"


class AppendOnly(Exception):
    """Somebody tried to change or delete an audit event."""

    def __init__(self) -> None:
        super().__init__("Audit events are written once and never changed or deleted.")


class AppendOnlyQuerySet(models.QuerySet["AuditEvent"]):
    """Reads and inserts, nothing else."""

    def update(self, **kwargs: Any) -> NoReturn:
        """Never."""
        raise AppendOnly

    def bulk_update(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Never."""
        raise AppendOnly

    def delete(self) -> NoReturn:
        """Never; `access.audit.forget_old` removes what is old."""
        raise AppendOnly


class AuditEvent(models.Model):
    """Something that was done, or refused. The database's own triggers refuse changes too, and deletions for a month.

    Nothing references other tables: the trail outlives the keys, people and things that it names.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    at = models.DateTimeField()
    actor_type = models.CharField(max_length=16, choices=ActorType)
    actor_id = models.CharField(max_length=64, blank=True)
    actor = models.CharField(max_length=255, blank=True)
    key = models.CharField(max_length=16, blank=True)
    address = models.CharField(max_length=64, blank=True)
    action = models.CharField(max_length=64)
    object_type = models.CharField(max_length=32, blank=True)
    object_id = models.CharField(max_length=64, blank=True)
    object_name = models.CharField(max_length=255, blank=True)
    # {field: [before, after]}, secrets masked.
    changes = models.JSONField(default=dict, blank=True)
    detail = models.CharField(max_length=500, blank=True)
    refused = models.BooleanField(default=False)
    request_id = models.CharField(max_length=64, blank=True)

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        default_permissions = ("view",)
        indexes = [
            # AuditViewSet.list, newest first by what people look for
            models.Index(fields=["object_id", "-id"], name="audit_by_object"),
            models.Index(fields=["actor_id", "-id"], name="audit_by_actor"),
            models.Index(fields=["action", "-id"], name="audit_by_action"),
            # access.audit.forget_old, record_refusal
            models.Index(fields=["at"], name="audit_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.object_name}".strip()

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert; an event that exists stays as it is."""
        if not self._state.adding:
            raise AppendOnly
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Never."""
        raise AppendOnly
