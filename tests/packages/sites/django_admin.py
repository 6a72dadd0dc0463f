"""Django's admin, with the CSRF token and the messages in the session."""

from __future__ import annotations

from . import on_django

on_django.configure(
    apps=("django.contrib.admin",),
    CSRF_USE_SESSIONS=True,
    MESSAGE_STORAGE="django.contrib.messages.storage.session.SessionStorage",
)

from django.contrib import admin  # noqa: E402  # needs the settings
from django.contrib.auth.models import Group  # noqa: E402
from django.urls import path  # noqa: E402

assert admin.site.is_registered(Group)

if __name__ == "__main__":
    on_django.serve(path("admin/", admin.site.urls))
