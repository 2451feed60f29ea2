"""Defence D6: memory stays flat whatever a target sends, measured from outside as the kernel sees it.

`pytest -s tests/worker/test_memory.py` prints the figures.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.http_target import RecordingTarget
from tests.worker.bombs import MEGABYTES, bombs

KEPT = 102_400
MOST_GROWTH_KILOBYTES = 64 * 1024

pytestmark = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="reads memory as Linux shows it")

ENDLESS = {
    "/endless": ["none"],
    "/endless-headers": ["bad_response"],
    "/continues?every=0": ["bad_response"],
    "/trailers": ["bad_response"],
    "/endless-redirect": ["redirect"],
    "/endless-redirect?follow": ["redirect"],
}


@pytest.fixture(scope="module")
def measured() -> Iterator[dict[str, dict[str, Any]]]:
    """What each hostile path did to a process that called it, by path."""
    with RecordingTarget() as target:
        paths = [f"/bomb/{quote(coding)}" for coding in bombs()]
        for path, (coding, body) in zip(paths, bombs().items(), strict=True):
            head = (
                f"HTTP/1.1 200 OK\r\nConnection: close\r\n"
                f"Content-Encoding: {coding}\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            target.script(path, head.encode() + body)
            target.script(path.replace("%2C%20", ","), head.encode() + body)
        urls = [target.url(path) for path in ("/first", *paths, *ENDLESS)]
        command = [sys.executable, "-m", "tests.worker.bombs", *urls]
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True)
    results = {result["url"].removeprefix(target.url("").rstrip("/")): result for result in json.loads(done.stdout)}
    for path, result in results.items():
        print(path, {name: value for name, value in result.items() if name != "url"})  # noqa: T201 - the figures
    yield results


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "gzip, gzip", "gzip, br", "gzip, gzip, gzip", "identity"])
def test_d6_a_gigabyte_in_a_small_body_takes_no_memory(measured: dict[str, dict[str, Any]], coding: str) -> None:
    result = measured[f"/bomb/{quote(coding)}"]
    assert (result["errors"], result["longest_body"]) == (["none"], KEPT)
    assert result["grew_kilobytes"] < MOST_GROWTH_KILOBYTES


@pytest.mark.parametrize("path", ENDLESS)
def test_d6_what_has_no_end_takes_no_memory(measured: dict[str, dict[str, Any]], path: str) -> None:
    result = measured[path]
    assert result["errors"] == ENDLESS[path]
    assert result["longest_body"] <= KEPT
    assert result["grew_kilobytes"] < MOST_GROWTH_KILOBYTES


def test_d6_what_is_not_decoded_takes_no_memory_either(measured: dict[str, dict[str, Any]]) -> None:
    result = measured["/bomb/compress"]
    assert (result["errors"], result["longest_body"]) == (["none"], KEPT)
    assert result["grew_kilobytes"] < MOST_GROWTH_KILOBYTES


def test_the_bombs_are_small_and_hold_a_gigabyte() -> None:
    assert MEGABYTES == 1000
    assert all(len(body) < 2_000_000 for coding, body in bombs().items() if coding not in ("identity", "compress"))
