"""Settings, read from the environment and `.env`. README lists each with its default and meaning."""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

import django_stubs_ext

from scheduler_project.env import (
    is_production,
    read_allowed_hosts,
    read_bool,
    read_count,
    read_database,
    read_days,
    read_env_prefix,
    read_fernet_keys,
    read_folder,
    read_hosts,
    read_integer,
    read_networks,
    read_number,
    read_ports,
    read_proxy,
    read_public_url,
    read_rate,
    read_secret_key,
    read_time_zone,
    refuse,
)
from scheduler_project.env_file import BASE_DIR, load_env_file
from scheduler_project.logs import logging_config
from scheduler_project.rest_settings import (  # noqa: F401 - settings of other packages, kept in one place
    CACHES,
    DATA_UPLOAD_MAX_MEMORY_SIZE,
    REST_FRAMEWORK,
    SIMPLE_JWT,
    SPECTACULAR_SETTINGS,
)
from scheduler_project.sqlite_file import ExistingFile

# Lets Django's classes be subscripted (ModelAdmin[Target]), as mypy wants it.
django_stubs_ext.monkeypatch()
load_env_file()

# --- Keys and addresses -------------------------------------------------------------------------------------
DEBUG = read_bool("DEBUG", default=False)
PUBLIC_URL = read_public_url("PUBLIC_URL", "http://127.0.0.1:8000")
_PUBLIC = urlsplit(PUBLIC_URL)
_PRODUCTION = is_production(PUBLIC_URL, debug=DEBUG)
SECRET_KEY = read_secret_key("SECRET_KEY", strict=_PRODUCTION)
# A key of its own for tokens, so that what is signed for one purpose is never good for another.
SIMPLE_JWT["SIGNING_KEY"] = hmac.digest(SECRET_KEY.encode(), b"access.tokens", "sha256").hex()
FIELD_ENCRYPTION_KEYS = read_fernet_keys("FIELD_ENCRYPTION_KEYS", strict=_PRODUCTION)
ALLOWED_HOSTS = read_allowed_hosts("ALLOWED_HOSTS", f"{_PUBLIC.hostname},localhost,127.0.0.1,[::1]")
TRUSTED_PROXIES = read_networks("TRUSTED_PROXIES")

# --- Scheduling, delivery and the worker --------------------------------------------------------------------
SCHEDULER_TIME_ZONE = read_time_zone("SCHEDULER_TIME_ZONE", "Asia/Kolkata")
MAX_TIMEOUT_SECONDS = read_number("MAX_TIMEOUT_SECONDS", 120, low=1, high=3600)
DEFAULT_TIMEOUT_SECONDS = read_number("DEFAULT_TIMEOUT_SECONDS", 30, low=0.1, high=3600)
if DEFAULT_TIMEOUT_SECONDS > MAX_TIMEOUT_SECONDS:
    refuse("DEFAULT_TIMEOUT_SECONDS", f"{DEFAULT_TIMEOUT_SECONDS:g}", "must be at most MAX_TIMEOUT_SECONDS")
MAX_RETRIES = read_integer("MAX_RETRIES", 3, low=0, high=100)
RETRY_DELAY_SECONDS = read_number("RETRY_DELAY_SECONDS", 1, low=0, high=86_400)
MAX_CONCURRENT_JOBS = read_integer("MAX_CONCURRENT_JOBS", 100, low=1, high=2000)
MAX_CALLS_PER_HOST = read_integer("MAX_CALLS_PER_HOST", 0, low=0, high=10_000)
JOB_MISFIRE_GRACE_SECONDS = read_integer("JOB_MISFIRE_GRACE_SECONDS", 60, low=0, high=31_622_400)
WORKER_POLL_SECONDS = read_number("WORKER_POLL_SECONDS", 1, low=0.05, high=60)
WORKER_LEASE_SECONDS = read_number("WORKER_LEASE_SECONDS", 30, low=2, high=600)
WORKER_DRAIN_SECONDS = read_number("WORKER_DRAIN_SECONDS", 25, low=0, high=3600)
if WORKER_LEASE_SECONDS < 4 * WORKER_POLL_SECONDS:
    refuse("WORKER_LEASE_SECONDS", f"{WORKER_LEASE_SECONDS:g}", "must be at least 4 times WORKER_POLL_SECONDS")
