"""Addresses and ports that a call may reach (guarantee D1)."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from targets.egress import REFUSED_PORTS, EgressPolicy, check_port, judge_address, judge_host, judge_unresolved

CLOSED = [
    ("0.0.0.0", "unspecified"),
    ("0.255.255.255", "unspecified"),
    ("10.0.0.0", "private"),
    ("10.0.0.5", "private"),
    ("10.255.255.255", "private"),
    ("100.64.0.0", "carrier-grade"),
    ("100.127.255.255", "carrier-grade"),
    ("127.0.0.1", "loopback"),
    ("127.255.255.255", "loopback"),
    ("169.254.0.1", "link-local"),
    ("169.254.169.254", "link-local"),
    ("172.16.0.0", "private"),
    ("172.31.255.255", "private"),
    ("192.0.0.0", "protocol"),
    ("192.0.0.9", "protocol"),
    ("192.0.0.255", "protocol"),
    ("192.0.2.0", "documentation"),
    ("192.0.2.255", "documentation"),
    ("192.88.99.0", "6to4"),
    ("192.88.99.255", "6to4"),
    ("192.168.0.0", "private"),
    ("192.168.255.255", "private"),
    ("198.18.0.0", "benchmarking"),
    ("198.19.255.255", "benchmarking"),
    ("198.51.100.0", "documentation"),
    ("198.51.100.255", "documentation"),
    ("203.0.113.0", "documentation"),
    ("203.0.113.255", "documentation"),
    ("224.0.0.1", "multicast"),
    ("239.255.255.255", "multicast"),
    ("240.0.0.0", "reserved"),
    ("255.255.255.255", "reserved"),
    ("::", "unspecified"),
    ("::1", "loopback"),
    ("::2", "not a public"),
    ("::127.0.0.1", "not a public"),
    ("::ffff:127.0.0.1", "loopback"),
    ("::ffff:10.0.0.5", "private"),
    ("::ffff:169.254.169.254", "link-local"),
    ("64:ff9b::10.0.0.5", "not a public"),
    ("64:ff9b:1::1", "not a public"),
    ("100::1", "not a public"),
    ("1fff:ffff::1", "not a public"),
    ("2001::1", "protocol"),
    ("2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "protocol"),
    ("2001:db8::", "documentation"),
    ("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "documentation"),
    ("2002::", "6to4"),
    ("2002:7f00:1::", "6to4"),
    ("2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "6to4"),
    ("3fff::", "documentation"),
    ("3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "documentation"),
    ("4000::1", "not a public"),
    ("5f00::1", "not a public"),
    ("fc00::1", "private"),
    ("fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "private"),
    ("fe80::1", "link-local"),
    ("fe80::1%eth0", "link-local"),
    ("fec0::1", "not a public"),
    ("ff02::1", "multicast"),
    ("ff0e::1", "multicast"),
]

OPEN = [
    "1.0.0.0",
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "191.255.255.255",
    "192.0.1.0",
    "192.0.1.255",
    "192.0.3.0",
    "192.88.98.255",
    "192.88.100.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "198.51.99.255",
    "198.51.101.0",
    "203.0.112.255",
    "203.0.114.0",
    "223.255.255.255",
    "::ffff:8.8.8.8",
    "2000::",
    "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "2001:200::",
    "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
    "2001:db9::",
    "2001:4860:4860::8888",
    "2003::1",
    "2606:4700::1111",
    "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "3fff:1000::",
]

NOTHING_SET = EgressPolicy()


def policy(*, allow: str = "", deny: str = "", hosts: str = "", own: str = "") -> EgressPolicy:
    return EgressPolicy(
        allow_networks=tuple(ip_network(text) for text in allow.split()),
        deny_networks=tuple(ip_network(text) for text in deny.split()),
        allow_hosts=frozenset(hosts.split()),
        own_hosts=frozenset(own.split()),
    )


@pytest.mark.parametrize(("ip", "kind"), CLOSED)
def test_it_refuses_an_address_that_is_not_public_and_says_what_it_is(ip: str, kind: str) -> None:
    sentence = judge_address(NOTHING_SET, "api.example.com", ip)
    assert sentence is not None
    assert kind in sentence
    assert "EGRESS_ALLOW_CIDRS" in sentence
    assert "EGRESS_ALLOW_HOSTS" in sentence


@pytest.mark.parametrize("ip", OPEN)
def test_it_allows_a_public_address_just_outside_the_closed_ranges(ip: str) -> None:
    assert judge_address(NOTHING_SET, "api.example.com", ip) is None


@pytest.mark.parametrize(("ip", "_"), CLOSED)
def test_it_judges_address_objects_like_their_text(ip: str, _: str) -> None:
    assert judge_address(NOTHING_SET, "a", ip_address(ip)) == judge_address(NOTHING_SET, "a", ip)


@given(st.integers(0, 2**32 - 1))
def test_it_judges_a_mapped_address_like_the_ipv4_address_in_it(number: int) -> None:
    plain, mapped = ip_address(number), ip_address((0xFFFF << 32) + number)
    assert judge_address(NOTHING_SET, "a", mapped) == judge_address(NOTHING_SET, "a", plain)


@given(st.ip_addresses())
def test_it_never_allows_what_the_standard_library_calls_private_or_multicast(ip: object) -> None:
    address = ip_address(str(ip))
    if address.is_private or address.is_multicast or address.is_loopback or address.is_link_local:
        assert judge_address(NOTHING_SET, "a", address) is not None


def test_it_names_the_setting_for_a_literal_address() -> None:
    assert judge_address(NOTHING_SET, "10.0.0.5", "10.0.0.5") == (
        "10.0.0.5 is a private address. Add it to EGRESS_ALLOW_CIDRS to allow it."
    )


def test_it_names_host_address_and_both_settings_for_a_name() -> None:
    assert judge_address(NOTHING_SET, "db.internal", "10.0.0.5") == (
        "db.internal (10.0.0.5) is a private address. "
        "Add 10.0.0.5 to EGRESS_ALLOW_CIDRS or db.internal to EGRESS_ALLOW_HOSTS to allow it."
    )


@pytest.mark.parametrize("ip", ["10.1.2.3", "::ffff:10.1.2.3"])
def test_it_allows_what_an_allowed_network_opens(ip: str) -> None:
    assert judge_address(policy(allow="10.1.0.0/16"), "a", ip) is None


def test_it_allows_only_the_network_that_is_named() -> None:
    assert judge_address(policy(allow="10.1.0.0/16"), "a", "10.2.0.1") is not None


def test_it_allows_an_allowed_host_whatever_it_resolves_to() -> None:
    for ip in ("10.0.0.5", "::1", "169.254.169.254"):
        assert judge_address(policy(hosts="db.internal"), "db.internal", ip) is None


def test_it_does_not_allow_a_subdomain_of_an_allowed_host() -> None:
    assert judge_address(policy(hosts="internal"), "db.internal", "10.0.0.5") is not None


@pytest.mark.parametrize("ip", ["10.0.0.5", "::ffff:10.0.0.5"])
def test_deny_beats_an_allowed_network(ip: str) -> None:
    sentence = judge_address(policy(allow="10.0.0.0/8", deny="10.0.0.0/24"), "a", ip)
    assert sentence == "a (10.0.0.5) is in EGRESS_DENY_CIDRS. Remove it from there to allow it."


def test_deny_beats_an_allowed_host() -> None:
    assert judge_address(policy(hosts="a", deny="8.8.8.0/24"), "a", "8.8.8.8") is not None


def test_deny_closes_a_public_address() -> None:
    sentence = judge_address(policy(deny="8.8.8.0/24"), "8.8.8.8", "8.8.8.8")
    assert sentence == "8.8.8.8 is in EGRESS_DENY_CIDRS. Remove it from there to allow it."


def test_this_services_own_name_counts_as_private() -> None:
    sentence = judge_address(policy(own="scheduler.example.com"), "scheduler.example.com", "93.184.215.14")
    assert sentence is not None
    assert "this service's own address" in sentence


def test_this_services_own_name_can_be_opened() -> None:
    opened = policy(own="scheduler.example.com", hosts="scheduler.example.com")
    assert judge_address(opened, "scheduler.example.com", "93.184.215.14") is None


def test_this_machines_own_address_counts_as_private_until_it_is_opened() -> None:
    sentence = judge_address(NOTHING_SET, "a", "8.8.8.8", own=True)
    assert sentence == (
        "a (8.8.8.8) is this service's own address. Add 8.8.8.8 to EGRESS_ALLOW_CIDRS or a to EGRESS_ALLOW_HOSTS "
        "to allow it."
    )
    assert judge_address(policy(allow="8.8.8.8"), "a", "8.8.8.8", own=True) is None
    assert judge_address(policy(hosts="a"), "a", "8.8.8.8", own=True) is None


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1", "10.0.0.5", "scheduler.example.com"])
def test_it_refuses_without_a_look_up_what_is_closed_and_what_is_our_own(host: str) -> None:
    assert judge_unresolved(policy(own="scheduler.example.com"), host) is not None


@pytest.mark.parametrize("host", ["example.com", "8.8.8.8", "opened.example.com", "10.0.0.5"])
def test_it_leaves_other_names_and_open_addresses_to_whoever_looks_them_up(host: str) -> None:
    opened = policy(own="opened.example.com", hosts="opened.example.com", allow="10.0.0.0/8")
    assert judge_unresolved(opened, host) is None


@pytest.mark.parametrize("host", ["localhost", "api.localhost", "127.0.0.1", "::1", "10.0.0.5"])
def test_it_refuses_early_what_needs_no_look_up(host: str) -> None:
    assert judge_host(NOTHING_SET, host) is not None


@pytest.mark.parametrize("host", ["example.com", "localhost.example.com", "mylocalhost", "8.8.8.8", "2606:4700::1111"])
def test_it_leaves_other_names_and_public_literals_to_the_connection(host: str) -> None:
    assert judge_host(NOTHING_SET, host) is None


@pytest.mark.parametrize("network", ["127.0.0.0/8", "::1/128"])
def test_it_accepts_localhost_when_either_loopback_is_open(network: str) -> None:
    assert judge_host(policy(allow=network), "localhost") is None


@pytest.mark.parametrize("port", [1, 9, 22, 25, 53, 110, 143, 389, 465, 587, 993, 2049, 4190, 6000, 6667, 10080])
def test_it_refuses_the_bad_ports_of_the_fetch_standard(port: int) -> None:
    assert check_port(NOTHING_SET, port) == (
        f"Port {port} belongs to a service that is not HTTP. Add it to EGRESS_ALLOW_PORTS to allow it."
    )


@pytest.mark.parametrize("port", [1433, 1521, 3306, 5432, 6379, 9200, 11211, 27017])
def test_it_refuses_the_ports_of_databases(port: int) -> None:
    assert check_port(NOTHING_SET, port) is not None


@pytest.mark.parametrize("port", [80, 443, 8, 8000, 8080, 8443, 3000, 5000, 9000, 9090, 65535])
def test_it_allows_other_ports(port: int) -> None:
    assert check_port(NOTHING_SET, port) is None


def test_it_counts_the_refused_ports_of_both_lists() -> None:
    assert len(REFUSED_PORTS) == 82 + 8


def test_it_allows_a_refused_port_that_the_operator_opened() -> None:
    assert check_port(EgressPolicy(allow_ports=frozenset({9200})), 9200) is None
    assert check_port(EgressPolicy(allow_ports=frozenset({9200})), 9300) is None
    assert check_port(EgressPolicy(allow_ports=frozenset({9200})), 6379) is not None
