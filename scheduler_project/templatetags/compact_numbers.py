"""Numbers for cards."""

from __future__ import annotations

from django import template

register = template.Library()


@register.filter
def compact(value: int) -> str:
    """A count with thin separators up to a million, then in millions: 12345 -> 12,345; 3400000 -> 3.4 M."""
    return f"{value / 1_000_000:.1f} M" if value >= 1_000_000 else f"{value:,}"
