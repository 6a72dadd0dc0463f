"""The connector of a Django project, from its settings."""

from __future__ import annotations

import threading
from typing import Any

from django.conf import global_settings
from django.conf import settings as django_settings
from django.core.signals import setting_changed

from ...errors import InvalidSettings
from ...revocation.sqlite import SQLiteRevocationList
from ...session.connector import SessionStorageConnector
from ...session.duck import DUCK_SUBJECT_KEY, import_storage
from ...session.names import unknown
from ...session.process import offer, register
from ...session.storage import StorageClass, check_storage
from ...settings import SessionSettings

DJANGOS_OWN = "django.contrib.sessions.middleware.SessionMiddleware"
OURS = ("SESSION_", "SECRET_KEY")  # of Django's settings; others may warn when they are looked at

_connector: SessionStorageConnector | None = None
_lock = threading.Lock()


def get_connector() -> SessionStorageConnector:
    """The connector of this Django project, built at first need from its settings.

    Raises:
        InvalidSettings: names the setting and what is allowed.
    """
    global _connector
    if _connector is None:
        with _lock:
            if _connector is None:
                settings, storage = read_settings()
                made = SessionStorageConnector(storage, settings=settings)
                _connector = register(made, "Django")
    return _connector


def read_settings() -> tuple[SessionSettings, StorageClass]:
    """What Django's settings say of sessions: the settings, and what gives the revocation list.

    Raises:
        InvalidSettings: names the setting and what is allowed.
    """
    names = [name for name in dir(django_settings) if name.startswith(OURS)]
    given = {name: getattr(django_settings, name) for name in names}
    given["SESSION_COOKIE_SAMESITE"] = given["SESSION_COOKIE_SAMESITE"] or None
    default: Any = SQLiteRevocationList
    if given.get("SESSION_REVOCATION_DATABASE") is not None:
        default = _use_database(given)
    settings = SessionSettings.from_mapping(given, subject_key=DUCK_SUBJECT_KEY)
    storage = import_storage(given.get("SESSION_STORAGE", default))
    if settings.device_binding != "off" and DJANGOS_OWN in django_settings.MIDDLEWARE:
        raise InvalidSettings(
            f"SESSION_DEVICE_BINDING is 'offer', and MIDDLEWARE has {DJANGOS_OWN!r}, which answers "
            'no browser. Put "duck_cookie_session.contrib.django.SessionMiddleware" in its place.'
        )
    check_storage(storage, settings)
    return settings, storage


def unknown_names(*, alike: float = 0) -> dict[str, str]:
    """Names among Django's settings that nothing of ours or Django's goes by; see `unknown`."""
    known = (*dir(global_settings), "SESSION_REVOCATION_DATABASE")
    return unknown(dir(django_settings), known, alike=alike)


def _use_database(given: dict[str, Any]) -> str:
    """Put the address of an entry of DATABASES into the settings; what to store in by default."""
    from ._database import database_url

    if given.get("SESSION_REVOCATION_URL") is not None:
        raise InvalidSettings(
            "SESSION_REVOCATION_URL and SESSION_REVOCATION_DATABASE are both set; give one."
        )
    given["SESSION_REVOCATION_URL"] = database_url(given["SESSION_REVOCATION_DATABASE"])
    return "duck_cookie_session.revocation.sql.SQLRevocationList"


def _on_setting_changed(*, setting: str, **_: Any) -> None:
    """In tests that override settings."""
    global _connector
    if setting.startswith(OURS) and _connector is not None:
        _connector.close()
        _connector = None


setting_changed.connect(_on_setting_changed)
offer(get_connector)
