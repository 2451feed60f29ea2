"""Targets as claim needs them, kept between ticks: decrypting and rendering one costs as much as a call to it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from targets.models import Target
from targets.plain_request import PlainRequest, plain_request
from targets.request_template import request_template

# Bounds the memory: a body template can have 256 KB.
MOST_KEPT = 500
LONGEST_BODY_KEPT = 16_384


@dataclass(frozen=True, slots=True)
class KnownTarget:
    """A target's row, and its request where that is the same for every Run but for our own headers."""

    target: Target
    plain: PlainRequest | None


class KnownTargets:
    """The targets that were claimed for last. Every edit changes `updated_at`, so that a row read then is never old."""

    def __init__(self) -> None:
        """None yet."""
        # The longest unused first.
        self._kept: OrderedDict[UUID, KnownTarget] = OrderedDict()

    def get(self, wanted: Mapping[UUID, datetime], *, now: datetime) -> dict[UUID, KnownTarget]:
        """The targets by id; `wanted` has their `updated_at`. One query for those that are new or edited, or none."""
        found: dict[UUID, KnownTarget] = {}
        for target_id, updated_at in wanted.items():
            known = self._kept.get(target_id)
            if known is not None and known.target.updated_at == updated_at:
                self._kept.move_to_end(target_id)
                found[target_id] = known
        missing = wanted.keys() - found.keys()
        if missing:
            for target in Target.with_deleted.filter(id__in=missing):
                found[target.id] = self._keep(KnownTarget(target, _plain(target, now=now)))
        return found

    def _keep(self, known: KnownTarget) -> KnownTarget:
        self._kept.pop(known.target.id, None)
        if len(known.target.body_template or "") <= LONGEST_BODY_KEPT:
            self._kept[known.target.id] = known
        if len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return known


def _plain(target: Target, *, now: datetime) -> PlainRequest | None:
    try:
        return plain_request(request_template(target, now=now))
    except Exception:
        # Rendering it for a Run says what is wrong, on that Run.
        return None
