"""Session engine and middleware for Django.

    SESSION_ENGINE = "duck_cookie_session.contrib.django"
    SESSION_DIR = BASE_DIR / "sessions"
    MIDDLEWARE = [..., "duck_cookie_session.contrib.django.SessionMiddleware", ...]

Django's own SessionMiddleware works too; this one adds: 503 where the list is unreachable, the
response whole where a session can't be saved, re-issue past half-life or under an old secret, and
`Cache-Control: no-store`. Django's names count (`SESSION_COOKIE_*`, `SECRET_KEY`,
`SECRET_KEY_FALLBACKS`); the revocation list is the class that `SESSION_STORAGE` names, an
SQLiteRevocationList by default; every other field of SessionSettings is `SESSION_` and its name
in capitals. The subject is the id of the user whom `login()` wrote into the session.
`SESSION_SERIALIZER` is not used. `manage.py clearsessions` purges the list.
"""

from __future__ import annotations

import asyncio
import threading
from datetime import datetime
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.conf import settings as django_settings
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.core.signals import setting_changed
from django.http import HttpResponse
from django.utils.cache import patch_vary_headers
from django.utils.module_loading import import_string

from .._log import logger
from ..errors import RevocationListUnavailable, SessionError, SessionExpired, SessionRevoked
from ..response import UNAVAILABLE_BODY, UNAVAILABLE_HEADERS
from ..revocation.sqlite import SQLiteRevocationList
from ..session.connector import SessionStorageConnector, import_storage
from ..session.judging import Opened, Refusal, Write
from ..session.steps import Result, Steps
from ..session.values import Expiry
from ..settings import SessionSettings
from ..token.payload import IMMUTABLE_TYPES, pack

if TYPE_CHECKING:  # Django ships no types
    from ._untyped import DjangoSessionMiddleware, SessionBase
else:
    from django.contrib.sessions.backends.base import SessionBase
    from django.contrib.sessions.middleware import SessionMiddleware as DjangoSessionMiddleware

SERVER_ERROR = 500
OURS = ("SESSION_", "SECRET_KEY")  # of Django's settings; others may warn when they are looked at
EXPIRY_KEY = "_session_expiry"  # where Django keeps what set_expiry() was given
_NOTHING = pack({})
_NO_KEY = Refusal("malformed")  # a cookie too short for Django to be a key

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
                names = [name for name in dir(django_settings) if name.startswith(OURS)]
                given = {name: getattr(django_settings, name) for name in names}
                given["SESSION_COOKIE_SAMESITE"] = given["SESSION_COOKIE_SAMESITE"] or None
                settings = SessionSettings.from_mapping(given, subject_key="_auth_user_id")
                storage = import_storage(given.get("SESSION_STORAGE", SQLiteRevocationList))
                _connector = SessionStorageConnector(storage, settings=settings)
    return _connector


def _on_setting_changed(*, setting: str, **_: Any) -> None:
    """In tests that override settings."""
    global _connector
    if setting.startswith(OURS) and _connector is not None:
        _connector.close()
        _connector = None


setting_changed.connect(_on_setting_changed)


