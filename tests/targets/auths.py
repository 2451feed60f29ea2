"""One auth of each type, with a secret that is easy to look for."""

from __future__ import annotations

CANARY = "canary-4f1c9e77/+ä"
PLAIN_CANARY = "canary-4f1c9e77"
BASIC = {"type": "basic", "username": "me", "password": CANARY}
BEARER = {"type": "bearer", "token": PLAIN_CANARY}
HEADER_KEY = {"type": "api_key", "name": "X-Partner", "value": PLAIN_CANARY, "in": "header"}
QUERY_KEY = {"type": "api_key", "name": "partner id", "value": CANARY, "in": "query"}
OAUTH2 = {
    "type": "oauth2_client_credentials",
    "token_url": "https://login.example.com/token",
    "client_id": "me",
    "client_secret": CANARY,
    "scope": "read write",
}
EACH = {"basic": BASIC, "bearer": BEARER, "header key": HEADER_KEY, "query key": QUERY_KEY, "oauth2": OAUTH2}
