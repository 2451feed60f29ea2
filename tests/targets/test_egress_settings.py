"""The egress policy that the operator has set."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from pytest_django import Settings

from targets.egress import check_port, judge_address
from targets.egress_settings import egress_policy


@pytest.fixture(autouse=True)
def nothing_set(settings: Settings) -> None:
    settings.EGRESS_ALLOW_CIDRS = []
    settings.EGRESS_DENY_CIDRS = []
    settings.EGRESS_ALLOW_HOSTS = []
    settings.EGRESS_ALLOW_PORTS = []
    settings.PUBLIC_URL = "https://scheduler.example.com"


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
