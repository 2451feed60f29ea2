"""How the admin shows what was sent and what came back."""

from __future__ import annotations

import json
from contextlib import suppress

from django.contrib import admin
from django.utils.html import format_html

from runs.models import Attempt
from scheduler_project.admin_cells import NOTHING, as_text, badge, moment
from targets.counted import counted

# The columns that can hold a hundred kilobytes each.
BODIES = ("request_body", "response_body")


def indented(text: str) -> str:
    """JSON with line breaks; anything else as it is."""
    with suppress(ValueError, RecursionError):
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    return text


def as_lines(headers: dict[str, str]) -> str:
    """One header per line."""
    return "\n".join(f"{name}: {value}" for name, value in headers.items())


class AttemptFacts:
    """How one attempt is shown, on its own page and on its run's."""

    shown = ("outcome", "times", "request", "response")

    @admin.display(description="Outcome")
    def outcome(self, attempt: Attempt) -> str:
        """Status code, error class, sentence."""
        if attempt.completed_at is None:
            return badge("running")
        kind = "success" if attempt.error_type == "none" else attempt.error_type
        late = "It came after the run had been given to another worker, and changed nothing." if attempt.fenced else ""
        return format_html("{} {} {}", badge(kind), attempt.error_message or attempt.status_code or "", late)

    @admin.display(description="Times")
    def times(self, attempt: Attempt) -> str:
        """Start, latency and its parts."""
        parts = [
            f"{name.removesuffix('_ms')} {value:.1f} ms"
            for name, value in attempt.timings.items()
            if isinstance(value, int | float)
        ]
        return format_html("{} {}", moment(attempt.started_at), ", ".join(parts))

    @admin.display(description="Request")
    def request(self, attempt: Attempt) -> str:
        """As it was sent, secrets masked."""
        body = self.body_of(attempt, "request_body")
        line = f"{attempt.request_method} {attempt.request_url}"
        return format_html("<code>{}</code>{}{}", line, as_text(as_lines(attempt.request_headers)), body)

    @admin.display(description="Response")
    def response(self, attempt: Attempt) -> str:
        """As it is stored."""
        if attempt.status_code is None:
            return NOTHING
        size = "" if attempt.response_size_bytes is None else f", {counted(attempt.response_size_bytes, 'byte')}"
        cut = ", of which the beginning was kept" if attempt.response_truncated else ""
        line = f"{attempt.status_code} from {attempt.remote_ip or 'unknown'}{size}{cut}"
        body = self.body_of(attempt, "response_body")
        return format_html("<code>{}</code>{}{}", line, as_text(as_lines(attempt.response_headers)), body)

    def body_of(self, attempt: Attempt, name: str) -> str:
        """A body in full, JSON indented, as inert text."""
        text = getattr(attempt, name)
        return as_text(indented(text)) if text else ""
