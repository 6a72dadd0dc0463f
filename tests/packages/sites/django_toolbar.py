"""django-debug-toolbar, whose request panel prints the session."""

from __future__ import annotations

from . import on_django

on_django.configure(
    apps=("django.contrib.staticfiles", "debug_toolbar"),
    middleware=("debug_toolbar.middleware.DebugToolbarMiddleware",),
    INTERNAL_IPS=["127.0.0.1"],
    DEBUG_TOOLBAR_CONFIG={"SHOW_TOOLBAR_CALLBACK": lambda request: True, "IS_RUNNING_TESTS": False},
)

from django.contrib.auth import views  # noqa: E402  # needs the settings
from django.http import HttpResponse  # noqa: E402
from django.urls import include, path  # noqa: E402


def page(request: object) -> HttpResponse:
    return HttpResponse("<html><body>a page</body></html>")


if __name__ == "__main__":
    on_django.serve(
        path("login", views.LoginView.as_view(template_name="login.html")),
        path("logout", views.LogoutView.as_view(next_page="/show")),
        path("page", page),
        path("__debug__/", include("debug_toolbar.urls")),
    )