class SessionStore(SessionBase):
    """Django's session over a token; `session_key` is the token, other after every save."""

    _session_key: Any  # Django's property, which makes None of what is no key

    def __init__(self, session_key: str | None = None) -> None:
        self._base: Opened | None = None  # the loaded or saved token
        self._refusal: Refusal | None = None  # why the request's token was refused
        self._packed = _NOTHING  # what the contents are compared with
        self._expiry: Any = None  # what stood under EXPIRY_KEY in the base
        self.unavailable: bool = False  # whether the list did not answer: what becomes a 503
        # Not Django's constructor: it imports SESSION_SERIALIZER, for every request.
        self.accessed = self._written = False
        self._session_key = session_key
        if session_key is not None and self.session_key is None:
            self._refusal = _NO_KEY

    @property
    def serializer(self) -> Any:
        """What SESSION_SERIALIZER names; sessions are not kept by it."""
        return import_string(django_settings.SESSION_SERIALIZER)

    @property
    def session_id(self) -> str | None:
        """The session id, the same until a login or cycle_key(); None before the first save."""
        self._get_session()
        return self._base.claims.id_text if self._base else None

    @property
    def modified(self) -> bool:
        """Whether there is something to save; changes to nested values count."""
        cache = self.__dict__.get("_session_cache")
        if self._written or not cache:
            return self._written and not self._silent(cache)
        if all(type(value) in IMMUTABLE_TYPES for value in cache.values()):
            return False
        try:
            return pack(cache) != self._packed and not self._silent(cache)
        except SessionError:
            return True  # saving says what is wrong

    @modified.setter
    def modified(self, value: bool) -> None:
        self._written = value
        if not value and "_session_cache" in self.__dict__:
            self._packed = pack(self._session_cache)

    def is_empty(self) -> bool:
        """As Django's; not for a refused token, or Django would delete the cookie beside it."""
        kept = self._refusal is not None and not django_settings.SESSION_SAVE_EVERY_REQUEST
        return bool(super().is_empty()) and not kept

    def renew(self) -> bool:
        """Mark a session that was only read to be saved, if it is due for re-issue."""
        if self._base is None or not self.accessed:
            return False
        due = get_connector().lifecycle.due_for_reissue(self._base)
        self._written = self._written or due
        return due

    # What Django asks of an engine. The other awaitable twins are Django's: these in its threads.

    def load(self) -> dict[Any, Any]:
        """The data of the token; empty if it is refused."""
        connector = self._connected()
        try:
            loaded = connector.load(self.session_key)
        except RevocationListUnavailable:
            self.unavailable = True
            raise
        if isinstance(loaded, Refusal):
            self._base, self._session_key, self._refusal = None, None, loaded
            return {}
        data = connector.unpacked(loaded) or {}
        self._base, self._packed, self._expiry = loaded, loaded.data, data.get(EXPIRY_KEY)
        return data

    def exists(self, session_key: str | None) -> bool:
        """Whether a token is live; the list is asked."""
        steps = get_connector().lifecycle.load_steps(session_key, fresh=True)
        return isinstance(self._run(steps), Opened)

    def create(self) -> None:
        """Begin a new session with what this one holds, and save it."""
        self.save(must_create=True)
        self.modified = True

    def save(self, must_create: bool = False) -> None:
        """Save; `session_key` is the new token then.

        Raises:
            UpdateError: the session was revoked or has expired.
            SessionTooLarge, SessionSerializationError, RevocationListUnavailable.
        """
        self._get_session(no_load=must_create)
        self._run(self._save_steps(must_create))

    def delete(self, session_key: str | None = None) -> None:
        """Revoke a session by any token of it; None: this one."""
        connector = get_connector()
        found = connector.session_id_of(session_key or self.session_key)
        if found is not None:
            lifecycle = connector.lifecycle
            self._run(lifecycle.end_steps(lifecycle.scopes.session(found)))

    def clear(self) -> None:
        """Empty the session without ending it, as Django has it."""
        super().clear()
        if self._refusal is _NO_KEY:
            self._refusal = None

    def flush(self) -> None:
        """Revoke this session and empty it; Django's middleware deletes the cookie."""
        self._get_session()  # whether it is live decides whether there is a cookie to delete
        super().flush()
        self._base = None

    async def aflush(self) -> None:
        """`flush`, awaitable."""
        await sync_to_async(self.flush)()

    def cycle_key(self) -> None:
        """Save the session under a new id and revoke the old one.

        Raises:
            SessionInterrupted: it was revoked meanwhile; Django answers 400.
        """
        self._get_session()
        try:
            if self._base is not None:
                self._run(self._save_steps(cycle=True))
        except UpdateError as error:
            raise SessionInterrupted(str(error)) from error
        self.modified = True

    async def acycle_key(self) -> None:
        """`cycle_key`, awaitable."""
        await sync_to_async(self.cycle_key)()

    @classmethod
    def clear_expired(cls) -> None:
        """Purge the revocation list of what has expired: what `manage.py clearsessions` calls."""
        get_connector().save()

    # How.

    def _connected(self) -> SessionStorageConnector:
        connector = get_connector()
        if not connector.revocations.local and asyncio._get_running_loop() is not None:
            raise SessionError(
                "The revocation list is across the network and a plain call would block the event "
                "loop: use the session's awaitable twins (aget, aset, aflush)."
            )
        return connector

    def _run(self, steps: Steps[Result]) -> Result:
        try:
            return self._connected().run(steps)
        except RevocationListUnavailable:
            self.unavailable = True
            raise

    def _save_steps(self, must_create: bool = False, *, cycle: bool = False) -> Steps[None]:
        connector, data = get_connector(), self._session_cache
        if data and self._silent(data) and not must_create:
            raise UpdateError("The session ended moments ago; this request sends no cookie.")
        base = None if must_create else self._base
        given = data.get(EXPIRY_KEY)
        expiry = None if base and given == self._expiry else self._expiry_of(given)
        subject = connector.lifecycle.subject_of(data)
        write = Write(pack(data), subject, expiry, self.get_expire_at_browser_close(), cycle)
        try:
            saved = yield from connector.lifecycle.save_steps(base, write)
        except (SessionRevoked, SessionExpired) as error:
            raise UpdateError(str(error)) from error
        self._base, self._session_key, self._packed = saved, saved.token, saved.data
        self._expiry, self._refusal = given, None

    def _expiry_of(self, given: Any) -> Expiry:
        if not isinstance(given, (str, datetime)):
            return Expiry.of(given or self.get_session_cookie_age())
        date = self.get_expiry_date(expiry=given)
        return Expiry.of(date.astimezone())  # without USE_TZ Django writes local time, naive

    def _silent(self, cache: dict[Any, Any] | None) -> bool:
        """Whether a refused token came and no cookie may go out: as SessionStore has it."""
        if self._refusal is None or cache is None:
            return False
        lifecycle = get_connector().lifecycle
        login = cache.get(lifecycle.settings.subject_key) is not None
        return not cache or (lifecycle.now() < self._refusal.quiet_until and not login)


