"""Addresses of this machine, public ones too, count as private (guarantee D1)."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from worker.own_address import is_own_address
from worker.resolver import Endpoint

PUBLIC = "93.184.215.14"
# In a network of its own, where the one address of the one interface is a public one.
ALONE = f"""
import ctypes, fcntl, os, socket, struct, sys
CLONE_NEWUSER, CLONE_NEWNET, SIOCSIFADDR, SIOCSIFFLAGS, UP = 0x10000000, 0x40000000, 0x8916, 0x8914, 1
namespaces = CLONE_NEWNET if os.geteuid() == 0 else CLONE_NEWNET | CLONE_NEWUSER
if ctypes.CDLL(None).unshare(namespaces) != 0:
    sys.exit(77)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
    address = struct.pack("H2s4s8x", socket.AF_INET, b"", socket.inet_aton("{PUBLIC}"))
    fcntl.ioctl(control, SIOCSIFADDR, struct.pack("16s16s8x", b"lo", address))
    fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", UP))
from ipaddress import ip_network
from targets.egress import EgressPolicy
from tests.worker.calls import Names, spec
from worker.executor import Executor
with socket.create_server(("{PUBLIC}", 0)) as listener:
    port = listener.getsockname()[1]
    for policy in (EgressPolicy(), EgressPolicy(allow_networks=(ip_network("{PUBLIC}"),))):
        executor = Executor(policy, 1, lookup=Names({{"me.example": ["{PUBLIC}"]}}))
        for host in ("{PUBLIC}", "me.example"):
            outcome = executor.execute(spec(f"http://{{host}}:{{port}}/", timeout_seconds=0.2))
            print(outcome.error_type.value, outcome.error_message)
        executor.close()
"""


def endpoint(ip: str) -> Endpoint:
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    return Endpoint(family, (ip, 80, 0, 0) if ":" in ip else (ip, 80))


def test_it_knows_an_address_that_this_machine_listens_on() -> None:
    assert is_own_address(endpoint("127.0.0.1"))


@pytest.mark.parametrize("ip", ["192.0.2.1", "2001:db8::1", PUBLIC])
def test_it_knows_an_address_that_is_somewhere_else(ip: str) -> None:
    assert not is_own_address(endpoint(ip))


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's network namespaces")
def test_a_public_address_of_this_machine_is_closed_until_it_is_opened() -> None:
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode == 77:
        pytest.skip("this machine lets nobody make a network of their own")
    assert done.returncode == 0, done.stderr
    by_address, by_name, *opened = done.stdout.splitlines()
    assert by_address == f"blocked {PUBLIC} is this service's own address. Add it to EGRESS_ALLOW_CIDRS to allow it."
    assert by_name.startswith(f"blocked me.example ({PUBLIC}) is this service's own address. ")
    assert [line.partition(" ")[0] for line in opened] == ["timeout", "timeout"]
