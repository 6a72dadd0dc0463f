"""Django's and Duck's sites, in a process of their own: `python -m tests.device.process duck DIR`.

What it is told, `tests/device/sites.py` says.
"""

from __future__ import annotations

import os
import sys
from typing import Any
from unittest import mock

from duck_cookie_session import SessionStorageConnector
from tests.device.sites import NAME, obey, over_asgi, over_wsgi, view
from tests.helpers import SECRET
from tests.helpers.device_browser import Answer, Send


def django_view(request: Any) -> Any:
    from django.http import HttpResponse

    status, body, headers = view(request.session, request.path)
    return HttpResponse(body, status=status, headers=headers)


def django_app(connector: SessionStorageConnector) -> Any:
    """Django's ASGI application, the only one of its process."""
    from django.core.handlers.asgi import ASGIHandler

    from duck_cookie_session.contrib.django import _connector

    set_django_up()
    _connector._connector = connector
    return ASGIHandler()


def under_django(connector: SessionStorageConnector, *, awaited: bool = False) -> Send:
    from django.core.handlers.asgi import ASGIHandler
    from django.core.handlers.wsgi import WSGIHandler

    from duck_cookie_session.contrib.django import _connector

    # The connector of the process, which Django's settings would give, is that of this node.
    with mock.patch.object(_connector, "_connector", connector):
        served = over_asgi(ASGIHandler()) if awaited else over_wsgi(WSGIHandler())

    def send(method: str, path: str, headers: dict[str, str]) -> Answer:
        with mock.patch.object(_connector, "_connector", connector):
            return served(method, path, headers)

    return send


def set_django_up() -> None:
    import django
    from django.conf import settings
    from django.urls import re_path

    class Urls:
        urlpatterns = (re_path("", django_view),)

    settings.configure(
        SECRET_KEY=SECRET,
        ALLOWED_HOSTS=["app.test"],
        ROOT_URLCONF=Urls,
        MIDDLEWARE=[
            "django.middleware.security.SecurityMiddleware",
            "duck_cookie_session.contrib.django.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
        ],
        SECURE_PROXY_SSL_HEADER=("HTTP_X_PROTO", "https"),
        SESSION_ENGINE="duck_cookie_session.contrib.django",
        SESSION_COOKIE_NAME=NAME,
        LOGGING_CONFIG=None,
        USE_TZ=True,
    )
    django.setup()


def under_duck(connector: SessionStorageConnector) -> Send:
    from duck.http.request import HttpRequest
    from duck.settings.loaded import SettingsLoaded

    from duck_cookie_session.session_storage_connector import globals

    def send(method: str, path: str, headers: dict[str, str]) -> Answer:
        request = HttpRequest()
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {v}" for name, v in headers.items())]
        request.parse_raw_request("\r\n".join([*lines, "", ""]).encode())
        with mock.patch.object(globals, "session_storage_connector", connector):
            answered = SettingsLoaded.WSGI.get_response(request)
        cookies = [("Set-Cookie", morsel.OutputString()) for morsel in answered.cookies.values()]
        return Answer(answered.status_code, [*answered.headers.items(), *cookies], answered.content)

    return send


def set_duck_up(folder: str) -> None:
    os.environ["DUCK_SETTINGS_MODULE"] = "tests.device.duck_project"
    os.environ["SITE_FOLDER"] = folder
    os.chdir(folder)  # Duck writes where it runs
    import duck.setup

    duck.setup.setup()


def main(framework: str, folder: str) -> None:
    if framework == "duck":
        set_duck_up(folder)
        obey(under_duck)
    elif framework == "django":
        set_django_up()
        obey(under_django)
    else:
        set_django_up()
        obey(lambda connector: under_django(connector, awaited=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
