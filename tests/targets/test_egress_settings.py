"""The egress policy that the operator has set."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from pytest_django import Settings

from targets.egress import check_port, judge_address
from targets.egress_proxy import parse_proxy_url
from targets.egress_settings import egress_policy


@pytest.fixture(autouse=True)
def nothing_set(settings: Settings) -> None:
    settings.EGRESS_ALLOW_CIDRS = []
    settings.EGRESS_DENY_CIDRS = []
    settings.EGRESS_ALLOW_HOSTS = []
    settings.EGRESS_ALLOW_PORTS = []
    settings.PUBLIC_URL = "https://scheduler.example.com"
    settings.ALLOWED_HOSTS = []
    settings.EGRESS_PROXY_URL = None


def test_each_setting_has_its_effect(settings: Settings) -> None:
    settings.EGRESS_ALLOW_CIDRS = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]
    settings.EGRESS_DENY_CIDRS = [ip_network("10.0.0.0/24")]
    settings.EGRESS_ALLOW_HOSTS = ["db.internal"]
    settings.EGRESS_ALLOW_PORTS = [9200]
    policy = egress_policy()
    assert judge_address(policy, "a", "10.1.0.1") is None
    assert judge_address(policy, "a", "fd00::1") is None
    assert "EGRESS_DENY_CIDRS" in (judge_address(policy, "db.internal", "10.0.0.1") or "")
    assert judge_address(policy, "db.internal", "192.168.0.1") is None
    assert check_port(policy, 9200) is None


def test_nothing_that_is_not_public_is_open_by_default() -> None:
    policy = egress_policy()
    assert judge_address(policy, "a", "127.0.0.1") is not None
    assert judge_address(policy, "db.internal", "192.168.0.1") is not None
    assert check_port(policy, 9200) is not None


@pytest.mark.parametrize("public_url", ["https://scheduler.example.com", "https://SCHEDULER.example.com:8443"])
def test_the_services_own_name_is_not_open(settings: Settings, public_url: str) -> None:
    settings.PUBLIC_URL = public_url
    sentence = judge_address(egress_policy(), "scheduler.example.com", "93.184.215.14")
    assert "this service's own address" in (sentence or "")


@pytest.mark.parametrize("public_url", ["http://93.184.215.14:8000", "http://[2606:4700:0::1111]:8000"])
def test_the_services_own_address_is_not_open_under_any_name(settings: Settings, public_url: str) -> None:
    settings.PUBLIC_URL = public_url
    ip = "2606:4700::1111" if "[" in public_url else "93.184.215.14"
    for host in (ip, "some.example"):
        assert "this service's own address" in (judge_address(egress_policy(), host, ip) or "")


def test_names_that_the_web_answers_to_are_its_own_and_patterns_are_not(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["*", ".example.com", "Other-Name.example.org", "[::1]"]
    policy = egress_policy()
    assert policy.own_hosts == {"scheduler.example.com", "other-name.example.org", "::1"}
    assert judge_address(policy, "other-name.example.org", "93.184.215.14") is not None
    assert judge_address(policy, "api.example.com", "93.184.215.14") is None


def test_the_proxy_is_part_of_the_policy(settings: Settings) -> None:
    settings.EGRESS_PROXY_URL = parse_proxy_url("http://proxy.internal:3128")
    assert egress_policy().proxy == settings.EGRESS_PROXY_URL
