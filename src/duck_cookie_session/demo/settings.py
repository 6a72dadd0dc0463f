"""Duck's settings of one demo node; what differs between the nodes comes from the environment.

The lines that this library needs are those that start with SESSION_ and the middleware.
"""

from __future__ import annotations

import os

NODE = os.environ["DEMO_NODE"]
PORTS = tuple(int(port) for port in os.environ["DEMO_PORTS"].split(","))

SECRET_KEY = os.environ["DEMO_SECRET"]  # the same on every node

SESSION_ENGINE = "duck_cookie_session.engine"
SESSION_DIR = os.environ["DEMO_SESSIONS"]  # the same on every node
SESSION_COOKIE_AGE = 3600
AUTHORITY = os.environ["DEMO_AUTHORITY"]  # of the certificate; empty for plain HTTP
if AUTHORITY:
    SESSION_COOKIE_NAME = "__Host-session_id"
    SESSION_COOKIE_SECURE = True
    SESSION_DEVICE_BINDING = "offer"
else:
    SESSION_COOKIE_NAME = "session_id"
    SESSION_COOKIE_SECURE = False  # plain HTTP on this machine; leave it True elsewhere
if os.environ.get("DEMO_REDIS"):
    SESSION_STORAGE = "duck_cookie_session.revocation.redis.RedisRevocationList"
    SESSION_REVOCATION_URL = os.environ["DEMO_REDIS"]
    SESSION_MAX_STALENESS = float(os.environ["DEMO_STALENESS"])
else:
    SESSION_STORAGE = "duck_cookie_session.SQLiteRevocationList"

MIDDLEWARES = [
    "duck.http.middlewares.security.HostMiddleware",
    "duck_cookie_session.contrib.duck.SessionMiddleware",
]

ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
URLPATTERNS_MODULE = "duck_cookie_session.demo.urls"
CSP_TRUSTED_SOURCES = {
    "default-src": ["'none'"],
    "style-src": ["'self'"],
    "img-src": ["'self'"],
    "form-action": ["'self'"],
    "base-uri": ["'none'"],
    "frame-ancestors": ["'none'"],
}

# Nothing else of Duck is needed, and nothing of it is to be seen.
DEBUG = False
CORS_HEADERS: dict[str, str] = {}
BLUEPRINTS: list[str] = []
ENABLE_DASHBOARD = False
ENABLE_COMPONENT_SYSTEM = False
RUN_AUTOMATIONS = False
USE_DJANGO = False
DJANGO_SETTINGS_MODULE = (
    "duck.etc.structures.projects.testing.web.backend.django.duckapp.duckapp.settings"
)
AUTO_RELOAD = False
LOG_TO_FILE = False
SILENT = True
