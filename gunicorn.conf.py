"""How gunicorn serves the web part, in `make run` and in the image alike; `--bind` says where."""

wsgi_app = "scheduler_project.wsgi"
worker_class = "gthread"
workers = 2  # WEB_CONCURRENCY or --workers overrides
threads = 8
# A setting that is refused stops the master with its one line, instead of workers that die and come back for ever.
preload_app = True
control_socket_disable = True
graceful_timeout = 30
