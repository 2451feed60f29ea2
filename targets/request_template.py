"""From the row to the value: what a target says about its request."""

from __future__ import annotations

from targets.models import Target
from targets.request_spec import RequestTemplate, TemplateProblem
from targets.secrets import Undecryptable


def request_template(target: Target) -> RequestTemplate:
    """The target's request with its placeholders still in it, ready for `render_request`.

    Raises:
        TemplateProblem: the stored headers can't be decrypted.
    """
    if isinstance(target.headers, Undecryptable):
        raise TemplateProblem(f"The target's headers can't be decrypted. {Undecryptable.REMEDY}")
    return RequestTemplate(
        method=target.method,
        url=target.url,
        headers=target.headers,
        body_template=target.body_template,
        timeout_seconds=target.timeout_seconds,
        connect_timeout_seconds=target.connect_timeout_seconds,
        follow_redirects=target.follow_redirects,
        verify_tls=target.verify_tls,
        expected_status=target.expected_status,
        response_must_contain=target.response_must_contain,
    )
