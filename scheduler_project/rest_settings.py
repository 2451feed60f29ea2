"""REST framework's and drf-spectacular's settings, and the cache that throttling counts in."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

# What one request body may have; the API answers 413 beyond it.
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024

# Several web processes count together in a folder that gunicorn.conf.py makes; a single one counts in its memory.
_SHARED_BY_PROCESSES = os.environ.get("API_SCHEDULER_THROTTLE_DIR")
# One entry per API client: the default of 300 would forget counts at random. Files are listed at every write.
CACHES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
        "LOCATION": _SHARED_BY_PROCESSES,
        "OPTIONS": {"MAX_ENTRIES": 2_000},
    }
    if _SHARED_BY_PROCESSES
    else {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "OPTIONS": {"MAX_ENTRIES": 20_000},
    }
}

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_RENDERER_CLASSES": ["scheduler_project.json_answers.AnswerRenderer"],
    "DEFAULT_PARSER_CLASSES": ["scheduler_project.json_parser.StrictJSONParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "scheduler_project.json_answers.JsonOrProblem",
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "access.authentication.BearerTokenAuthentication",
        "access.authentication.BearerKeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["access.permissions.HasScope"],
    "DEFAULT_THROTTLE_CLASSES": ["access.throttles.PrincipalThrottle"],
    "DEFAULT_PAGINATION_CLASS": "scheduler_project.pagination.LimitOffset",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_METADATA_CLASS": None,
    "EXCEPTION_HANDLER": "scheduler_project.errors.exception_handler",
    "URL_FORMAT_OVERRIDE": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}

# An access token is good for ten minutes, a refresh token for a week after its last use and for one use.
SIMPLE_JWT: dict[str, Any] = {
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=10),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=7),
    "ALGORITHM": "HS256",
    "ISSUER": "api-scheduler",
}

SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "API Scheduler",
    "DESCRIPTION": (
        "Cron for API calls: targets say what to call, schedules when, runs and their attempts what happened.\n\n"
        "Send `Authorization: Bearer <key>`; `manage.py create_api_key --name NAME` makes a key. "
        "Every error is an RFC 9457 problem document. Times are RFC 3339 with an offset."
    ),
    "VERSION": "v1",
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_ADD_EXPLICIT_BLANK_NULL_CHOICE": False,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "TAGS": [
        {"name": "targets", "description": "What to call."},
        {"name": "secrets", "description": "Values that targets send and nobody reads."},
        {"name": "schedules", "description": "When to call it."},
        {"name": "runs", "description": "What was meant to happen, and what did."},
        {"name": "auth", "description": "Tokens for people and scripts that sign in with a password."},
        {"name": "api-keys", "description": "Who may use the API; for keys and users with the scope `admin`."},
        {"name": "audit", "description": "Who changed what, from where, and who was refused; scope `admin`."},
        {"name": "metrics", "description": "Numbers over all of it."},
        {"name": "health", "description": "Whether the service works."},
    ],
    "PREPROCESSING_HOOKS": ["scheduler_project.schema.only_the_api"],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "scheduler_project.schema.name_actions",
        "scheduler_project.schema.add_problems",
        "scheduler_project.schema.add_headers",
    ],
    "ENUM_NAME_OVERRIDES": {
        "HttpMethod": "targets.models.HttpMethod",
        "ScheduleType": "schedules.models.ScheduleType",
        "ScheduleStatus": "schedules.models.ScheduleStatus",
        "CatchUp": "schedules.models.CatchUp",
        "OverlapPolicy": "schedules.models.OverlapPolicy",
        "OnWorkerLost": "schedules.models.OnWorkerLost",
        "Trigger": "runs.models.Trigger",
        "RunStatus": "runs.models.RunStatus",
        "ErrorType": "runs.models.ERROR_CHOICES",
    },
}
