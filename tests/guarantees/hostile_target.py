"""Everything that a target can do to hold a call up, in a process of its own.

`python -m tests.guarantees.hostile_target` prints a JSON list of URLs, then serves until its standard input
ends. A process of its own keeps its threads and descriptors apart from those of the caller, which tests count.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.hostile_sockets import drip_tls, full_backlog, never_accepting, speaking
from tests.http_target import RecordingTarget

# What each does is said in tests.http_replies.
PATHS = (
    "/silent",
    "/drip-status?every=0.02",
    "/drip-headers?every=0.02",
    "/endless-headers",
    "/continues?every=0.02",
    "/continues?every=0",
    "/drip?every=0.02",
    "/drip-chunks?every=0.02",
    "/tiny-chunks",
    "/trailers",
    "/endless",
    "/gzip-bomb?megabytes=5",
    "/hang-up",
)


@contextmanager
def hostile_urls() -> Iterator[list[str]]:
    """The URLs, as long as the block lasts. None of them needs a look-up."""
    command = [sys.executable, "-m", "tests.guarantees.hostile_target"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.kill()


def main() -> None:
    """Serve."""
    with ExitStack() as open_until_then:
        target = open_until_then.enter_context(RecordingTarget())
        stalled = open_until_then.enter_context(full_backlog())
        mute = open_until_then.enter_context(never_accepting())
        dripping = open_until_then.enter_context(speaking(drip_tls))
        urls = [target.url(path) for path in PATHS]
        urls += [f"http://127.0.0.1:{stalled}/connect-stall", f"http://127.0.0.1:{mute}/no-answer"]
        urls += [f"https://127.0.0.1:{mute}/tls-stall", f"https://127.0.0.1:{dripping}/tls-drip"]
        sys.stdout.write(json.dumps(urls) + "\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
