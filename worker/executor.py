"""Executes one HTTP try: a request in, an outcome out, and nothing is raised."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from dataclasses import replace
from http.client import HTTPException

from runs.outcome import ErrorType, Outcome, expects, judge
from targets.auth import ClientCredentials
from targets.egress import EgressPolicy
from targets.placeholders import TemplateProblem
from targets.request_draft import Sendable, finish_request
from targets.request_spec import RequestSpec
from targets.scrubbing import scrubber_of
from worker.call import Call, Failure, Phase, Withheld
from worker.connections import Answer
from worker.failures import classify
from worker.header_fields import HeaderFields
from worker.redirects import MAX_REDIRECTS, REDIRECT_STATUSES, next_hop
from worker.resolver import Lookup, Resolver, system_lookup
from worker.response_body import Body
from worker.response_text import charset_of, marked, printable, stored_headers, stored_text
from worker.token_endpoint import AccessToken, no_token, read_token, token_request
from worker.tokens import Tokens
from worker.transport import Transport
from worker.watchdog import Watchdog

logger = logging.getLogger(__name__)

_BIGGEST_SIZE = 2**63 - 1


def always() -> bool:
    """The right to send that is never lost."""
    return True


class Reply:
    """What has come back so far; whatever fails later, it is recorded."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.status_code: int | None = None
        self.headers: HeaderFields = HeaderFields()
        self.body = Body()
        # The access tokens that were sent.
        self.tokens: list[str] = []

    def take_head(self, response: Answer) -> None:
        """Replace what an earlier hop gave."""
        self.status_code = response.status
        self.headers = response.headers
        self.body = Body()

    @property
    def truncated(self) -> bool:
        """Whether there was, or may have been, more of the body than is stored."""
        return self.status_code is not None and self.size_bytes != 0 and self.body.truncated

    @property
    def size_bytes(self) -> int | None:
        """Content-Length, else the bytes read, before any decoding; None without a response."""
        if self.status_code is None:
            return None
        announced = self.headers.get("content-length", "").partition(",")[0].strip()
        if announced.isascii() and announced.isdigit() and len(announced) < 20:
            return min(int(announced), _BIGGEST_SIZE)
        return self.body.wire_bytes


class Executor:
    """The one way by which requests of schedules leave. Thread-safe."""

    def __init__(self, policy: EgressPolicy, threads: int, *, lookup: Lookup = system_lookup) -> None:
        """`threads` is how many calls may be made at once; `lookup` resolves host names."""
        self._resolver = Resolver(threads, lookup)
        self._watchdog = Watchdog()
        self.transport = Transport(policy, self._resolver, idle_limit=threads)
        self._tokens = Tokens(self._fetch_token)

    def execute(self, request: Sendable, *, may_send: Callable[[], bool] = always) -> Outcome:
        """Make the call and judge it. Ends within the request's `timeout_seconds` + 1 s, whatever the target does.

        `may_send` is asked right before the first byte leaves; a False gives `Outcome(withheld=True)`.
        """
        try:
            finished = finish_request(request)
        except TemplateProblem as problem:
            return Outcome(error_type=ErrorType.TEMPLATE, error_message=str(problem))
        except Exception as error:
            return Outcome(error_type=ErrorType.UNKNOWN, error_message=_broke(error))
        return self._call(finished, may_send)

    def _call(self, request: RequestSpec, may_send: Callable[[], bool]) -> Outcome:
        call = Call(
            timeout_seconds=request.timeout_seconds,
            connect_timeout_seconds=request.connect_timeout_seconds,
            verify_tls=request.verify_tls,
            may_send=may_send,
            watchdog=self._watchdog,
        )
        reply = Reply()
        try:
            self._exchange(request, call, reply)
            return _outcome(request, call, reply, None)
        except Withheld:
            return Outcome(error_type=ErrorType.UNKNOWN, error_message="Not sent.", withheld=True)
        except Failure as failure:
            return _outcome(request, call, reply, failure)
        except Exception as error:
            return _outcome(request, call, reply, Failure(ErrorType.UNKNOWN, _broke(error)))
        finally:
            call.unguard()

    def close(self) -> None:
        """Let go of threads and idle connections. Calls under way end as they would have."""
        self.transport.close()
        self._watchdog.close()
        self._resolver.close()

    def _exchange(self, request: RequestSpec, call: Call, reply: Reply) -> None:
        """Send, with an access token where one is needed; if the target refuses that, once more with a new one."""
        credentials = request.client_credentials
        if credentials is None:
            self._send(request, call, reply)
            return
        reply.tokens.append(self._tokens.get(credentials, call))
        last = self._send(_with_token(request, reply.tokens[-1]), call, reply)
        refused = reply.status_code == 401 and "Authorization" in last.headers
        if refused and not expects(request.expected_status, 401):
            reply.tokens.append(self._tokens.get(credentials, call, refused=reply.tokens[-1]))
            self._send(_with_token(request, reply.tokens[-1]), call, reply)

    def _fetch_token(self, credentials: ClientCredentials, call: Call) -> AccessToken:
        """Ask the token endpoint, through the same door and within the time of the call that needs the token."""
        seconds, to_connect = call.timeout_seconds, call.connect_timeout_seconds
        asking = Call(
            timeout_seconds=seconds,
            connect_timeout_seconds=to_connect,
            verify_tls=credentials.verify_tls,
            may_send=call.may_send,
            watchdog=self._watchdog,
            started=call.started,
        )
        reply = Reply()
        try:
            self._send(
                token_request(credentials, timeout_seconds=seconds, connect_timeout_seconds=to_connect), asking, reply
            )
        except Failure as failure:
            raise no_token(credentials, failure.error_type, failure.message) from failure
        finally:
            asking.unguard()
        return read_token(credentials, reply.status_code or 0, reply.body.data)

    def _send(self, request: RequestSpec, call: Call, reply: Reply) -> RequestSpec:
        """Send, and follow redirects where the request says so, until a response is the last; what that answered."""
        hop = request
        for _ in range(MAX_REDIRECTS + 1):
            response = self.transport.fetch(hop, call)
            try:
                reply.take_head(response)
                location = reply.headers.get("location")
                if not request.follow_redirects or location is None or response.status not in REDIRECT_STATUSES:
                    _read_body(request, call, reply, response)
                    return hop
                hop = next_hop(hop, response.status, location)
            finally:
                response.close()
                call.unguard()
        message = f"The target redirected more than {MAX_REDIRECTS} times."
        raise Failure(ErrorType.REDIRECT, message)


