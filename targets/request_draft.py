"""From a template to what the executor gets: a finished request, or a draft that lacks the named secrets.

A draft is finished right before it is sent, by the thread that sends it: a reference may lead to a slow file, and no
transaction should wait for that. What is stored of a request is known without its secrets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from targets.placeholders import RenderContext, TemplateProblem
from targets.request_spec import RequestSpec, RequestTemplate, ShownRequest, render_request, shown_request
from targets.scrubbing import known_secrets
from targets.secret_places import SecretSource, place_problem, secret_places
from targets.secret_references import read_secret


@dataclass(frozen=True, slots=True)
class RequestDraft:
    """A request whose named secrets are still to be read."""

    template: RequestTemplate = field(repr=False)
    context: RenderContext
    sources: Mapping[str, SecretSource] = field(repr=False)


Sendable = RequestSpec | RequestDraft


def prepare_request(
    template: RequestTemplate, context: RenderContext, secrets: Mapping[str, SecretSource]
) -> tuple[Sendable, ShownRequest]:
    """What is to be sent, and what of it is to be stored.

    Args:
        template: what the target says.
        context: the values behind the placeholders, without secrets.
        secrets: the named secrets by name; more than the template asks for do no harm.

    Raises:
        TemplateProblem: the template gives no request, or a secret is missing or may not be sent there.
    """
    shown_context = replace(context, secrets=None)
    places = list(
        secret_places(
            url=template.url, headers=template.headers, body_template=template.body_template, auth=template.auth
        )
    )
    if not places:
        spec = render_request(template, context)
        masked = render_request(template, shown_context) if template.auth else spec
        return spec, shown_request(masked, spec.secrets)
    for place in places:
        problem = place_problem(place, secrets)
        if problem is not None:
            raise TemplateProblem(problem)
    sources = {place.name: secrets[place.name] for place in places}
    named = [source.value for source in sources.values() if source.value is not None]
    known = known_secrets(
        headers=template.headers, auth=template.auth, signing_secrets=template.signing_secrets, named=named
    )
    return RequestDraft(template, context, sources), shown_request(render_request(template, shown_context), known)


def finish_request(request: Sendable) -> RequestSpec:
    """The request as it is sent; reads the named secrets where some are missing.

    Raises:
        TemplateProblem: a secret can't be read, or with it the request may not be sent.
    """
    if isinstance(request, RequestSpec):
        return request
    values = {name: read_secret(source) for name, source in request.sources.items()}
    return render_request(request.template, replace(request.context, secrets=values))
