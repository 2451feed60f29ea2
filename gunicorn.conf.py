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
# TRUSTED_PROXIES alone says whose X-Forwarded-* counts: gunicorn's own default would believe every local process.
forwarded_allow_ips = ""
graceful_timeout = 30

# Folders that the web processes share. In the first, each counts its requests in a file of its own, and a scrape of any
# of them adds the files up; in the second are the counts of API_THROTTLE. Both must be in the environment before the
# application is imported.
_shared = []
for _name in ("PROMETHEUS_MULTIPROC_DIR", "API_SCHEDULER_THROTTLE_DIR"):
    if _name not in os.environ:
        os.environ[_name] = tempfile.mkdtemp(prefix="api-scheduler-web-")
        _shared.append(os.environ[_name])


def on_exit(server: Any) -> None:
    """The master ends: what was counted ends with it."""
    for folder in _shared:
        shutil.rmtree(folder, ignore_errors=True)
