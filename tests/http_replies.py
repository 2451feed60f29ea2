"""What the recording target answers, by the first part of the path. Hostile ones go on until the client hangs up."""

from __future__ import annotations

import gzip
import json
import zlib
from collections import Counter
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.http_target import Handler

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
_MEGABYTE = b"\0" * 1_000_000
_failures: Counter[tuple[int, str]] = Counter()
_failures_lock = Lock()


def status(handler: Handler) -> None:
    """/status/503?retry_after=2"""
    headers = {"Retry-After": handler.call.query["retry_after"]} if "retry_after" in handler.call.query else {}
    handler.reply(int(handler.call.path.split("/")[2]), b"as asked", headers)


def slow(handler: Handler) -> None:
    """/slow?seconds=1: answers 200 after that time."""
    handler.target.stopping.wait(handler.number("seconds", 1))
    handler.reply(200, b"at last")


def held(handler: Handler) -> None:
    """/held: answers 200 as soon as the test calls `RecordingTarget.release`, and from then on at once."""
    handler.target.released.wait()
    handler.reply(200, b"let go")


def silent(handler: Handler) -> None:
    """/silent: takes the request and never answers."""
    handler.close_connection = True
    handler.target.stopping.wait()


def hang_up(handler: Handler) -> None:
    """/hang-up: takes the request and closes the connection."""
    handler.close_connection = True


def echo(handler: Handler) -> None:
    """/echo: what was sent, as JSON."""
    call = handler.call
    body = call.body.decode(errors="replace")
    handler.reply_json({"method": call.method, "path": handler.path, "headers": dict(call.headers), "body": body})


def mirror(handler: Handler) -> None:
    """/mirror?status=200: everything that was sent, in the body and in headers; with a Location where `to` says so."""
    call = handler.call
    sent = {"x-mirror-url": handler.path, **{f"x-mirror-{name}": value for name, value in call.headers.items()}}
    if "to" in call.query:
        sent["Location"] = f"{call.query['to']}?{handler.path.partition('?')[2]}"
    text = json.dumps({"headers": sent, "body": call.body.decode(errors="replace")})
    handler.reply(int(handler.number("status", 200)), f"{handler.path}\n{text}\n".encode() + call.body, sent)


def flaky(handler: Handler) -> None:
    """/flaky?failures=2: 503 that many times per idempotency key, then 200."""
    key = (handler.target.port, handler.call.key)
    with _failures_lock:
        _failures[key] += 1
        failed = _failures[key] <= handler.number("failures", 1)
    handler.reply(503 if failed else 200, b"not yet" if failed else b"done")


def redirect(handler: Handler) -> None:
    """/redirect?to=/echo&status=307&bytes=1000"""
    body = b"x" * int(handler.number("bytes", 0))
    handler.reply(int(handler.number("status", 302)), body, {"Location": handler.call.query.get("to", "/echo")})


def loop(handler: Handler) -> None:
    """/loop: redirects to itself."""
    handler.reply(302, b"", {"Location": "/loop"})


def cookie(handler: Handler) -> None:
    """/cookie: sets one."""
    handler.reply(200, b"have one", {"Set-Cookie": "crumb=1; Path=/"})


def big(handler: Handler) -> None:
    """/big?bytes=1000000: a body of that many letters."""
    handler.reply(200, b"a" * int(handler.number("bytes", 1_000_000)), {"Content-Type": "text/plain"})


def endless(handler: Handler) -> None:
    """/endless: a body that never ends, as fast as it is taken."""
    handler.wfile.write(HEAD + b"\r\n")
    handler.drip(b"a" * 65_536, every=0)


def chunked(handler: Handler) -> None:
    """/chunked?bytes=10000: a body in chunks of 1,000 bytes."""
    count = int(handler.number("bytes", 10_000)) // 1000
    chunk = b"3e8\r\n" + b"c" * 1000 + b"\r\n"
    handler.wfile.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * count + b"0\r\n\r\n")


def gzipped(handler: Handler) -> None:
    """/gzip?bytes=10000: a compressed body."""
    body = gzip.compress(b"z" * int(handler.number("bytes", 10_000)))
    handler.reply(200, body, {"Content-Encoding": "gzip", "Content-Type": "text/plain"})


def gzip_bomb(handler: Handler) -> None:
    """/gzip-bomb?megabytes=100: a body a thousand times its size."""
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    packed = [packer.compress(_MEGABYTE) for _ in range(int(handler.number("megabytes", 100)))]
    handler.reply(200, b"".join([*packed, packer.flush()]), {"Content-Encoding": "gzip"})


def drip_body(handler: Handler) -> None:
    """/drip?every=0.1: a body of unknown length, a byte now and then."""
    handler.wfile.write(HEAD + b"\r\n")
    handler.drip(b"d", every=handler.number("every", 0.1))


def drip_chunks(handler: Handler) -> None:
    """/drip-chunks?every=0.1: the same in chunks."""
    handler.wfile.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    handler.drip(b"1\r\nd\r\n", every=handler.number("every", 0.1))


def drip_status(handler: Handler) -> None:
    """/drip-status?every=0.1: a status line that never ends."""
    handler.wfile.write(b"HTTP/1.1 200 ")
    handler.drip(b"O", every=handler.number("every", 0.1))


def drip_headers(handler: Handler) -> None:
    """/drip-headers?every=0.1: a header value that never ends."""
    handler.wfile.write(HEAD + b"X-Long: ")
    handler.drip(b"h", every=handler.number("every", 0.1))


def endless_redirect(handler: Handler) -> None:
    """/endless-redirect: to itself, with a body that never ends."""
    head = b"HTTP/1.1 302 Found\r\nLocation: " + handler.path.encode() + b"\r\n\r\n"
    handler.wfile.write(head)
    handler.drip(b"a" * 65_536, every=0)


def tiny_chunks(handler: Handler) -> None:
    """/tiny-chunks: chunks of one byte without end, as fast as they are taken."""
    handler.wfile.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    handler.drip(b"1\r\nd\r\n" * 10_000, every=0)


def trailers(handler: Handler) -> None:
    """/trailers: a chunked body that is over, and header lines after it without end."""
    handler.wfile.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n")
    handler.drip(b"X: y\r\n" * 10_000, every=0)


def endless_headers(handler: Handler) -> None:
    """/endless-headers: header lines as fast as they are taken."""
    handler.wfile.write(HEAD)
    handler.drip(b"X-More: and more\r\n" * 50, every=0)


def continues(handler: Handler) -> None:
    """/continues?every=0: interim answers without end."""
    handler.drip(b"HTTP/1.1 100 Continue\r\n\r\n", every=handler.number("every", 0))


REPLIES: dict[str, Callable[[Handler], None]] = {
    "/status": status,
    "/slow": slow,
    "/held": held,
    "/silent": silent,
    "/hang-up": hang_up,
    "/echo": echo,
    "/mirror": mirror,
    "/flaky": flaky,
    "/redirect": redirect,
    "/loop": loop,
    "/cookie": cookie,
    "/big": big,
    "/endless": endless,
    "/chunked": chunked,
    "/gzip": gzipped,
    "/gzip-bomb": gzip_bomb,
    "/drip": drip_body,
    "/drip-chunks": drip_chunks,
    "/drip-status": drip_status,
    "/drip-headers": drip_headers,
    "/endless-redirect": endless_redirect,
    "/tiny-chunks": tiny_chunks,
    "/trailers": trailers,
    "/endless-headers": endless_headers,
    "/continues": continues,
}
