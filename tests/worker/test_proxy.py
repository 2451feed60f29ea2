"""Calls through EGRESS_PROXY_URL: what the proxy is told, what is still judged here, and how its failures read (D1)."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from threading import Event

import pytest

from runs.outcome import ErrorType, Outcome
from targets.egress import EgressPolicy
from targets.egress_proxy import parse_proxy_url
from targets.request_spec import RequestSpec
from tests.certificates import Authority
from tests.connect_proxy import ConnectProxy, Serve
from tests.hostile_sockets import closed_port
from tests.http_target import RecordingTarget
from tests.worker.calls import Names, spec
from worker.executor import Executor

NAME = "api.example"
LOOPBACK = (ip_network("127.0.0.0/8"),)


def through(
    proxy_url: str, *, resolves: bool = False, hosts: str = NAME, networks: bool = False, own: str = ""
) -> EgressPolicy:
    """A policy with a proxy, that opens nothing but `hosts`, and loopback if asked to."""
    return EgressPolicy(
        allow_hosts=frozenset(hosts.split()),
        allow_networks=LOOPBACK if networks else (),
        own_hosts=frozenset(own.split()),
        proxy=replace(parse_proxy_url(proxy_url), resolves=resolves),
    )


def execute(policy: EgressPolicy, request: RequestSpec, names: Names | None = None) -> Outcome:
    executor = Executor(policy, 4, lookup=names or Names({NAME: ["127.0.0.1"]}))
    outcome = executor.execute(request)
    executor.close()
    return outcome


@pytest.fixture
def proxy() -> Iterator[ConnectProxy]:
    """A proxy that does what it should."""
    with ConnectProxy() as server:
        yield server


def answering(data: bytes) -> Serve:
    """Answer CONNECT with these bytes, and nothing more."""

    def serve(client: socket.socket, stopping: Event) -> None:
        client.sendall(data)

    return serve


def test_the_proxy_is_told_the_address_that_was_judged_and_the_target_its_name(
    proxy: ConnectProxy, target: RecordingTarget
) -> None:
    outcome = execute(through(proxy.url()), spec(target.url("/echo?a=b", host=NAME), method="POST", body=b"hello"))
    assert (outcome.error_type, outcome.remote_ip) == (ErrorType.NONE, "127.0.0.1")
    assert proxy.asked == [f"127.0.0.1:{target.port}"]
    sent = json.loads(outcome.response_body)
    assert (sent["method"], sent["path"], sent["body"]) == ("POST", "/echo?a=b", "hello")
    assert sent["headers"]["host"] == f"{NAME}:{target.port}"
    assert outcome.timings.connect_ms is not None


def test_the_name_is_looked_up_once(proxy: ConnectProxy, target: RecordingTarget) -> None:
    names = Names({NAME: ["127.0.0.1", "10.0.0.1"]})
    assert execute(through(proxy.url()), spec(target.url("/x", host=NAME)), names).error_type is ErrorType.NONE
    assert names.asked == [NAME]


def test_the_certificate_is_checked_against_the_name(proxy: ConnectProxy) -> None:
    authority = Authority()
    executor = Executor(through(proxy.url(), hosts=f"{NAME} other.example"), 1, lookup=Names({NAME: ["127.0.0.1"]}))
    authority.trust(executor.transport.contexts[True])
    with RecordingTarget(tls=authority.server(NAME)) as secure:
        good = executor.execute(spec(secure.url("/x", host=NAME)))
        assert (good.error_type, good.timings.tls_ms is not None) == (ErrorType.NONE, True)
    with RecordingTarget(tls=authority.server("other.example")) as secure:
        assert executor.execute(spec(secure.url("/x", host=NAME))).error_type is ErrorType.SSL
    executor.close()


def test_the_proxys_own_address_needs_no_permission(proxy: ConnectProxy, target: RecordingTarget) -> None:
    # It listens on loopback, which this policy opens for the target's name only.
    assert execute(through(proxy.url()), spec(target.url("/x", host=NAME))).error_type is ErrorType.NONE
    blocked = execute(through(proxy.url()), spec(target.url("/x")))
    assert (blocked.error_type, len(target.calls())) == (ErrorType.BLOCKED, 1)


@pytest.mark.parametrize(
    ("url", "resolves"),
    [
        *((url, resolves) for url in ("http://10.0.0.5/", "http://[::1]/", "http://[fe80::1]/") for resolves in (0, 1)),
        ("http://inside.example/", False),
    ],
)
def test_what_is_closed_without_a_proxy_is_closed_with_one(proxy: ConnectProxy, url: str, resolves: bool) -> None:
    names = Names({"inside.example": ["192.168.0.1"]})
    outcome = execute(through(proxy.url(), resolves=resolves), spec(url), names)
    assert outcome.error_type is ErrorType.BLOCKED
    assert "EGRESS_ALLOW_CIDRS" in outcome.error_message
    assert proxy.connections == 0


@pytest.mark.parametrize("resolves", [False, True])
def test_a_refused_port_is_refused_before_the_proxy_is_asked(proxy: ConnectProxy, resolves: bool) -> None:
    outcome = execute(through(proxy.url(), resolves=resolves), spec(f"http://{NAME}:6379/"))
    assert (outcome.error_type, proxy.connections) == (ErrorType.BLOCKED, 0)
    assert "EGRESS_ALLOW_PORTS" in outcome.error_message


def test_every_hop_of_a_redirect_is_judged_and_goes_through_the_proxy(
    proxy: ConnectProxy, target: RecordingTarget
) -> None:
    policy = through(proxy.url())
    followed = spec(target.url(f"/redirect?to={target.url('/echo', host=NAME)}", host=NAME), follow_redirects=True)
    assert execute(policy, followed).error_type is ErrorType.NONE
    inward = spec(target.url("/redirect?to=http://10.0.0.1/", host=NAME), follow_redirects=True)
    assert execute(policy, inward).error_type is ErrorType.BLOCKED
    assert set(proxy.asked) == {f"127.0.0.1:{target.port}"}


def test_a_proxy_that_resolves_is_told_the_name_and_nothing_is_looked_up_here(target: RecordingTarget) -> None:
    names = Names({})
    with ConnectProxy(names={"only-the-proxy.example": "127.0.0.1"}) as proxy:
        policy = through(proxy.url(), resolves=True, hosts="")
        outcome = execute(policy, spec(target.url("/x", host="only-the-proxy.example")), names)
        assert proxy.asked == [f"only-the-proxy.example:{target.port}"]
    assert (outcome.error_type, outcome.remote_ip, names.asked) == (ErrorType.NONE, None, [])


def test_this_services_own_name_stays_closed_where_the_proxy_resolves(proxy: ConnectProxy) -> None:
    policy = through(proxy.url(), resolves=True, hosts="", own="scheduler.example")
    outcome = execute(policy, spec("http://scheduler.example/api/v1/health"))
    assert (outcome.error_type, proxy.connections) == (ErrorType.BLOCKED, 0)
    assert "this service's own address" in outcome.error_message


def test_credentials_go_to_the_proxy_and_nowhere_else(proxy: ConnectProxy, target: RecordingTarget) -> None:
    outcome = execute(through(proxy.url("us%3Aer:p%40ss")), spec(target.url("/echo", host=NAME)))
    assert "Proxy-Authorization: Basic dXM6ZXI6cEBzcw==\r\n" in proxy.heads[0]
    assert "proxy" not in outcome.response_body.lower()
    assert not [name for name in target.calls()[0].headers if name.startswith("proxy-")]


def test_a_tunnel_is_used_again(proxy: ConnectProxy, target: RecordingTarget) -> None:
    executor = Executor(through(proxy.url()), 1, lookup=Names({NAME: ["127.0.0.1"]}))
    outcomes = [executor.execute(spec(target.url("/x", host=NAME))) for _ in range(3)]
    executor.close()
    assert [outcome.remote_ip for outcome in outcomes] == ["127.0.0.1"] * 3
    assert (len(target.calls()), proxy.connections) == (3, 1)


def test_the_next_address_is_asked_for_where_the_proxy_can_not_reach_one(target: RecordingTarget) -> None:
    # The proxy closes the connection where it can't connect; the target listens on 127.0.0.1 only.
    names = Names({NAME: [["127.0.0.2", "127.0.0.1"]]})
    with ConnectProxy() as proxy:
        outcome = execute(through(proxy.url()), spec(target.url("/x", host=NAME)), names)
        assert proxy.asked == [f"127.0.0.2:{target.port}", f"127.0.0.1:{target.port}"]
    assert (outcome.error_type, outcome.remote_ip) == (ErrorType.NONE, "127.0.0.1")


@pytest.mark.parametrize(
    ("answer", "error_type", "words"),
    [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", ErrorType.BLOCKED, "refused to connect to 127.0.0.1:80: 403 Forbidden."),
        (b"HTTP/1.0 407 Nope\r\nA: b\r\n\r\nbody", ErrorType.BLOCKED, "407 Nope. Put its user name and password into"),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", ErrorType.CONNECTION, "refused to connect to 127.0.0.1:80: 502"),
        (b"HTTP/1.1 504\r\n\r\n", ErrorType.CONNECTION, "refused to connect to 127.0.0.1:80: 504"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://10.0.0.1/\r\n\r\n", ErrorType.CONNECTION, "302 Found"),
        (b"HTTP/1.1 101 Switching\r\n\r\n", ErrorType.CONNECTION, "101 Switching"),
        (b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", ErrorType.CONNECTION, "did not answer as an HTTP proxy"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", ErrorType.CONNECTION, "did not answer as an HTTP proxy"),
        (b"HTTP/1.1 999 Odd\r\n\r\n", ErrorType.CONNECTION, "did not answer as an HTTP proxy"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10_000, ErrorType.CONNECTION, "did not answer as an HTTP proxy"),
        (b"HTTP/1.1 200 OK\r\nX: cut", ErrorType.CONNECTION, "closed the connection without answering"),
        (b"", ErrorType.CONNECTION, "closed the connection without answering"),
        (b"HTTP/1.1 403 a\x1b[31mb\r\n\r\n", ErrorType.BLOCKED, "403 a\ufffd[31mb"),
    ],
)
def test_what_the_proxy_answers_is_told_in_a_sentence_that_names_it(
    answer: bytes, error_type: ErrorType, words: str
) -> None:
    with ConnectProxy(instead=answering(answer)) as proxy:
        outcome = execute(through(proxy.url("someone:hunter2")), spec(f"http://{NAME}/"))
        assert outcome.error_message.startswith(f"The proxy 127.0.0.1:{proxy.port} (EGRESS_PROXY_URL) ")
    assert (outcome.error_type, outcome.status_code, outcome.remote_ip) == (error_type, None, None)
    assert words in outcome.error_message
    assert "hunter2" not in outcome.error_message


def test_a_proxy_that_is_not_there_says_so() -> None:
    port = closed_port()
    outcome = execute(through(f"http://127.0.0.1:{port}"), spec(f"http://{NAME}/"))
    assert outcome.error_type is ErrorType.CONNECTION
    assert outcome.error_message == f"The proxy 127.0.0.1:{port} (EGRESS_PROXY_URL) refused the connection."


def test_a_proxy_that_nobody_knows_says_so() -> None:
    outcome = execute(through("http://proxy.invalid:3128"), spec(f"http://{NAME}/"))
    assert outcome.error_type is ErrorType.DNS
    assert outcome.error_message == "The host name proxy.invalid of EGRESS_PROXY_URL is not known: no address for it."


def silent(client: socket.socket, stopping: Event) -> None:
    stopping.wait()


def dripping(client: socket.socket, stopping: Event) -> None:
    client.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while not stopping.wait(0.02):
        client.sendall(b"x")


@pytest.mark.parametrize("instead", [silent, dripping])
@pytest.mark.parametrize(("connect", "total"), [(0.3, 60.0), (60.0, 0.3)])
def test_a_proxy_that_keeps_us_waiting_is_late(instead: Serve, connect: float, total: float) -> None:
    with ConnectProxy(instead=instead) as proxy:
        request = spec(f"http://{NAME}/", connect_timeout_seconds=connect, timeout_seconds=total)
        outcome = execute(through(proxy.url()), request)
    name = "connect_timeout_seconds" if connect < total else "timeout_seconds"
    assert outcome.error_type is ErrorType.TIMEOUT
    assert outcome.error_message == (
        f"The proxy 127.0.0.1:{proxy.port} (EGRESS_PROXY_URL) did not open a connection to the target "
        f"within 0.3 s ({name})."
    )


def test_a_target_that_hangs_behind_the_proxy_is_late_too(proxy: ConnectProxy, target: RecordingTarget) -> None:
    outcome = execute(through(proxy.url()), spec(target.url("/drip?every=0.02", host=NAME), timeout_seconds=0.5))
    assert outcome.error_type is ErrorType.TIMEOUT
    assert outcome.error_message == f"{NAME} did not finish its response within 0.5 s (timeout_seconds)."


def test_a_call_that_may_not_be_sent_stays_unsent(proxy: ConnectProxy, target: RecordingTarget) -> None:
    executor = Executor(through(proxy.url()), 1, lookup=Names({NAME: ["127.0.0.1"]}))
    assert executor.execute(spec(target.url("/x", host=NAME)), may_send=lambda: False).withheld
    executor.close()
    assert target.calls() == []


def test_proxies_named_elsewhere_are_not_used(
    target: RecordingTarget, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("default login someone password else\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(netrc))
    with ConnectProxy() as unwanted:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, unwanted.url())
        monkeypatch.delenv("no_proxy", raising=False)
        policy = EgressPolicy(allow_networks=LOOPBACK)
        assert execute(policy, spec(target.url("/echo"))).error_type is ErrorType.NONE
        with RecordingTarget(tls=Authority().server()) as secure:
            assert execute(policy, spec(secure.url("/x"), verify_tls=False)).error_type is ErrorType.NONE
        assert unwanted.connections == 0
    assert "authorization" not in target.calls()[0].headers
