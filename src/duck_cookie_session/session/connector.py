"""SessionStorageConnector: sessions in, tokens out; and the one connector of a process."""

from __future__ import annotations

import inspect
import os
import secrets
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from ..errors import (
    InvalidArgument,
    InvalidSettings,
    NonPersistentStorageError,
    RevocationListUnavailable,
    SessionSerializationError,
)
from ..revocation.base import RevocationList
from ..settings import SessionSettings
from ..token.format import id_from_text, id_to_text
from ..token.payload import pack, unpack
from .judging import Opened, Refusal, Write, judge
from .rules import Lifecycle
from .stats import Stats
from .steps import Result, Steps, arun, run
from .values import Expiry, subject_text

DUCK_SUBJECT_KEY = "_auth_user_id"
"""The key under which Duck's login() writes the user's id."""

StorageClass = Callable[..., RevocationList]

_STORAGE_HELP = (
    'Put SESSION_STORAGE = "duck_cookie_session.SQLiteRevocationList" into the settings, or '
    '"duck_cookie_session.revocation.redis.RedisRevocationList" where nodes share a server.'
)

_open_non_persistent: weakref.WeakSet[SessionStorageConnector] = weakref.WeakSet()
_build_lock = threading.RLock()


def _build_list(storage: Any, settings: SessionSettings) -> RevocationList:
    if not callable(storage):
        raise InvalidSettings(
            f"The session storage is a {type(storage).__name__}, not a class or callable that "
            f"gives a revocation list. {_STORAGE_HELP}"
        )
    if isinstance(storage, type) and not issubclass(storage, RevocationList):
        raise InvalidSettings(
            f"The session storage {storage.__module__}.{storage.__qualname__} is no revocation "
            f"list: it may evict and can't raise an epoch atomically. {_STORAGE_HELP}"
        )
    if _needs_argument(storage):
        if settings.session_dir is None:
            raise InvalidSettings(
                "The revocation list needs a folder and session_dir (SESSION_DIR) is not set; "
                "set it to a folder that every process of this machine can write to."
            )
        made = storage(settings.session_dir)
    else:
        made = storage()
    if not isinstance(made, RevocationList):
        raise InvalidSettings(
            f"The session storage gave a {type(made).__name__}, not a revocation list. "
            f"{_STORAGE_HELP}"
        )
    return made


def _needs_argument(storage: StorageClass) -> bool:
    try:
        inspect.signature(storage).bind()
    except TypeError:
        return True
    return False


