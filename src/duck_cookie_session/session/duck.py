"""Duck's settings, as the connector and the command line read them."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._checks import import_named
from ..errors import InvalidSettings
from ..settings import SessionSettings

DUCK_SUBJECT_KEY = "_auth_user_id"
"""The key under which the login() of Duck, and that of Django, writes the user's id."""

MIDDLEWARE = "duck_cookie_session.contrib.duck.SessionMiddleware"

STORAGE_HELP = (
    'Put SESSION_STORAGE = "duck_cookie_session.SQLiteRevocationList" into the settings, or '
    '"duck_cookie_session.revocation.redis.RedisRevocationList" or '
    '"duck_cookie_session.revocation.sql.SQLRevocationList" where nodes share a server.'
)


def duck_settings() -> Mapping[str, Any]:
    """Duck's settings, or InvalidSettings; Duck is imported here and only here."""
    try:
        from duck.settings import SETTINGS
    except Exception as error:  # Duck runs the user's module here: any error
        raise InvalidSettings(
            "No session settings: call duck_cookie_session.configure(SessionSettings(...), "
            "SQLiteRevocationList) at start, or run under Duck with SESSION_STORAGE and "
            f"SECRET_KEY in its settings. Those could not be read: {why(error)}."
        ) from error
    found: Mapping[str, Any] = SETTINGS
    return found


def why(error: BaseException) -> str:
    """What went wrong and where. The text of an error only where it is about names: that of
    another may show a value, which may be a secret."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = type(error).__name__
    if isinstance(error, (ImportError, NameError, AttributeError, SyntaxError, KeyError)):
        text += f": {error}"
    frames = traceback.extract_tb(error.__traceback__)
    for frame in reversed(frames):
        path = Path(frame.filename)
        if frame.filename == __file__ or "duck" in path.parts:  # it did not come to the module
            break
        if not frame.filename.startswith("<") and "importlib" not in path.parts:
            text += f" ({frame.filename}, line {frame.lineno})"
            break
    return text


def duck_session_settings() -> SessionSettings:
    """What Duck's settings say of sessions.

    Raises:
        InvalidSettings: they can't be read, or one has a value that is not allowed.
    """
    duck = duck_settings()
    settings = SessionSettings.from_mapping(duck, subject_key=DUCK_SUBJECT_KEY)
    if settings.device_binding != "off":
        _check_binding(duck)
    return settings


def _check_binding(duck: Mapping[str, Any]) -> None:
    """Refuse settings of Duck under which nobody would answer the browser."""
    names = [str(name) for name in duck.get("MIDDLEWARES") or ()]
    before = names[: names.index(MIDDLEWARE)] if MIDDLEWARE in names else []
    if any(name.startswith("duck.") and name.endswith(".SessionMiddleware") for name in names):
        why = f"MIDDLEWARES has Duck's own SessionMiddleware; put {MIDDLEWARE!r} in its place"
    elif any(name.endswith(".CSRFMiddleware") for name in before):
        why = f"CSRFMiddleware would refuse the browser; put {MIDDLEWARE!r} before it"
    elif duck.get("MIDDLEWARE_FAILURE_BEHAVIOR") == "ignore":
        why = "MIDDLEWARE_FAILURE_BEHAVIOR is 'ignore', so no middleware can answer; use 'block'"
    else:
        return
    raise InvalidSettings(f"SESSION_DEVICE_BINDING is 'offer', but {why}.")


def import_storage(storage: Any) -> Any:
    """What SESSION_STORAGE names, or InvalidSettings; anything but text is given back."""
    if not isinstance(storage, str):
        return storage
    try:
        return import_named(storage)
    except ImportError as error:
        raise InvalidSettings(
            f"SESSION_STORAGE names {storage!r:.300}, which can't be imported ({error}). "
            f"{STORAGE_HELP}"
        ) from error
