"""Django's system checks: `manage.py check` and `runserver` say what is wrong before any request.

They run where `"duck_cookie_session.contrib.django"` stands in INSTALLED_APPS.
"""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.conf import settings as django_settings
from django.contrib.sessions.backends.base import SessionBase
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.utils.module_loading import import_string

from ...errors import InvalidSettings
from ._connector import read_settings, unknown_names
from ._store import SessionStore

ENGINE = "duck_cookie_session.contrib.django"
SESSION_KEY = "session_key"
MISSPELT = 0.85
"""How much a name must be like one of ours to be taken for it and not for another package's."""
DJANGOS_TABLE = "sessions.session"  # of django.contrib.sessions; this engine writes nothing there


def check_settings(**_: Any) -> list[CheckMessage]:
    """Every setting of sessions has a value that is allowed."""
    if django_settings.SESSION_ENGINE != ENGINE:
        return []
    try:
        read_settings()
    except InvalidSettings as error:
        return [Error(str(error), id="duck_cookie_session.E001")]
    return []


def check_names(**_: Any) -> list[CheckMessage]:
    """Warn of names that look like a misspelling of a setting."""
    if django_settings.SESSION_ENGINE != ENGINE:
        return []
    return [
        Warning(
            f"{name!r} is no setting of sessions, so it does nothing.",
            hint=f"Did you mean {nearest}?",
            id="duck_cookie_session.W003",
        )
        for name, nearest in unknown_names(alike=MISSPELT).items()
    ]


def check_engine(**_: Any) -> list[CheckMessage]:
    """Sessions are kept by this engine."""
    engine = django_settings.SESSION_ENGINE
    if engine == ENGINE:
        return []
    said = f"SESSION_ENGINE is {engine!r}, so sessions are not kept by this package"
    hint = f"Put SESSION_ENGINE = {ENGINE!r} into the settings."
    try:
        store = import_string(f"{engine}.SessionStore")
    except ImportError as error:
        return [Error(f"{said}: {error}.", hint=hint, id="duck_cookie_session.E002")]
    if issubclass(store, SessionStore):
        return []
    if issubclass(store, SessionBase):
        said += ": `manage.py sessions` and the like end none of them."
        return [Warning(said, hint=hint, id="duck_cookie_session.W002")]
    said += ": it is no engine for Django, and would save nothing."
    return [Error(said, hint=hint, id="duck_cookie_session.E002")]


def check_stored_keys(**_: Any) -> list[CheckMessage]:
    """No model keeps `session_key`, which here is the token: usable, and new after each save."""
    if django_settings.SESSION_ENGINE != ENGINE:
        return []
    return [
        Warning(
            f"{model._meta.label} ({model._meta.app_config.name}) has a field {SESSION_KEY!r}. "
            "Under this engine session.session_key is the cookie itself: about 600 characters, "
            "new ones after each save, and whoever reads it from the table is logged in.",
            hint="Store session.session_id instead, which lasts, and end that session with "
            "get_connector().delete_session(id). Apps that keep a list of sessions by their keys "
            "can't work with this engine: take them out of INSTALLED_APPS.",
            id="duck_cookie_session.W001",
        )
        for model in apps.get_models()
        if model._meta.label_lower != DJANGOS_TABLE
        and any(field.name == SESSION_KEY for field in model._meta.get_fields())
    ]


register(check_settings, Tags.security)
register(check_names, Tags.security)
register(check_engine, Tags.security)
register(check_stored_keys, Tags.models)
