"""A Django project in one process, with the views that every site has."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import django
import waitress
from django.conf import settings

from . import common

LOGIN = "<form method=post>{% csrf_token %}{{ form }}</form>"
"""A login page for packages that bring none."""
BACKEND = "django.contrib.auth.backends.ModelBackend"


def configure(*, apps: tuple[str, ...] = (), middleware: tuple[str, ...] = (), **more: Any) -> None:
    """Set the project up: `apps` and `middleware` come behind Django's own."""
    settings.configure(
        **{
            "SECRET_KEY": common.SECRET,
            "DEBUG": common.DEBUG,
            "ALLOWED_HOSTS": ["*"],
            "ROOT_URLCONF": "site_urls",
            "INSTALLED_APPS": [
                "django.contrib.contenttypes",
                "django.contrib.auth",
                "django.contrib.messages",
                *apps,
            ],
            "MIDDLEWARE": [
                "duck_cookie_session.contrib.django.SessionMiddleware",
                "django.middleware.csrf.CsrfViewMiddleware",
                "django.contrib.auth.middleware.AuthenticationMiddleware",
                "django.contrib.messages.middleware.MessageMiddleware",
                *middleware,
            ],
            "TEMPLATES": [
                {
                    "BACKEND": "django.template.backends.django.DjangoTemplates",
                    "OPTIONS": {
                        "loaders": [
                            ("django.template.loaders.locmem.Loader", {"login.html": LOGIN}),
                            "django.template.loaders.app_directories.Loader",
                        ],
                        "context_processors": [
                            "django.template.context_processors.request",
                            "django.contrib.auth.context_processors.auth",
                            "django.contrib.messages.context_processors.messages",
                        ],
                    },
                }
            ],
            "DATABASES": {
                "default": {
                    "ENGINE": "django.db.backends.sqlite3",
                    "NAME": str(Path(common.FOLDER).parent / "users.sqlite3"),
                }
            },
            "PASSWORD_HASHERS": ["django.contrib.auth.hashers.MD5PasswordHasher"],  # quick
            "DEFAULT_AUTO_FIELD": "django.db.models.AutoField",
            "SESSION_ENGINE": "duck_cookie_session.contrib.django",
            "SESSION_COOKIE_NAME": common.COOKIE,
            "SESSION_DIR": common.FOLDER,
            "STATIC_URL": "/static/",
            "LOGIN_REDIRECT_URL": "/show",
            "USE_TZ": True,
            **more,
        }
    )
    django.setup()


def view(request: Any, value: str = "") -> Any:
    """/show, /store/... and /fail/..."""
    from django.http import HttpResponse, JsonResponse

    user = request.user.get_username() or None
    said = common.visit(request.session, request.path, user)
    return HttpResponse(said) if isinstance(said, str) else JsonResponse(said)


def prepare(*urls: Any) -> None:
    """Make the tables, the users alice and bob, and the table of addresses."""
    from django.contrib.auth import get_user_model
    from django.core.management import call_command
    from django.urls import path

    module = sys.modules["site_urls"] = ModuleType("site_urls")
    own = [path(rule, view) for rule in ("show", "store/<value>", "fail/<value>")]
    module.urlpatterns = [*own, *urls]  # type: ignore[attr-defined]
    call_command("migrate", run_syncdb=True, verbosity=0)
    users = get_user_model().objects
    for name in ("alice", "bob"):
        if not users.filter(username=name).exists():  # a second node
            users.create_superuser(name, f"{name}@example.org", common.PASSWORD)


def run() -> None:
    """Serve until the process is ended."""
    from django.core.wsgi import get_wsgi_application

    waitress.serve(get_wsgi_application(), host="127.0.0.1", port=common.PORT, threads=4)


def serve(*urls: Any) -> None:
    """Prepare and run."""
    prepare(*urls)
    run()
