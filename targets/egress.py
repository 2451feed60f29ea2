"""Where a call may go: the shape of URLs, refused ports, and refused addresses (guarantees D1 and D2)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import idna

from targets.egress_proxy import EgressProxy

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAX_URL_CHARS = 8192
DEFAULT_PORTS = {"http": 80, "https": 443}

# https://fetch.spec.whatwg.org/#port-blocking: services that can be talked into acting on an HTTP request.
_FETCH_BAD_PORTS = """
    1 7 9 11 13 15 17 19 20 21 22 23 25 37 42 43 53 69 77 79 87 95 101 102 103 104 109 110 111 113 115 117 119 123
    135 137 139 143 161 179 389 427 465 512 513 514 515 526 530 531 532 540 548 554 556 563 587 601 636 989 990 993
    995 1719 1720 1723 2049 3659 4045 4190 5060 5061 6000 6566 6665 6666 6667 6668 6669 6679 6697 10080
"""
_DATABASE_PORTS = "1433 1521 3306 5432 6379 9200 11211 27017"
REFUSED_PORTS = frozenset(int(port) for port in (_FETCH_BAD_PORTS + _DATABASE_PORTS).split())

# IANA's special-purpose registries. `ipaddress.is_global` is no substitute: it lets NAT64, 6to4 and multicast pass.
_NOT_PUBLIC: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("an unspecified address", ("0.0.0.0/8", "::/128")),
    ("a loopback address", ("127.0.0.0/8", "::1/128")),
    ("a private address", ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")),
    ("a carrier-grade NAT address", ("100.64.0.0/10",)),
    ("a link-local address", ("169.254.0.0/16", "fe80::/10")),
    ("a documentation address", ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20")),
    ("a benchmarking address", ("198.18.0.0/15",)),
    ("a 6to4 address", ("192.88.99.0/24", "2002::/16")),
    ("a protocol assignment address", ("192.0.0.0/24", "2001::/23")),
    ("a multicast address", ("224.0.0.0/4", "ff00::/8")),
    ("a reserved address", ("240.0.0.0/4",)),
)
_NOT_PUBLIC_NETWORKS = tuple((ip_network(text), kind) for kind, texts in _NOT_PUBLIC for text in texts)
_GLOBAL_UNICAST = IPv6Network("2000::/3")

_URL = re.compile(r"(https?)://([^/?#]*)([^?#]*)(\?[^#]*)?(?:#.*)?", re.IGNORECASE | re.DOTALL)
_ORIGIN = re.compile(r"https?://([^/?#]*)", re.IGNORECASE)
_PORT = re.compile(r"[0-9]{1,5}")
_ASCII_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")
_NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")
# Sent as they are; everything else that a user may write in a path or query is percent-encoded (RFC 3986).
_URL_SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,;=:@/?%[]")


class UrlProblem(ValueError):
    """A URL that is not called; the message is one sentence for the user."""


@dataclass(frozen=True, slots=True)
class EgressPolicy:
    """What the operator has opened and closed. Hosts are in the form of `normal_host`."""

    allow_networks: tuple[Network, ...] = ()
    deny_networks: tuple[Network, ...] = ()
    allow_hosts: frozenset[str] = frozenset()
    allow_ports: frozenset[int] = frozenset()
    # Names and addresses of this service itself: they count as private.
    own_hosts: frozenset[str] = frozenset()
    # What connections are made through, where there is one.
    proxy: EgressProxy | None = None


@dataclass(frozen=True, slots=True)
class UrlParts:
    """A URL taken apart. `host` is in the form of `normal_host`; `target` is path and query, starting with `/`."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def origin(self) -> str:
        """Scheme, host and, unless it is the scheme's own, port (RFC 6454)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port == DEFAULT_PORTS[self.scheme] else f":{self.port}")

    @property
    def text(self) -> str:
        """The whole URL as it is called: ASCII, normalised, without a fragment."""
        return self.origin + self.target


def judge_address(policy: EgressPolicy, host: str, ip: str | Address, *, own: bool = False) -> str | None:
    """Whether a call for `host` may connect to `ip`: None, or one sentence that names the setting that decides.

    Only global unicast is open by default, and not what belongs to this machine: `own` says that the address does. A
    host or network that the policy allows is open, one that it denies is closed whatever allows it.
    """
    address = _plain(ip)
    shown = str(address) if host == str(address) else f"{host} ({address})"
    if any(address in network for network in policy.deny_networks):
        return f"{shown} is in EGRESS_DENY_CIDRS. Remove it from there to allow it."
    if host in policy.allow_hosts or any(address in network for network in policy.allow_networks):
        return None
    kind = _kind(address)
    if kind is None and (own or host in policy.own_hosts or str(address) in policy.own_hosts):
        kind = "this service's own address"
    if kind is None:
        return None
    if host == str(address):
        return f"{shown} is {kind}. Add it to EGRESS_ALLOW_CIDRS to allow it."
    return f"{shown} is {kind}. Add {address} to EGRESS_ALLOW_CIDRS or {host} to EGRESS_ALLOW_HOSTS to allow it."


def judge_host(policy: EgressPolicy, host: str) -> str | None:
    """What can be judged before any look-up: literal addresses and `localhost` (RFC 6761, section 6.3)."""
    if host == "localhost" or host.endswith(".localhost"):
        verdicts = [judge_address(policy, host, ip) for ip in ("127.0.0.1", "::1")]
        return None if None in verdicts else verdicts[0]
    try:
        return judge_address(policy, host, ip_address(host))
    except ValueError:
        return None


def judge_unresolved(policy: EgressPolicy, host: str) -> str | None:
    """The same where somebody else does the look-up: no name of ours, no address that is closed."""
    if host in policy.own_hosts and host not in policy.allow_hosts and not _is_literal(host):
        return f"{host} is this service's own address. Add it to EGRESS_ALLOW_HOSTS to allow it."
    return judge_host(policy, host)


def check_port(policy: EgressPolicy, port: int) -> str | None:
    """None where the port may be called, else one sentence that names the setting that opens it."""
    if port not in REFUSED_PORTS or port in policy.allow_ports:
        return None
    return f"Port {port} belongs to a service that is not HTTP. Add it to EGRESS_ALLOW_PORTS to allow it."


def check_url(policy: EgressPolicy, url: str) -> UrlParts:
    """Take a URL apart and judge what needs no look-up: its port, and its host if that is an address.

    Raises:
        UrlProblem: it is not a URL that may be called.
    """
    parts = parse_url(url)
    sentence = check_port(policy, parts.port) or judge_host(policy, parts.host)
    if sentence is not None:
        raise UrlProblem(sentence)
    return parts


def parse_url(url: str) -> UrlParts:
    """Take an http or https URL apart, in one way only, so that what is judged is what is called.

    Raises:
        UrlProblem: it is too long, not http(s), or has parts that no call needs and attackers like.
    """
    if len(url) > MAX_URL_CHARS:
        raise UrlProblem(f"The URL has {len(url)} characters; at most {MAX_URL_CHARS} can be sent.")
    for char in url:
        if char == "\\" or unicodedata.category(char) in ("Cc", "Cs", "Zs", "Zl", "Zp"):
            raise UrlProblem(f"The URL contains {_name(char)}. Percent-encode it or take it out.")
    match = _URL.fullmatch(url)
    if match is None:
        raise UrlProblem("The URL must start with http:// or https://.")
    scheme = match[1].lower()
    host, port = _split_authority(match[2])
    target = (match[3] or "/") + (match[4] or "")
    return UrlParts(scheme, host, DEFAULT_PORTS[scheme] if port is None else port, _encode(target))


def host_of(url: str) -> str:
    """The host of a URL or of a template of one, in its one spelling; nothing where there is none."""
    match = _ORIGIN.match(url)
    try:
        return "" if match is None else _split_authority(match[1])[0]
    except UrlProblem:
        return ""


def normal_host(host: str) -> str:
    """A host in its one spelling: an IP literal without brackets, or a lower-case ASCII name without final dot.

    Raises:
        UrlProblem: it is neither (UTS #46 for names that are not ASCII, STD 66 for literals).
    """
    if host.startswith("["):
        return _ipv6_literal(host)
    name = _ascii_name(host)
    if _NUMERIC_LABEL.fullmatch(name.rpartition(".")[2]) is None:
        return name
    # 0x7f.1, 2130706433 and 0177.0.0.1 are addresses to a resolver: only the plain spelling is accepted.
    try:
        return str(IPv4Address(name))
    except ValueError:
        raise UrlProblem(
            f"{host[:80]!r} is not a host: write an IPv4 address as four decimal numbers, such as 93.184.215.14."
        ) from None


def _is_literal(host: str) -> bool:
    return ":" in host or _NUMERIC_LABEL.fullmatch(host.rpartition(".")[2]) is not None


def _plain(ip: str | Address) -> Address:
    """The address that is meant: without zone id, IPv4 where it is mapped into IPv6."""
    address = ip_address(ip.partition("%")[0]) if isinstance(ip, str) else ip
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or IPv6Address(int(address))
    return address


def _kind(address: Address) -> str | None:
    """What keeps an address closed, in words; None for global unicast."""
    for network, kind in _NOT_PUBLIC_NETWORKS:
        if address in network:
            return kind
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return "not a public address"
    return None


def _split_authority(authority: str) -> tuple[str, int | None]:
    if "@" in authority:
        raise UrlProblem("The URL contains a user name or password. Send them in an Authorization header instead.")
    host, colon, port = authority, "", ""
    if not authority.endswith("]"):
        host, colon, port = authority.rpartition(":") if ":" in authority else (authority, "", "")
    if not host:
        raise UrlProblem("The URL has no host.")
    if not colon:
        return normal_host(host), None
    if _PORT.fullmatch(port) is None or not 1 <= int(port) <= 65535:
        raise UrlProblem(f"The port {port[:20]!r} is not a number from 1 to 65535.")
    return normal_host(host), int(port)


def _ipv6_literal(host: str) -> str:
    if "%" in host:
        raise UrlProblem("An IPv6 address in a URL cannot have a zone id.")
    try:
        if host.endswith("]"):
            return str(_plain(IPv6Address(host[1:-1])))
    except ValueError:
        pass
    raise UrlProblem(f"{host[:80]!r} is not an IPv6 address in brackets, such as [2606:4700::1111].")


def _ascii_name(host: str) -> str:
    problem = UrlProblem(f"{host[:80]!r} is not a valid host name.")
    try:
        name = host if host.isascii() else idna.encode(host, uts46=True).decode()
        name = name.lower().removesuffix(".")
        if "xn--" in name:
            idna.decode(name)
    except UnicodeError:
        raise problem from None
    if len(name) > 253 or _ASCII_NAME.fullmatch(name) is None:
        raise problem
    return name


def _encode(target: str) -> str:
    return "".join(char if char in _URL_SAFE else _percent(char.encode()) for char in target)


def _percent(octets: Iterable[int]) -> str:
    return "".join(f"%{octet:02X}" for octet in octets)


def _name(char: str) -> str:
    names = {" ": "a space", "\\": "a backslash", "\t": "a tab", "\n": "a line break", "\r": "a line break"}
    return names.get(char, f"the character U+{ord(char):04X}")
