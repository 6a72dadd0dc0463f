"""The entry of INSTALLED_APPS: system checks, and `manage.py sessions`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # Django ships no types
    from .._untyped import AppConfig
else:
    from django.apps import AppConfig


class CookieSessions(AppConfig):
    """Brings system checks and `manage.py sessions`."""

    name = "duck_cookie_session.contrib.django"
    label = "duck_cookie_session"
    verbose_name = "Cookie sessions"

    def ready(self) -> None:
        """The models are there, which one of the checks looks at."""
        from . import _checks  # noqa: F401  # registers them
