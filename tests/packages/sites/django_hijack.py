"""django-hijack: a superuser works as somebody else for a while, and comes back."""

from __future__ import annotations

from . import on_django

on_django.configure(
    apps=("hijack",),
    middleware=("hijack.middleware.HijackUserMiddleware",),
    LOGOUT_REDIRECT_URL="/show",
)

from django.contrib.auth import views  # noqa: E402  # needs the settings
from django.urls import include, path  # noqa: E402

if __name__ == "__main__":
    on_django.serve(
        path("login", views.LoginView.as_view(template_name="login.html")),
        path("logout", views.LogoutView.as_view(next_page="/show")),
        path("hijack/", include("hijack.urls")),
    )
