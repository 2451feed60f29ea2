"""RAW, the ceiling: a plain `requests` pool that records nothing.

    python -m bench.raw --threads 100 --calls 3000 --at EPOCH_SECONDS URL URL ...

One session per thread with the library's defaults; the threads take calls from one counter, which go round the URLs.
Prints one line of JSON when done: how many calls, and from `--at` to the last answer how many seconds.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from collections.abc import Iterator

import requests


def call_all(urls: list[str], *, threads: int, calls: int, at: float) -> dict[str, float]:
    """Make the calls, beginning at the moment `at` (seconds since the epoch)."""
    numbers = iter(range(calls))
    lock = threading.Lock()
    pool = [threading.Thread(target=_work, args=(urls, numbers, lock, at)) for _ in range(threads)]
    for thread in pool:
        thread.start()
    cpu_before = time.process_time()
    for thread in pool:
        thread.join()
    return {"calls": calls, "seconds": time.time() - at, "cpu_seconds": time.process_time() - cpu_before}


def _work(urls: list[str], numbers: Iterator[int], lock: threading.Lock, at: float) -> None:
    session = requests.Session()
    time.sleep(max(0.0, at - time.time()))
    while True:
        with lock:
            number = next(numbers, None)
        if number is None:
            return
        session.get(urls[number % len(urls)]).raise_for_status()


def main() -> None:
    """See the top of this file."""
    parser = argparse.ArgumentParser(description="A plain requests pool.")
    parser.add_argument("--threads", type=int, default=100)
    parser.add_argument("--calls", type=int, default=3000)
    parser.add_argument("--at", type=float, default=0.0, help="when to begin, in seconds since the epoch")
    parser.add_argument("urls", nargs="+")
    options = parser.parse_args()
    at = max(options.at, time.time() + 0.2)
    print(json.dumps(call_all(options.urls, threads=options.threads, calls=options.calls, at=at)), flush=True)


if __name__ == "__main__":
    main()