EGRESS_ALLOW_CIDRS = read_networks("EGRESS_ALLOW_CIDRS")
EGRESS_DENY_CIDRS = read_networks("EGRESS_DENY_CIDRS")
EGRESS_ALLOW_HOSTS = read_hosts("EGRESS_ALLOW_HOSTS")
EGRESS_ALLOW_PORTS = read_ports("EGRESS_ALLOW_PORTS")
EGRESS_PROXY_RESOLVES = read_bool("EGRESS_PROXY_RESOLVES", default=False)
EGRESS_PROXY_URL = read_proxy("EGRESS_PROXY_URL", resolves=EGRESS_PROXY_RESOLVES)
SECRETS_ENV_PREFIX = read_env_prefix("SECRETS_ENV_PREFIX", "API_SCHEDULER_SECRET_")
SECRETS_DIR = read_folder("SECRETS_DIR")
API_THROTTLE = read_rate("API_THROTTLE", "1200/min")
MAX_SCHEDULES_PER_KEY = read_count("MAX_SCHEDULES_PER_KEY", "off")

# --- How long ended runs are kept (None: for ever) ----------------------------------------------------------
RETENTION_SUCCESS_DAYS = read_days("RETENTION_SUCCESS_DAYS", 14)
RETENTION_FAILED_DAYS = read_days("RETENTION_FAILED_DAYS", 90)
RETENTION_BODY_DAYS = read_days("RETENTION_BODY_DAYS", 3)
RETENTION_AUDIT_DAYS = read_days("RETENTION_AUDIT_DAYS", 400, low=30)
RETENTION_KEEP_LAST = read_integer("RETENTION_KEEP_LAST", 100, low=0, high=10_000)

# --- Database -----------------------------------------------------------------------------------------------
DATABASE_POOLED = read_bool("DATABASE_POOLED", default=False)
_DATABASE = read_database("DATABASE_URL", "sqlite:///scheduler.db", base_dir=BASE_DIR)
if _DATABASE["ENGINE"].endswith("sqlite3"):
    # IMMEDIATE takes the write lock at BEGIN, where the busy timeout applies: a read lock upgraded later fails
    # at once. WAL lets the web read while the worker writes.
    _DATABASE["OPTIONS"] = {
        "factory": ExistingFile,
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
    }
else:
    _OPTIONS = {
        "connect_timeout": "5",
        "keepalives_idle": "10",
        "keepalives_interval": "5",
        "keepalives_count": "3",
        "tcp_user_timeout": "20000",
        "application_name": "api-scheduler",
    }
    if not DATABASE_POOLED:
        # A transaction pooler refuses start-up options: there, ALTER ROLE ... SET carries these timeouts.
        _OPTIONS["options"] = (
            "-c statement_timeout=30000 -c lock_timeout=10000 -c idle_in_transaction_session_timeout=15000"
        )
    _DATABASE["OPTIONS"] = {**_OPTIONS, **_DATABASE["OPTIONS"]}
    _DATABASE["CONN_MAX_AGE"] = 60
    _DATABASE["CONN_HEALTH_CHECKS"] = True
    _DATABASE["DISABLE_SERVER_SIDE_CURSORS"] = DATABASE_POOLED
DATABASES = {"default": _DATABASE}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Django -------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    # First: its commands go before Django's of the same name.
    "scheduler_project",
    "scheduler_project.admin_config.SchedulerAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_prometheus",
    "django_filters",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "access",
    "targets",
    "schedules",
    "runs",
    "worker",
]
MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "access.middleware.RequestIdMiddleware",
    # Before SecurityMiddleware, which believes X-Forwarded-Proto.
    "access.middleware.TrustedProxyMiddleware",
    "scheduler_project.page_policy.PagePolicyMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "scheduler_project.hop_guard.HopGuardMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "access.middleware.AuditMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "scheduler_project.web_metrics.WebMetricsMiddleware",
]
ROOT_URLCONF = "scheduler_project.urls"
WSGI_APPLICATION = "scheduler_project.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LOGGING = logging_config()
LOGIN_URL = "admin:login"
LANGUAGE_CODE = "en-us"
TIME_ZONE = SCHEDULER_TIME_ZONE
USE_I18N = False
FORMAT_MODULE_PATH = "scheduler_project.formats"
USE_TZ = True
APPEND_SLASH = True

# --- Static files: served by WhiteNoise from the apps' own folders; the image collects them under hashed names --
STATIC_URL = "/static/"
_COLLECTED = read_bool("STATIC_COLLECTED", default=False)
STATIC_ROOT = BASE_DIR / "staticfiles" if _COLLECTED else None
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if _COLLECTED
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = not _COLLECTED
WHITENOISE_AUTOREFRESH = DEBUG

# --- Safe by the scheme of PUBLIC_URL -----------------------------------------------------------------------
_HTTPS = _PUBLIC.scheme == "https"
SESSION_COOKIE_SECURE = _HTTPS
CSRF_COOKIE_SECURE = _HTTPS
SECURE_SSL_REDIRECT = _HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if _HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = _HTTPS
SECURE_HSTS_PRELOAD = _HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
SECURE_REDIRECT_EXEMPT = [r"^api/v1/health$"]
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
