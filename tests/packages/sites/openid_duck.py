"""Logout at an identity provider: Duck with Authlib's client for httpx."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from . import common

DJANGO = "duck.etc.structures.projects.testing.web.backend.django"
SETTINGS: dict[str, Any] = {
    "SECRET_KEY": common.SECRET,
    "DEBUG": False,
    "ALLOWED_HOSTS": ["*"],
    "SESSION_ENGINE": "duck_cookie_session.engine",
    "SESSION_STORAGE": "duck_cookie_session.SQLiteRevocationList",
    "SESSION_DIR": common.FOLDER,
    "SESSION_COOKIE_NAME": common.COOKIE,
    "SESSION_COOKIE_SECURE": False,
    "SESSION_GROUP_KEYS": ("oidc_sid", "oidc_sub"),
    "MIDDLEWARES": [
        "duck.http.middlewares.security.csrf.CSRFMiddleware",
        "duck_cookie_session.contrib.duck.SessionMiddleware",
    ],
    "URLPATTERNS_MODULE": "tests.packages.sites.openid_duck_urls",
    "BLUEPRINTS": [],
    "USE_DJANGO": False,
    "DJANGO_SETTINGS_MODULE": f"{DJANGO}.duckapp.duckapp.settings",
    "ENABLE_DASHBOARD": False,
    "ENABLE_COMPONENT_SYSTEM": False,
    "RUN_AUTOMATIONS": False,
    "AUTO_RELOAD": False,
    "LOG_TO_FILE": False,
    "SILENT": True,
}


def main() -> None:
    """Write the project into the working directory, and serve it."""
    project = Path("web")
    project.mkdir(exist_ok=True)
    (project / "__init__.py").touch()
    lines = [f"{name} = {value!r}\n" for name, value in SETTINGS.items()]
    (project / "settings.py").write_text("".join(lines))
    os.environ["DUCK_SETTINGS_MODULE"] = "web.settings"
    from duck.app import App

    App(addr="127.0.0.1", port=common.PORT, domain="127.0.0.1").run()


if __name__ == "__main__":
    main()
