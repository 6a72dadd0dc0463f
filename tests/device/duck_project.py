"""Duck's settings and URLs for `tests/device/process.py`."""

from __future__ import annotations

import os
from typing import Any

from duck.etc.middlewares import middlewares

from tests.device.sites import NAME
from tests.helpers import SECRET

SECRET_KEY = SECRET
DEBUG = False
ALLOWED_HOSTS = ["app.test"]
SESSION_ENGINE = "duck_cookie_session.engine"
SESSION_STORAGE = "duck_cookie_session.SQLiteRevocationList"
SESSION_DIR = os.environ["SITE_FOLDER"]
SESSION_COOKIE_NAME = NAME
SESSION_COOKIE_SECURE = True
SESSION_DEVICE_BINDING = "offer"
OWN, OURS = "duck.http.middlewares.contrib.Session", "duck_cookie_session.contrib.duck.Session"
MIDDLEWARES = [name.replace(OWN, OURS) for name in middlewares]
URLPATTERNS_MODULE = "tests.device.duck_urls"
BLUEPRINTS: list[Any] = []
USE_DJANGO = False
DJANGO_SETTINGS_MODULE = (
    "duck.etc.structures.projects.testing.web.backend.django.duckapp.duckapp.settings"
)
ENABLE_DASHBOARD = ENABLE_COMPONENT_SYSTEM = RUN_AUTOMATIONS = False
AUTO_RELOAD = LOG_TO_FILE = False
SILENT = True
