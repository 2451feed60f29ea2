"""S8: what does a call to a host cost that has not been called yet, over TLS?"""

from __future__ import annotations

import json

import trustme

from bench.harness import Bench
from bench.question import Answer, Question, Sample, compare

QUESTION = Question(
    "S8", "CPU of a cold HTTPS call to a new host : stock requests with a new session", 0.12, at_least=False
)
HOSTS = 60


def measure(bench: Bench) -> Answer:
    """Each host is an address of its own on loopback, called once by a process that has called others before."""
    addresses = [f"127.0.1.{number}" for number in range(1, bench.size(HOSTS, least=20) + 1)]
    authority = trustme.CA()
    certificate = bench.stage.directory / "target.pem"
    certificate.write_bytes(authority.issue_cert(*addresses).private_key_and_cert_chain_pem.bytes())
    trusted = bench.stage.directory / "authority.pem"
    trusted.write_bytes(authority.cert_pem.bytes())
    target = bench.stage.start_target(
        f"--certificate={certificate}", f"--addresses={','.join(addresses)}", scheme="https"
    )
    urls = [f"https://{address}:{target.ports[0]}/" for address in addresses]

    def side(who: str) -> Sample:
        told = json.loads(bench.stage.run("bench.cold_calls", who, *urls, BENCH_AUTHORITY=str(trusted)))
        return Sample(told["cpu_ms"], told)

    return compare(bench, QUESTION, {"executor_ms": lambda: side("executor"), "requests_ms": lambda: side("requests")})[
        0
    ]
