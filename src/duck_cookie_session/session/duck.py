"""Duck's settings, as the connector and the command line read them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from ..errors import InvalidSettings
from ..settings import SessionSettings

DUCK_SUBJECT_KEY = "_auth_user_id"
"""The key under which Duck's login() writes the user's id."""

STORAGE_HELP = (
    'Put SESSION_STORAGE = "duck_cookie_session.SQLiteRevocationList" into the settings, or '
    '"duck_cookie_session.revocation.redis.RedisRevocationList" where nodes share a server.'
)


def duck_settings() -> Mapping[str, Any]:
    """Duck's settings, or InvalidSettings; Duck is imported here and only here."""
    try:
        from duck.settings import SETTINGS
    except Exception as error:  # Duck runs the user's module here: any error
        raise InvalidSettings(
            "No session settings: call duck_cookie_session.configure(SessionSettings(...), "
            "SQLiteRevocationList) at start, or run under Duck with SESSION_STORAGE and "
            f"SECRET_KEY in its settings (those could not be read: {type(error).__name__})."
        ) from error
    found: Mapping[str, Any] = SETTINGS
    return found


def duck_session_settings() -> SessionSettings:
    """What Duck's settings say of sessions.

    Raises:
        InvalidSettings: they can't be read, or one has a value that is not allowed.
    """
    return SessionSettings.from_mapping(duck_settings(), subject_key=DUCK_SUBJECT_KEY)


def import_storage(storage: Any) -> Any:
    """What SESSION_STORAGE names, or InvalidSettings; what is no text is given back."""
    if not isinstance(storage, str):
        return storage
    module, _, name = storage.rpartition(".")
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidSettings(
            f"SESSION_STORAGE names {storage!r}, which can't be imported ({error}). {STORAGE_HELP}"
        ) from error
