"""How gunicorn serves the web part, in `make run` and in the image alike; `--bind` says where."""

import os
import shutil
import tempfile
from typing import Any

wsgi_app = "scheduler_project.wsgi"
worker_class = "gthread"
workers = 2  # WEB_CONCURRENCY or --workers overrides
threads = 8
# A setting that is refused stops the master with its one line, instead of workers that die and come back for ever.
preload_app = True
control_socket_disable = True
graceful_timeout = 30

# Each web process counts its own requests in a file here, and a scrape of any of them adds the files up. It must be in
# the environment before prometheus_client is imported.
_shared_counts = None
if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
    _shared_counts = tempfile.mkdtemp(prefix="api-scheduler-web-metrics-")
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = _shared_counts


def on_exit(server: Any) -> None:
    """The master ends: what was counted ends with it."""
    if _shared_counts:
        shutil.rmtree(_shared_counts, ignore_errors=True)
