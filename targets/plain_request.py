"""A request without placeholders, rendered once: from Run to Run only our own headers change."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

from targets.placeholders import RenderContext
from targets.request_spec import RequestSpec, RequestTemplate, ShownRequest, own_headers, render_request, shown_request
from targets.scrubbing import scrubber_of

_OPENING = "{{"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NOBODY = RenderContext(
    run_id=UUID(int=0),
    created_at=_EPOCH,
    scheduled_at=_EPOCH,
    attempt_number=0,
    schedule_id=UUID(int=0),
    schedule_name="",
    target_name="",
    attempted_at=_EPOCH,
)


@dataclass(frozen=True, slots=True)
class PlainRequest:
    """What is to be sent and what of it is to be stored, both without our own headers."""

    spec: RequestSpec
    shown: ShownRequest

    def prepare(self, context: RenderContext) -> tuple[RequestSpec, ShownRequest]:
        """The same as `request_draft.prepare_request` gives for the template."""
        own = own_headers(context)
        spec = replace(self.spec, headers={**self.spec.headers, **own})
        if self.spec.secrets:
            scrub = scrubber_of(self.spec.secrets).text
            own = {name: scrub(value) for name, value in own.items()}
        return spec, ShownRequest(self.shown.url, {**self.shown.headers, **own}, self.shown.body)


def plain_request(template: RequestTemplate) -> PlainRequest | None:
    """The template's request, None where it depends on the Run, on named secrets or on the time.

    Raises:
        TemplateProblem: the template gives no request.
    """
    texts = (template.url, template.body_template or "", *template.headers.values(), *(template.auth or {}).values())
    if template.signing_secrets or any(_OPENING in text for text in texts):
        return None
    spec = render_request(template, _NOBODY)
    masked = render_request(template, replace(_NOBODY, secrets=None)) if template.auth else spec
    shown = shown_request(masked, spec.secrets)
    own = own_headers(_NOBODY).keys()
    return PlainRequest(
        replace(spec, headers={name: value for name, value in spec.headers.items() if name not in own}),
        replace(shown, headers={name: value for name, value in shown.headers.items() if name not in own}),
    )
