"""The connector of a process: from an adapter, from `configure()`, or from Duck's settings."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable

from .._forks import watch_forks
from ..errors import InvalidSettings
from ..settings import SessionSettings
from .connector import SessionStorageConnector, checked_connector, checked_settings
from .duck import duck_session_settings, duck_settings, import_storage
from .storage import StorageClass, check_storage


class _Globals:
    """Holder of the process's connector, and of what it is to be built from."""

    session_storage_connector: SessionStorageConnector | None = None
    configured: tuple[SessionSettings, StorageClass] | None = None


globals: _Globals = _Globals()  # the name is given by the interface

_registered: weakref.WeakKeyDictionary[SessionStorageConnector, str] = weakref.WeakKeyDictionary()
_offered: list[Callable[[], SessionStorageConnector]] = []


class _Lock:
    """The lock of this module, which no fork copies while it is held."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        watch_forks(self)

    def before_fork(self) -> None:
        """Wait until nobody builds a connector."""
        self.lock.acquire()

    def after_fork(self) -> None:
        """Go on, in parent and child."""
        self.lock.release()


_guard = _Lock()


def configure(settings: SessionSettings, session_storage_cls: StorageClass) -> None:
    """Say what the process's connector is to be built from; replaces one that was built.

    Args:
        settings: the application's.
        session_storage_cls: as for `SessionStorageConnector`.

    Raises:
        InvalidArgument: `settings` is not a SessionSettings.
        InvalidSettings: the storage can't give a revocation list.
    """
    check_storage(session_storage_cls, checked_settings(settings))
    with _guard.lock:
        old, globals.session_storage_connector = globals.session_storage_connector, None
        globals.configured = (settings, session_storage_cls)
    if old is not None:
        old.close()


def register(
    connector: object, user: str, *, replaces: SessionStorageConnector | None = None
) -> SessionStorageConnector:
    """Register the connector with which an adapter serves an application.

    Args:
        user: who serves with it, for messages.
        replaces: the one that the adapter served with before.

    Raises:
        InvalidArgument: it is not a connector.
    """
    checked = checked_connector(connector)
    with _guard.lock:
        if replaces is not None:
            _registered.pop(replaces, None)
        _registered[checked] = user
    return checked


def offer(make: Callable[[], SessionStorageConnector]) -> None:
    """Register how an adapter makes its connector, for whoever asks before its first request."""
    with _guard.lock:
        if make not in _offered:
            _offered.append(make)


def get_session_storage_connector() -> SessionStorageConnector:
    """The process's one connector: the one built from `configure()`, else the one that an adapter
    serves with, else one built from Duck's settings. Safe for threads and forks.

    Raises:
        InvalidSettings: there is none of these, or adapters serve with several.
    """
    connector = globals.session_storage_connector
    if connector is not None:
        return connector
    with _guard.lock:
        connector = globals.session_storage_connector
        if connector is not None:
            return connector
        if globals.configured is not None:
            settings, storage = globals.configured
        else:
            # Of those with one and the same settings any will do: an application built twice.
            served: list[tuple[SessionStorageConnector, str]] = []
            for made, user in _registered.items():
                if made.is_open and all(made.settings != other.settings for other, _ in served):
                    served.append((made, user))
            if len(served) > 1:
                users = ", ".join(
                    f"{user} (cookie {made.settings.cookie_name!r})" for made, user in served
                )
                raise InvalidSettings(
                    f"This process has several session connectors: {users}. Build the one you mean "
                    "yourself, hand it to its adapter as connector=..., and call its methods "
                    "(under Django, call contrib.django.get_connector())."
                )
            if served:
                return served[0][0]
            if _offered:
                return _offered[-1]()
            duck = duck_settings()
            settings, storage = duck_session_settings(), import_storage(duck.get("SESSION_STORAGE"))
        connector = SessionStorageConnector(storage, settings=settings)
        globals.session_storage_connector = connector
    return connector
