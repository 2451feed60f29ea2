"""Responses that are small on the wire and huge when unpacked, or have no end at all, and what they do to a process.

`python -m tests.worker.bombs URL...` calls them through an executor, several at once and each more than once, and
prints what became of each and by how much memory grew.
"""

from __future__ import annotations

import gzip
import json
import resource
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import brotli

from tests.worker.calls import LOOPBACK, spec
from worker.executor import Executor

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MEGABYTE = b"B" * 1_000_000
MEGABYTES = 1000
THREADS = 8
ROUNDS = 2
# A decoder that lets go would take the machine down: it gets an error instead.
ADDRESS_SPACE_BYTES = 3_000_000_000


def gzip_bomb() -> bytes:
    """A gigabyte in a thousand members, each like the others."""
    return gzip.compress(MEGABYTE, mtime=0) * MEGABYTES


def brotli_bomb() -> bytes:
    """A gigabyte in a kilobyte or two, with the largest window that there is."""
    packer = brotli.Compressor(quality=3, lgwin=24)
    return b"".join([*(packer.process(MEGABYTE) for _ in range(MEGABYTES)), packer.finish()])


def zstd_bomb() -> bytes:
    """A gigabyte in a single frame."""
    packer = zstd.ZstdCompressor(level=1)
    return b"".join([*(packer.compress(MEGABYTE) for _ in range(MEGABYTES)), packer.flush()])


@cache
def bombs() -> dict[str, bytes]:
    """Bodies by Content-Encoding: each holds a gigabyte."""
    once = gzip_bomb()
    return {
        "gzip": once,
        "br": brotli_bomb(),
        "zstd": zstd_bomb(),
        "gzip, gzip": gzip.compress(once),
        "gzip, br": brotli.compress(once, quality=5),
        "gzip, gzip, gzip": gzip.compress(gzip.compress(once)),
        "identity": b"a" * 50_000_000,
        "compress": b"a" * 50_000_000,
    }


def memory_kilobytes(field: str) -> int:
    """VmRSS, what the process has now, or VmHWM, the most that it ever had."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def call_all(urls: list[str]) -> Iterator[dict[str, object]]:
    """Call each URL in several threads and rounds; what came of it, and by how much memory grew meanwhile."""
    executor = Executor(LOOPBACK, THREADS)
    with ThreadPoolExecutor(THREADS) as threads:
        # What the first call loads, and the threads, are no one's fault.
        list(threads.map(lambda _: executor.execute(spec(urls[0])), range(THREADS)))
        before = memory_kilobytes("VmRSS")
        for url in urls[1:]:
            Path("/proc/self/clear_refs").write_text("5")
            began = time.monotonic()
            requests = [spec(url, timeout_seconds=30, follow_redirects="follow" in url)] * (THREADS * ROUNDS)
            outcomes = list(threads.map(executor.execute, requests))
            yield {
                "url": url,
                "errors": sorted({outcome.error_type.value for outcome in outcomes}),
                "longest_body": max(len(outcome.response_body) for outcome in outcomes),
                "grew_kilobytes": memory_kilobytes("VmHWM") - before,
                "seconds": round(time.monotonic() - began, 2),
            }
    executor.close()


def main() -> None:
    """Print a JSON list."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES))
    json.dump(list(call_all(sys.argv[1:])), sys.stdout)


if __name__ == "__main__":
    main()
