"""Settings for tests, put into the environment before pytest-django reads the settings module."""

from __future__ import annotations

import os
import tempfile

os.environ.setdefault("API_SCHEDULER_ENV_FILE", os.devnull)
os.environ.setdefault("SECRET_KEY", "only-for-tests")
os.environ.setdefault("FIELD_ENCRYPTION_KEYS", "mO8eBzXUzBzDkq1hp3XzFq3Xg6lUuS1m8T7JfXbq1pY=")
os.environ.setdefault("DATABASE_URL", f"sqlite:///{tempfile.mkdtemp()}/tests.db")
