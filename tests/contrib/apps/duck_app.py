"""The application on Duck's own server: a project of its own in the working directory."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import common

MIDDLEWARE = os.environ.get("SITE_MIDDLEWARE", "duck_cookie_session.contrib.duck")
DJANGO = "duck.etc.structures.projects.testing.web.backend.django.duckapp.duckapp.settings"
SETTINGS: dict[str, Any] = {
    "SECRET_KEY": common.SECRET,
    "DEBUG": bool(os.environ.get("SITE_DEBUG")),
    "ALLOWED_HOSTS": ["*"],
    "ASYNC_HANDLING": common.ASYNC,
    "SESSION_ENGINE": "duck_cookie_session.engine",
    "SESSION_STORAGE": "duck_cookie_session.SQLiteRevocationList",
    "SESSION_DIR": common.FOLDER,
    "SESSION_COOKIE_NAME": common.COOKIE,
    "SESSION_COOKIE_SECURE": False,
    "MIDDLEWARES": [f"{MIDDLEWARE}.SessionMiddleware"],
    "URLPATTERNS_MODULE": "duck_app",
    "BLUEPRINTS": [],
    "USE_DJANGO": False,
    "DJANGO_SETTINGS_MODULE": DJANGO,
    "ENABLE_DASHBOARD": False,
    "ENABLE_COMPONENT_SYSTEM": False,
    "RUN_AUTOMATIONS": False,
    "AUTO_RELOAD": False,
    "LOG_TO_FILE": False,
    "SILENT": True,
}
SETTINGS.update(json.loads(os.environ.get("SITE_SETTINGS", "{}")))
if os.environ.get("SITE_OLD"):  # Duck's own sessions, to be taken over later
    del SETTINGS["SESSION_ENGINE"]
    SETTINGS["SESSION_STORAGE"] = "duck.utils.caching.KeyAsFolderCache"
if os.environ.get("SITE_TAKE_OVER"):
    sys.path.append(str(Path(__file__).parent.parent / "migration"))
    SETTINGS["SESSION_COOKIE_NAME"] = "new_session"
    SETTINGS["MIDDLEWARES"] = [*SETTINGS["MIDDLEWARES"], "of_duck.TakeOver"]
SETTINGS.update(common.SETTINGS)


def view(request: Any) -> Any:
    from duck.contrib import auth
    from duck.http.response import HttpResponse, StreamingHttpResponse

    def session() -> Any:
        return request.SESSION

    def login(user: str) -> None:
        auth.login(request, user_id=user)

    def logout() -> None:
        auth.logout(request)

    args = {key: str(value) for key, value in request.GET.items()}
    args = {key: str(request.GET.get(key)) for key in args}
    made = common.answer(request.path, common.Asked(args, session, login, logout))
    if made.streamed:
        stream = iter([chunk.encode() for chunk in made.chunks])
        return StreamingHttpResponse(stream, content_type="text/plain", status_code=made.status)
    response = HttpResponse(made.body, content_type="text/plain", status_code=made.status)
    if made.cookie:
        response.set_cookie("own", "1")
    if made.cache:
        response.set_header("Cache-Control", made.cache)
    if "written" in args:
        response.set_cookie(common.COOKIE, args["written"])
    return response


async def async_view(request: Any) -> Any:
    return view(request)


def make_project() -> None:
    """Write the project into the working directory and name its settings."""
    project = Path("web")
    project.mkdir(exist_ok=True)
    (project / "__init__.py").touch()
    lines = [f"{name} = {value!r}\n" for name, value in SETTINGS.items()]
    (project / "settings.py").write_text("".join(lines))
    os.environ["DUCK_SETTINGS_MODULE"] = "web.settings"


def main() -> None:
    make_project()
    from duck.app import App

    App(addr="127.0.0.1", port=common.PORT, domain="127.0.0.1").run()


if __name__ == "__main__":
    main()
elif MIDDLEWARE:
    from duck.urls import path

    shown = async_view if common.ASYNC else view
    urlpatterns = [path(name, shown, name=name) for name in common.VIEWS]
