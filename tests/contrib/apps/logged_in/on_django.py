"""A project around docs/logged-in.md's Django application."""

import os
from pathlib import Path

import django
from django.conf import settings

settings.configure(
    SECRET_KEY=os.environ["SECRET_KEY"],
    SESSION_ENGINE="duck_cookie_session.contrib.django",
    SESSION_DIR="sessions",
    ALLOWED_HOSTS=["localhost"],
    ROOT_URLCONF=__name__,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "logins.db"}},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "shop"],
    MIDDLEWARE=[
        "duck_cookie_session.contrib.django.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "shop.logins.note_logins",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "DIRS": [Path("templates").absolute()],
        }
    ],
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
)
django.setup()

from django.contrib.auth import get_user_model, login, logout  # noqa: E402  # models need the settings first
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.urls import path  # noqa: E402
from shop.logins import end_other_sessions, end_session, sessions  # noqa: E402

call_command("migrate", run_syncdb=True, verbosity=0)


def log_in(request, user):
    known, _ = get_user_model().objects.get_or_create(pk=user, username=f"user {user}")
    login(request, known)
    return HttpResponse()


def log_out(request):
    logout(request)
    return HttpResponse()


def home(request):
    return HttpResponse(request.session.get("_auth_user_id", "nobody"))


def again(request):
    request.session.reauthenticated()
    return HttpResponse()


urlpatterns = [
    path("", home),
    path("sessions", sessions),
    path("sessions/end-others", end_other_sessions),
    path("sessions/<session_id>/end", end_session),
    path("logout", log_out),
    path("login/<user>", log_in),
    path("again", again),
]
app = get_wsgi_application()
