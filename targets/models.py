"""Target: what to call."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q

from targets.secrets import EncryptedJSONField


class HttpMethod(models.TextChoices):
    """Methods that a target may use (RFC 9110, RFC 5789 for PATCH)."""

    GET = "GET"
    POST = "POST"
    PUT = "PUT"
    PATCH = "PATCH"
    DELETE = "DELETE"
    HEAD = "HEAD"
    OPTIONS = "OPTIONS"


class TargetQuerySet(models.QuerySet["Target"]):
    """Selections of targets."""

    def purgeable(self) -> TargetQuerySet:
        """Deleted targets, whose rows the worker removes in batches."""
        return self.filter(deleted_at__isnull=False)


class VisibleTargets(models.Manager["Target"]):
    """Targets that are not deleted: what every list, form and look-up sees."""

    def get_queryset(self) -> TargetQuerySet:
        """Leave tombstones out."""
        return TargetQuerySet(self.model, using=self._db).filter(deleted_at__isnull=True)


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
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    deleted_at = models.DateTimeField(null=True, editable=False)

    objects = VisibleTargets()
    with_deleted = TargetQuerySet.as_manager()

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