class SessionMiddleware(DjangoSessionMiddleware):
    """Django's own, which answers 503 and whole where Django's would fail."""

    def process_response(self, request: Any, response: Any) -> Any:
        """Save if that is due, and put cookie and headers onto the response."""
        session = getattr(request, "session", None)
        if not isinstance(session, SessionStore):
            return super().process_response(request, response)
        failed = response.status_code >= SERVER_ERROR
        renewed = False
        try:
            if failed and session.unavailable:
                raise RevocationListUnavailable("The request failed for it.")
            if session.modified:
                session.modified = True  # found out once; nested values are not packed again
            else:
                renewed = not failed and session.renew()
                if not renewed and not django_settings.SESSION_SAVE_EVERY_REQUEST:
                    if session.accessed:
                        patch_vary_headers(response, ("Cookie",))
                    return response
            response = super().process_response(request, response)
        except RevocationListUnavailable as error:
            if not renewed:
                logger.error("The revocation list is unreachable, answered 503: %s", error)
                return HttpResponse(UNAVAILABLE_BODY, status=503, headers=dict(UNAVAILABLE_HEADERS))
            patch_vary_headers(response, ("Cookie",))
        except (SessionError, SessionInterrupted) as error:
            logger.error("Session not saved, the browser keeps its cookie: %s", error)
            patch_vary_headers(response, ("Cookie",))
        if django_settings.SESSION_COOKIE_NAME in response.cookies:
            response.headers["Cache-Control"] = "no-store"
        return response