class SessionStorageConnector:
    """Stores sessions in tokens and keeps the revocation list. Safe for many threads.

    Args:
        session_storage_cls: a class or callable that gives a revocation list: called without an
            argument, or with `settings.session_dir` if it needs one. It may give one object to
            several connectors.
        settings: the application's; None reads those of Duck.
        clock: seconds since 1970.

    Raises:
        NonPersistentStorageError: a connector over another non-persistent list is open.
        InvalidArgument: `settings` are no SessionSettings.
        InvalidSettings: what is given as storage is no revocation list, or has no folder.
    """

    settings: SessionSettings
    revocations: RevocationList

    def __new__(
        cls,
        session_storage_cls: StorageClass,
        *,
        settings: SessionSettings | None = None,
        clock: Callable[[], float] = time.time,
    ) -> SessionStorageConnector:
        """Build the list and refuse a second one that would not see the first's revocations."""
        settings = _settings_of(duck_settings()) if settings is None else _settings(settings)
        self = super().__new__(cls)
        with _build_lock:
            self.settings = settings
            self.revocations = revocations = _build_list(session_storage_cls, settings)
            if not revocations.persistent:
                if any(other.revocations is not revocations for other in _open_non_persistent):
                    raise NonPersistentStorageError
                _open_non_persistent.add(self)
        return self

    def __init__(
        self,
        session_storage_cls: StorageClass,
        *,
        settings: SessionSettings | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._stats = Stats()
        self.lifecycle: Lifecycle = Lifecycle(self.settings, clock, self._stats)
        self.revocations.bind(self.settings)

    # The interface of Duck's connector.

    def set_session(
        self, session_id: str | None, data: dict[Any, Any], expiry: float | None = None
    ) -> str:
        """Save a session and give its new token.

        Args:
            session_id: a live token goes on, with its id and created-at; anything else begins a
                new session under a fresh id.
            data: what the session holds from now on.
            expiry: lifetime in seconds, renewed at each save; None for `cookie_age`.

        Raises:
            SessionRevoked: the token was revoked.
            SessionTooLarge, SessionSerializationError, InvalidArgument, RevocationListUnavailable.
        """
        lifetime = self.lifecycle.default_expiry if expiry is None else Expiry.of(expiry)
        return self._save(self._base(session_id), data, lifetime)

    def get_session(self, session_id: str | None) -> dict[Any, Any] | None:
        """The data of a live token, a fresh dict each time; None for anything else.

        Raises:
            RevocationListUnavailable: nothing else, whatever is given.
        """
        loaded = self.load(session_id)
        return self.unpacked(loaded) if isinstance(loaded, Opened) else None

    def update_session(self, session_id: str | None, data: dict[Any, Any]) -> str:
        """Merge data into a session and give its new token; its lifetime or fixed expiry stays.

        Raises:
            as `set_session`.
        """
        base = self._base(session_id)
        merged = (base and self.unpacked(base)) or {}
        merged.update(_checked(data))
        return self._save(base, merged, None)

    def delete_session(self, session_id: str | None) -> None:
        """Revoke one session for good, with every token of it; durable when this returns.

        Args:
            session_id: any token of it, or its session id (22 characters). What is neither is
                left alone: there is nothing to revoke.

        Raises:
            RevocationListUnavailable: nothing was revoked.
        """
        found = self.session_id_of(session_id)
        if found is not None:
            self.run(self.lifecycle.end_steps(self.lifecycle.scopes.session(found)))

    def delete_subject(self, subject: object) -> None:
        """Log a subject out everywhere: every token issued to it so far is refused.

        A login made afterwards works at once. Durable when this returns.

        Args:
            subject: str, int or UUID.

        Raises:
            InvalidArgument: another type.
            RevocationListUnavailable: nothing was revoked.
        """
        self.run(self.lifecycle.raise_steps(self._subject_scope(subject)))

    def clear_all_sessions(self) -> None:
        """Refuse every token issued so far; durable when this returns.

        Raises:
            RevocationListUnavailable: nothing was revoked.
        """
        self.run(self.lifecycle.raise_steps(self.lifecycle.scopes.everything))

    @staticmethod
    def generate_session_id() -> str:
        """A new session id: 128 random bits as 22 URL-safe characters."""
        return id_to_text(secrets.token_bytes(16))

    def save(self) -> None:
        """Purge the list of what has expired, and flush it."""
        self.revocations.purge()
        self.revocations.save()

    def close(self) -> None:
        """Let go of the list's files and connections. Idempotent."""
        with _build_lock:
            _open_non_persistent.discard(self)
        self.lifecycle.cache.clear()
        self.revocations.close()

    # Beyond it: awaitable twins, and what the engine and the adapters use.

    async def adelete_session(self, session_id: str | None) -> None:
        """`delete_session`, awaitable."""
        found = self.session_id_of(session_id)
        if found is not None:
            await self.arun(self.lifecycle.end_steps(self.lifecycle.scopes.session(found)))

    async def adelete_subject(self, subject: object) -> None:
        """`delete_subject`, awaitable."""
        await self.arun(self.lifecycle.raise_steps(self._subject_scope(subject)))

    async def aclear_all_sessions(self) -> None:
        """`clear_all_sessions`, awaitable."""
        await self.arun(self.lifecycle.raise_steps(self.lifecycle.scopes.everything))

    def stats(self) -> dict[str, int | dict[str, int]]:
        """Counters since the connector was made, by name; under "refused" by reason."""
        return self._stats.as_dict()

    def load(self, token: object, *, fresh: bool = False) -> Opened | Refusal:
        """Open a token and ask the list.

        Args:
            fresh: do not let the list reuse an older answer.

        Raises:
            RevocationListUnavailable: under `on_unreachable="refuse"`.
        """
        opened = self.lifecycle.open(token)
        if isinstance(opened, Refusal):
            return self.lifecycle.refuse(opened)
        # The usual case at once; whatever is out of the ordinary goes the way of the steps.
        try:
            epochs = self.revocations.lookup(opened.scopes, fresh=fresh)
        except RevocationListUnavailable:
            self.lifecycle.unreachable()
            return opened
        if judge(opened.claims, epochs):
            return self.run(self.lifecycle.check_steps(opened, fresh=fresh))
        self.lifecycle.everything_seen = epochs[0]
        self._stats.count_read()
        return opened

    async def aload(self, token: object, *, fresh: bool = False) -> Opened | Refusal:
        """`load`, awaitable."""
        return await self.arun(self.lifecycle.load_steps(token, fresh=fresh))

    def unpacked(self, opened: Opened) -> dict[Any, Any] | None:
        """The data of an opened token, a fresh dict; None where our key sealed foreign bytes."""
        try:
            return unpack(opened.data)
        except SessionSerializationError:
            self.lifecycle.refuse(Refusal("malformed"), opened)
            return None

    def run(self, steps: Steps[Result]) -> Result:
        """Carry out steps of the lifecycle on this connector's list."""
        return run(self.revocations, steps)

    async def arun(self, steps: Steps[Result]) -> Result:
        """`run`, awaitable."""
        return await arun(self.revocations, steps)

    def session_id_of(self, token_or_id: object) -> bytes | None:
        """The 16 bytes of the session id that a token (expired ones too) or an id speaks of."""
        if not isinstance(token_or_id, str):
            return None
        return id_from_text(token_or_id) or self.lifecycle.session_id_in(token_or_id)

    def _subject_scope(self, subject: object) -> bytes:
        text = subject_text(subject)
        if text is None:
            raise InvalidArgument("A subject is None; it must be a str, an int or a UUID.")
        return self.lifecycle.scopes.subject(text)

    def _base(self, token: object) -> Opened | None:
        opened = self.lifecycle.open(token) if token else None
        return opened if isinstance(opened, Opened) else None

    def _save(self, base: Opened | None, data: dict[Any, Any], expiry: Expiry | None) -> str:
        packed = pack(_checked(data))
        write = Write(packed, self.lifecycle.subject_of(data), expiry)
        return self.run(self.lifecycle.save_steps(base, write)).token


def _checked(data: object) -> dict[Any, Any]:
    if not isinstance(data, dict):
        raise InvalidArgument(f"Session data are a {type(data).__name__}; they must be a dict.")
    return dict(data)


class _Globals:
    """Holder of the process's connector, and of what it is to be built from."""

    session_storage_connector: SessionStorageConnector | None = None
    configured: tuple[SessionSettings, StorageClass] | None = None


globals: _Globals = _Globals()  # the name is given by the interface
_global_lock = threading.Lock()


def configure(settings: SessionSettings, session_storage_cls: StorageClass) -> None:
    """Say what the process's connector is to be built from; replaces one that was built.

    Args:
        settings: the application's.
        session_storage_cls: as for `SessionStorageConnector`.
    """
    _settings(settings)
    with _global_lock:
        old, globals.session_storage_connector = globals.session_storage_connector, None
        globals.configured = (settings, session_storage_cls)
    if old is not None:
        old.close()


def get_session_storage_connector() -> SessionStorageConnector:
    """The process's one connector, built at first need. Safe for threads and forks.

    Raises:
        InvalidSettings: neither `configure()` was called nor do Duck's settings name a list.
    """
    connector = globals.session_storage_connector
    if connector is None:
        with _global_lock:
            connector = globals.session_storage_connector
            if connector is None:
                if globals.configured is None:
                    duck = duck_settings()
                    settings = _settings_of(duck)
                    storage = import_storage(duck.get("SESSION_STORAGE"))
                else:
                    settings, storage = globals.configured
                connector = SessionStorageConnector(storage, settings=settings)
                globals.session_storage_connector = connector
    return connector


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


def _settings(given: object) -> SessionSettings:
    if not isinstance(given, SessionSettings):
        raise InvalidArgument(f"settings is a {type(given).__name__}, not SessionSettings.")
    return given


def _settings_of(duck: Mapping[str, Any]) -> SessionSettings:
    return SessionSettings.from_mapping(duck, subject_key=DUCK_SUBJECT_KEY)


def import_storage(storage: Any) -> Any:
    """What SESSION_STORAGE names, or InvalidSettings; what is no text is given back."""
    if not isinstance(storage, str):
        return storage
    module, _, name = storage.rpartition(".")
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidSettings(
            f"SESSION_STORAGE names {storage!r}, which can't be imported ({error}). {_STORAGE_HELP}"
        ) from error


def _after_fork() -> None:
    """In the child: locks that a thread of the parent may have held."""
    global _build_lock, _global_lock
    _build_lock, _global_lock = threading.RLock(), threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