def _read_body(request: RequestSpec, call: Call, reply: Reply, response: Answer) -> None:
    """Read what is stored. The body of a redirect that is not followed is of no use to anyone."""
    if 300 <= response.status <= 399 and not expects(request.expected_status, response.status):
        return
    call.phase = Phase.BODY
    try:
        reply.body.read(response, reply.headers, call.seconds_left)
    except (HTTPException, OSError) as error:
        call.unguard()
        raise classify(error, call) from error
    call.unguard()
    if call.expired:
        # A socket that was shut down looks like one that the target closed, and so like the end of the body.
        reply.body.at_end = False
        raise call.too_late()


def _with_token(request: RequestSpec, token: str) -> RequestSpec:
    return replace(request, headers={**request.headers, "Authorization": f"Bearer {token}"})


def _broke(error: Exception) -> str:
    """Log what nobody expected, and what to say of it."""
    # Without the message: it may quote the request.
    steps = traceback.extract_tb(error.__traceback__)
    where = " < ".join(f"{step.filename}:{step.lineno}" for step in reversed(steps))
    logger.error("call broke", extra={"action": "call_broke", "error": type(error).__name__, "where": where})
    return f"The call failed inside the scheduler ({type(error).__name__}); the worker's log says where."


def _outcome(request: RequestSpec, call: Call, reply: Reply, failure: Failure | None) -> Outcome:
    # Targets like to send back what they were sent: no secret of it is stored, wherever it comes up.
    scrubber = scrubber_of((*request.secrets, *reply.tokens))
    charset, coding = charset_of(reply.headers), reply.body.undecoded
    text, truncated = stored_text(reply.body.data, charset, truncated=reply.truncated, scrubber=scrubber)
    if failure is not None:
        error_type, message = failure.error_type, failure.message
    else:
        location = reply.headers.get("location")
        error_type, message = judge(
            status_code=reply.status_code or 0,
            expected_status=request.expected_status,
            response_must_contain=request.response_must_contain,
            body=text,
            follow_redirects=request.follow_redirects,
            location=None if location is None else printable(location),
        )
    timings = call.timings()
    return Outcome(
        error_type=error_type,
        error_message=scrubber.sentence(message),
        latency_ms=timings.total_ms or 0.0,
        status_code=reply.status_code,
        response_headers=stored_headers(
            (scrubber.text(name), scrubber.text(value)) for name, value in reply.headers.items()
        ),
        response_body=marked(text, None if coding is None else scrubber.sentence(coding)),
        response_truncated=truncated,
        response_size_bytes=reply.size_bytes,
        timings=timings,
        remote_ip=call.remote_ip,
    )
