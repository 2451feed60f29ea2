"""/api-keys and /audit: who may use the API, and who did what. For those with the scope admin only."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import transaction
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from access.filters import ApiKeyFilters, AuditFilters
from access.keys import CHANGEABLE, create_key, revoke_key, update_key
from access.models import ApiKey, AuditEvent, Scope
from access.principals import scopes_of
from access.serializers import ApiKeySerializer, AuditEventSerializer, NewApiKeySerializer
from scheduler_project.audit_trail import Watch, note_created, note_done, note_updated
from scheduler_project.created import created_response
from scheduler_project.empty_body import NothingSerializer, expect_no_fields
from scheduler_project.etags import etag_of, if_match_check
from scheduler_project.idempotent import idempotent, idempotent_with_secret
from scheduler_project.pagination import NewestFirst
from scheduler_project.resource import ResourceViewSet


def key_etag(key: ApiKey) -> str:
    """The version of what can be changed; use and revocation are none of it."""
    return etag_of({name: getattr(key, name) for name in CHANGEABLE}, CHANGEABLE)


class ApiKeyViewSet(ListModelMixin, ResourceViewSet):
    """API keys. Revoked ones stay on the list: they tell who had access."""

    queryset = ApiKey.objects.all()
    serializer_class = ApiKeySerializer
    filter_backends = (ApiKeyFilters,)
    required_scopes: ClassVar[dict[str, str]] = dict.fromkeys(
        ("list", "create", "retrieve", "partial_update", "destroy", "revoke"), Scope.ADMIN
    )

    @extend_schema(request=NewApiKeySerializer, responses={201: NewApiKeySerializer})
    @idempotent_with_secret
    def create(self, request: Request) -> Response:
        """Make a key. This answer is the only one that has its text in `key`."""
        sent = NewApiKeySerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        values = {"cidrs": [], "expires_at": None, **sent.validated_data}
        key, text = create_key(**values, granted_by=scopes_of(request), now=timezone.now())
        note_created(key)
        data = NewApiKeySerializer(key, context={"key_text": text}).data
        headers = {"ETag": key_etag(key), "Cache-Control": "no-store"}
        return created_response(request, data, route="api-key-detail", created_id=key.id, headers=headers)

    def retrieve(self, request: Request, /, **kwargs: Any) -> Response:
        """One key, without its text."""
        return self._answer(ApiKey.objects.get(pk=self.path_id))

    @transaction.atomic
    def partial_update(self, request: Request, /, **kwargs: Any) -> Response:
        """Change name, networks or end. Scopes can't be changed: make another key."""
        sent = self.get_serializer(data=request.data, partial=True)
        sent.is_valid(raise_exception=True)
        watch = Watch(if_match_check(request, key_etag))
        key = update_key(key_id=self.path_id, changes=sent.validated_data, now=timezone.now(), check=watch)
        note_updated(key, watch.before)
        return self._answer(key)

    @transaction.atomic
    def destroy(self, request: Request, /, **kwargs: Any) -> Response:
        """Revoke, as POST revoke does: the key is useless at once, its row stays for the record."""
        key = revoke_key(key_id=self.path_id, now=timezone.now(), check=if_match_check(request, key_etag))
        note_done("revoke", key)
        return Response(status=204)

    @extend_schema(request=NothingSerializer, responses=ApiKeySerializer)
    @action(detail=True, methods=["post"])
    @idempotent
    def revoke(self, request: Request, /, **kwargs: Any) -> Response:
        """Make the key useless at once, for good."""
        expect_no_fields(request)
        key = revoke_key(key_id=self.path_id, now=timezone.now())
        note_done("revoke", key)
        return self._answer(key)

    def _answer(self, key: ApiKey) -> Response:
        return Response(self.get_serializer(key).data, headers={"ETag": key_etag(key)})


class AuditViewSet(ListModelMixin, ResourceViewSet):
    """The audit trail, newest first: written once, never changed."""

    queryset = AuditEvent.objects.all()
    serializer_class = AuditEventSerializer
    pagination_class = NewestFirst
    filter_backends = (AuditFilters,)
    http_method_names = ["get", "head"]
    required_scopes: ClassVar[dict[str, str]] = {"list": Scope.ADMIN}
