"""The benchmark application on Django: settings in code, views, and the URL configuration."""

from __future__ import annotations

import tempfile
from typing import Any

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse
from django.test.utils import override_settings
from django.urls import path

from tests.benchmarks import ours, web
from tests.benchmarks.data import SECRET


def configure() -> None:
    """Set Django up once in this process."""
    if not settings.configured:
        settings.configure(
            SECRET_KEY=SECRET,
            ALLOWED_HOSTS=["*"],
            SESSION_COOKIE_NAME=ours.COOKIE_NAME,
            SESSION_DIR=tempfile.gettempdir(),  # looked at when it starts; nothing is kept there
            ROOT_URLCONF="tests.benchmarks.django_app",
            LOGGING_CONFIG=None,
        )
        django.setup()


def handler(**changes: Any) -> WSGIHandler:
    """A WSGI application whose middlewares were built under these settings."""
    configure()
    with override_settings(**changes):
        return WSGIHandler()


def plain(request: Any) -> HttpResponse:
    """Leaves the session alone."""
    del request
    return HttpResponse("plain", content_type="text/plain")


def read(request: Any) -> HttpResponse:
    """Looks into the session once."""
    return HttpResponse(web.read(request.session), content_type="text/plain")


def write(request: Any) -> HttpResponse:
    """Changes one value."""
    return HttpResponse(web.write(request.session), content_type="text/plain")


def fill(request: Any) -> HttpResponse:
    """Starts a session."""
    web.fill(request.session, request.META["QUERY_STRING"])
    return HttpResponse("filled", content_type="text/plain")


urlpatterns = [path("plain", plain), path("read", read), path("write", write), path("fill", fill)]
