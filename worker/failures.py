"""From what went wrong on the wire to an error class and one sentence: the only place that knows exceptions."""

from __future__ import annotations

import errno
import os
import ssl
from collections.abc import Callable
from http.client import BadStatusLine, HTTPException, IncompleteRead, LineTooLong, RemoteDisconnected, UnknownProtocol

from urllib3.exceptions import HTTPError

from runs.outcome import ErrorType
from worker.call import Call, Failure, Phase
from worker.response_text import printable

# X509_V_ERR_*, https://docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error/
_CERTIFICATE_PROBLEMS = {
    9: "is not valid yet",
    10: "has expired",
    18: "is self-signed",
    19: "is signed by an authority that is not trusted",
    20: "is signed by an authority that is not trusted",
    21: "does not come with the certificates that lead to a trusted authority",
    23: "has been revoked",
    62: "is for another host name",
    64: "is for another IP address",
}
_OS_PROBLEMS = {
    errno.ECONNREFUSED: "refused the connection",
    errno.ECONNRESET: "reset the connection",
    errno.EPIPE: "closed the connection",
    errno.ENETUNREACH: "can't be reached: there is no route to its network",
    errno.EHOSTUNREACH: "can't be reached: there is no route to it",
}


class SwitchedProtocols(HTTPException):
    """The target speaks another protocol from now on, which nobody asked it to."""


class UnknownTransferCoding(HTTPException):
    """The body is wrapped in something other than chunks."""


def classify(error: Exception, call: Call) -> Failure:
    """The failure behind an exception of urllib3, http.client, ssl or the socket.

    `call` says whether the deadline had come: a socket that the watchdog shut down fails in many ways.
    """
    if isinstance(error, Failure):
        return error
    cause = _root(error)
    if call.expired or isinstance(cause, TimeoutError):
        return call.too_late()
    for kind, error_type, sentence in _TABLE:
        if isinstance(cause, kind):
            return Failure(error_type, sentence(cause, call))
    return Failure(ErrorType.UNKNOWN, f"The call of {call.host} failed ({type(cause).__name__}).")


def _root(error: Exception) -> Exception:
    """What urllib3 wrapped."""
    while isinstance(error, HTTPError) and isinstance(error.__cause__, Exception):
        error = error.__cause__
    return error


def _certificate(error: Exception, call: Call) -> str:
    problem = _CERTIFICATE_PROBLEMS.get(getattr(error, "verify_code", 0), "can't be verified")
    return f"The certificate of {call.host} {problem}."


def _tls(error: Exception, call: Call) -> str:
    reason = getattr(error, "reason", None) or ""
    if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNEXPECTED_MESSAGE", "PACKET_LENGTH_TOO_LONG"):
        return f"{call.host} does not speak TLS on this port: is it http rather than https?"
    detail = f" ({reason.replace('_', ' ').lower()})" if reason else ""
    return f"The TLS connection to {call.host} failed{detail}."


def _closed(_: Exception, call: Call) -> str:
    when = {
        Phase.HANDSHAKE: "during the TLS handshake",
        Phase.BODY: "in the middle of its response",
    }.get(call.phase, "without answering")
    return f"{call.host} closed the connection {when}."


def _network(error: Exception, call: Call) -> str:
    number = getattr(error, "errno", None)
    if number in _OS_PROBLEMS:
        return f"{call.host} {_OS_PROBLEMS[number]}."
    reason = os.strerror(number) if isinstance(number, int) else type(error).__name__
    return f"The connection to {call.host} failed ({reason})."


def _not_http(error: Exception, call: Call) -> str:
    line = printable(str(getattr(error, "line", "")).strip())[:40]
    return f"{call.host} did not answer in HTTP: its first line begins with {line!r}."


def _too_long(_: Exception, call: Call) -> str:
    return f"{call.host} sent a header or chunk line that is too long."


def _cut_short(_: Exception, call: Call) -> str:
    return f"The response of {call.host} is shorter than announced, or its chunks are malformed."


def _switched(_: Exception, call: Call) -> str:
    return f"{call.host} switched to another protocol (101), which nobody had asked for."


def _unknown_coding(_: Exception, call: Call) -> str:
    return f"{call.host} sent its response in a Transfer-Encoding that nobody had asked for."


def _malformed(_: Exception, call: Call) -> str:
    return f"{call.host} sent too many headers, or contradictory ones."


# The first line that matches counts: RemoteDisconnected is both a ConnectionResetError and a BadStatusLine,
# and every ssl error is an OSError.
_TABLE: tuple[tuple[type[Exception], ErrorType, Callable[[Exception, Call], str]], ...] = (
    (RemoteDisconnected, ErrorType.CONNECTION, _closed),
    (ssl.SSLCertVerificationError, ErrorType.SSL, _certificate),
    (ssl.SSLEOFError, ErrorType.CONNECTION, _closed),
    (ssl.SSLZeroReturnError, ErrorType.CONNECTION, _closed),
    (ssl.SSLError, ErrorType.SSL, _tls),
    (OSError, ErrorType.CONNECTION, _network),
    (BadStatusLine, ErrorType.BAD_RESPONSE, _not_http),
    (UnknownProtocol, ErrorType.BAD_RESPONSE, _not_http),
    (LineTooLong, ErrorType.BAD_RESPONSE, _too_long),
    (IncompleteRead, ErrorType.BAD_RESPONSE, _cut_short),
    (SwitchedProtocols, ErrorType.BAD_RESPONSE, _switched),
    (UnknownTransferCoding, ErrorType.BAD_RESPONSE, _unknown_coding),
    (HTTPException, ErrorType.BAD_RESPONSE, _malformed),
    (HTTPError, ErrorType.BAD_RESPONSE, _malformed),
)
