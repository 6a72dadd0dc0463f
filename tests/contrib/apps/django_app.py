"""The application on Django, for gunicorn (WSGI) and uvicorn (ASGI)."""

from __future__ import annotations

import os
from typing import Any

import common
import django
from django.conf import settings

MIDDLEWARE = os.environ.get("SITE_MIDDLEWARE", "duck_cookie_session.contrib.django")

settings.configure(
    SECRET_KEY=common.SECRET,
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
    MIDDLEWARE=[
        f"{MIDDLEWARE}.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "users.sqlite3"}},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    SESSION_ENGINE="duck_cookie_session.contrib.django",
    SESSION_COOKIE_NAME=common.COOKIE,
    SESSION_DIR=common.FOLDER,
    LOGGING_CONFIG=None,
    USE_TZ=True,
    **common.SETTINGS,
)
django.setup()

from django.contrib import auth  # noqa: E402  # Django's models need the settings first
from django.core.asgi import get_asgi_application  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse  # noqa: E402
from django.urls import path  # noqa: E402

call_command("migrate", verbosity=0)


def view(request: HttpRequest) -> Any:
    def session() -> Any:
        return request.session

    def login(name: str) -> None:
        user, _ = auth.get_user_model().objects.get_or_create(username=name)
        auth.login(request, user, "django.contrib.auth.backends.ModelBackend")

    def logout() -> None:
        auth.logout(request)

    made = common.answer(request.path, common.Asked(request.GET, session, login, logout))
    response: Any = HttpResponse(made.body, status=made.status)
    if made.streamed:
        response = StreamingHttpResponse(made.chunks, status=made.status)
    if made.cache:
        response.headers["Cache-Control"] = made.cache
    if made.cookie:
        response.set_cookie("own", "1")
    return response


urlpatterns = [path(name.strip("/"), view) for name in common.VIEWS]
application = get_asgi_application() if common.ASYNC else get_wsgi_application()
