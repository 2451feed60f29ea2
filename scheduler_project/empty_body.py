"""The body of a POST that needs none."""

from __future__ import annotations

from rest_framework.request import Request

from scheduler_project.strict_fields import StrictSerializer


class NothingSerializer(StrictSerializer):
    """An object without fields, or no body at all."""


def expect_no_fields(request: Request) -> None:
    """Let the request pass if its body names no field; raises ValidationError (422) otherwise."""
    NothingSerializer(data=request.data).is_valid(raise_exception=True)
