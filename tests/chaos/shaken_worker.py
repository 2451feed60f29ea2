"""A worker with a wrong clock, a broken mechanism, or both: `python -m tests.chaos.shaken_worker SKEW MUTATION`.

SKEW is in seconds; MUTATION is a name of tests.chaos.mutations, or "none". Production code knows nothing of either.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Shift the clock before anything reads it, break what shall be broken, then be a worker."""
    skew, mutation = int(sys.argv[1]), sys.argv[2]
    if skew:
        # Compiled against the real classes, and with no question about the present.
        import psycopg  # noqa: F401

        from tests.chaos.clock_skew import shift_wall_clock

        shift_wall_clock(skew)
    import django
    from django.core.management import call_command

    from tests.chaos.mutations import install

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scheduler_project.settings")
    django.setup()
    install(mutation)
    call_command("runscheduler")


if __name__ == "__main__":
    main()
