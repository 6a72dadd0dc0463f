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

import threading
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.conf import settings as django_settings
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.core.signals import setting_changed
from django.http import HttpResponse
from django.utils.http import http_date
from django.utils.module_loading import import_string

from .._cookie import Written, find_cookie
from .._log import logger
from ..errors import (
    RevocationListUnavailable,
    SessionExpired,
    SessionRevoked,
    SessionSerializationError,
)
from ..response import (
    SERVER_ERROR,
    UNAVAILABLE_BODY,
    UNAVAILABLE_HEADERS,
    headers_of,
    max_age_of,
    respond,
    respond_steps,
)
from ..revocation.sqlite import SQLiteRevocationList
from ..session.connector import SessionStorageConnector
from ..session.duck import DUCK_SUBJECT_KEY, import_storage
from ..session.ending import aclear, clear, cycle
from ..session.judging import Opened, Refusal
from ..session.plan import Need, Plan
from ..session.planning import make_plan, planned_id
from ..session.process import register
from ..session.request import Phase, RequestSession
from ..session.revoking import end_steps
from ..session.saving import plan_steps
from ..session.steps import Steps
from ..session.values import Expiry
from ..settings import SessionSettings
from ..token.format import id_to_text
from ..token.payload import IMMUTABLE_TYPES

if TYPE_CHECKING:  # Django ships no types
    from ._untyped import DjangoSessionMiddleware, SessionBase
else:
    from django.contrib.sessions.backends.base import SessionBase
    from django.contrib.sessions.middleware import SessionMiddleware as DjangoSessionMiddleware

OURS = ("SESSION_", "SECRET_KEY")  # of Django's settings; others may warn when they are looked at
EXPIRY_KEY = "_session_expiry"  # where Django keeps what set_expiry() was given
SHORTEST_KEY = 8  # characters; what is shorter is no key for Django

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
                settings = SessionSettings.from_mapping(given, subject_key=DUCK_SUBJECT_KEY)
                storage = import_storage(given.get("SESSION_STORAGE", SQLiteRevocationList))
                made = SessionStorageConnector(storage, settings=settings)
                _connector = register(made, "Django")
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

    def __init__(self, session_key: str | None = None) -> None:
        # Not Django's constructor: it imports SESSION_SERIALIZER, for every request.
        self._request = RequestSession(session_key, get_connector())
        self._expiry: Any = None  # what stood under EXPIRY_KEY in the loaded session

    @property
    def serializer(self) -> Any:
        """What SESSION_SERIALIZER names; sessions are not kept by it."""
        return import_string(django_settings.SESSION_SERIALIZER)

    # What Django keeps in attributes.

    @property
    def accessed(self) -> bool:
        """Whether anybody looked into the session or wrote to it."""
        return self._request.accessed

    @accessed.setter
    def accessed(self, value: bool) -> None:
        self._request.accessed = value

    @property
    def modified(self) -> bool:
        """Whether there is something to save; changes to nested values count."""
        request = self._request
        if not request.loaded:
            return request.written
        try:
            return self._plan().need is Need.TOKEN
        except SessionSerializationError:
            return True  # saving says what is wrong

    @modified.setter
    def modified(self, value: bool) -> None:
        if value:
            self._request.written = True
        else:
            self._request.mark(self._get_session(), modified=False)

    @property
    def session_key(self) -> str | None:
        """The token; None where there is none, or it was refused."""
        token = self._request.token
        if not token or len(token) < SHORTEST_KEY or isinstance(self._request.found, Refusal):
            return None
        return token

    @property
    def _session_key(self) -> str | None:
        return self.session_key

    @_session_key.setter
    def _session_key(self, value: str | None) -> None:
        self._request.begin(value)
        self.__dict__.pop("_session_cache", None)

    @property
    def session_id(self) -> str | None:
        """The session id; after a login or cycle_key() the new one. None for a visitor."""
        data = self._get_session()
        if self._request.base is None and not data:
            return None
        return id_to_text(planned_id(self._request, self._request.rules.subject_of(data)))

    def is_empty(self) -> bool:
        """As Django's; not for a refused token, or Django would delete the cookie beside it."""
        if isinstance(self._request.found, Refusal):
            return bool(django_settings.SESSION_SAVE_EVERY_REQUEST) and not self._session_cache
        return not self.session_key and not self.__dict__.get("_session_cache")

    # Loading.

    def _get_session(self, no_load: bool = False) -> dict[Any, Any]:
        data: dict[Any, Any] | None = self.__dict__.get("_session_cache")
        self._request.accessed = True
        if data is None:
            data = {}
            if no_load or not self.session_key:
                self._request.begin(None)
            self._request.load_into(data)
            self._session_cache = data
            self._expiry = data.get(EXPIRY_KEY)
        return data

    async def _aget_session(self, no_load: bool = False) -> dict[Any, Any]:
        if not no_load and self.session_key:
            await self._request.acheck()
        return self._get_session(no_load)

    _session = property(_get_session)

    def load(self) -> dict[Any, Any]:
        """The data of the token; empty if it is refused."""
        self._request.begin(self._request.token)
        self.__dict__.pop("_session_cache", None)
        return self._get_session()

    async def aload(self) -> dict[Any, Any]:
        """`load`, awaitable."""
        self._request.begin(self._request.token)
        self.__dict__.pop("_session_cache", None)
        return await self._aget_session()

    def exists(self, session_key: str | None) -> bool:
        """Whether a token is live; the list is asked."""
        request = self._request
        return isinstance(
            request.run(request.connector.load_steps(session_key, fresh=True)), Opened
        )

    async def aexists(self, session_key: str | None) -> bool:
        """`exists`, awaitable."""
        request = self._request
        steps = request.connector.load_steps(session_key, fresh=True)
        return isinstance(await request.arun(steps), Opened)

    # Saving.

    def create(self) -> None:
        """Begin a new session with what this one holds, and save it."""
        self.save(must_create=True)
        self.modified = True

    async def acreate(self) -> None:
        """`create`, awaitable."""
        await self.asave(must_create=True)
        self.modified = True

    def save(self, must_create: bool = False) -> None:
        """Save; `session_key` is the new token then.

        Raises:
            UpdateError: the session was revoked or has expired.
            SessionTooLarge, SessionSerializationError, RevocationListUnavailable.
        """
        self._get_session(no_load=must_create)
        self._request.run(self._save_steps(must_create))

    async def asave(self, must_create: bool = False) -> None:
        """`save`, awaitable."""
        await self._aget_session(no_load=must_create)
        await self._request.arun(self._save_steps(must_create))

    def cycle_key(self) -> None:
        """Save the session under a new id and revoke the old one.

        Raises:
            SessionInterrupted: it was revoked meanwhile; Django answers 400.
        """
        self._get_session()
        self._request.run(self._cycle_steps())

    async def acycle_key(self) -> None:
        """`cycle_key`, awaitable."""
        await self._aget_session()
        await self._request.arun(self._cycle_steps())

    def _cycle_steps(self) -> Steps[None]:
        if self._request.base is not None:
            cycle(self._request, self._session_cache)
            try:
                yield from self._save_steps()
            except UpdateError as error:
                raise SessionInterrupted(str(error)) from error
        self.modified = True

    def _save_steps(self, must_create: bool = False) -> Steps[None]:
        request, data = self._request, self._session_cache
        if must_create:
            request.begin(None)
            request.loaded = request.written = True
        plan = self._plan(asked=True)
        if plan.need is Need.NOTHING and data:
            raise UpdateError("The session ended moments ago; this request sends no cookie.")
        try:
            yield from plan_steps(request, data, plan)
        except (SessionRevoked, SessionExpired) as error:
            raise UpdateError(str(error)) from error
        self._expiry = data.get(EXPIRY_KEY)

    def _plan(self, *, asked: bool = False) -> Plan:
        self._note_changes()
        return make_plan(self._request, self._session_cache, asked=asked)

    def _note_changes(self) -> None:
        """Tell the request what Django's ways to change a session leave in its data alone."""
        request, data = self._request, self._session_cache
        if not all(type(value) in IMMUTABLE_TYPES for value in data.values()):
            request.exposed = True
        given = data.get(EXPIRY_KEY)
        if request.base is None or given != self._expiry:
            request.expiry = self._expiry_of(given)
            request.browser_length = self.get_expire_at_browser_close()

    def _expiry_of(self, given: Any) -> Expiry:
        if not isinstance(given, (str, datetime)):
            return Expiry.of(given or self.get_session_cookie_age())
        date = self.get_expiry_date(expiry=given)
        return Expiry.of(date.astimezone())  # without USE_TZ Django writes local time, naive

    # Ending.

    def clear(self) -> None:
        """Empty the session without ending it, as Django has it."""
        self._get_session().clear()
        self._request.written = True

    def flush(self) -> None:
        """Revoke this session and empty it; its cookie is deleted."""
        clear(self._request, self._get_session())

    async def aflush(self) -> None:
        """`flush`, awaitable."""
        await aclear(self._request, await self._aget_session())

    def delete(self, session_key: str | None = None) -> None:
        """Revoke a session by any token of it; None: this one."""
        steps = self._delete_steps(session_key)
        if steps is not None:
            self._request.run(steps)

    async def adelete(self, session_key: str | None = None) -> None:
        """`delete`, awaitable."""
        steps = self._delete_steps(session_key)
        if steps is not None:
            await self._request.arun(steps)

    def _delete_steps(self, session_key: str | None) -> Steps[None] | None:
        connector = self._request.connector
        found = connector.session_id_of(session_key or self._request.token)
        return None if found is None else end_steps(connector.rules, found)

    @classmethod
    def clear_expired(cls) -> None:
        """Purge the revocation list of what has expired: what `manage.py clearsessions` calls."""
        get_connector().save()

    @classmethod
    async def aclear_expired(cls) -> None:
        """`clear_expired`, awaitable."""
        revocations = get_connector().revocations
        await revocations.apurge()
        await revocations.asave()


class SessionMiddleware(DjangoSessionMiddleware):
    """In the place of Django's own: the response stays whole where Django's would fail."""

    def process_request(self, request: Any) -> None:
        """Give the request its session."""
        # Not request.COOKIES: of two cookies of one name it has the last, blanks stripped.
        name = django_settings.SESSION_COOKIE_NAME
        request.session = self.SessionStore(find_cookie(request.META.get("HTTP_COOKIE", ""), name))
        if isinstance(request.session, SessionStore):
            request.session._request.phase = Phase.OPEN
            request.session._request.debug = bool(django_settings.DEBUG)

    def process_response(self, request: Any, response: Any) -> Any:
        """Save if that is due, and put cookie and headers onto the response."""
        session = getattr(request, "session", None)
        if not isinstance(session, SessionStore):
            return super().process_response(request, response)
        known = session._request
        failed = response.status_code >= SERVER_ERROR
        try:
            if django_settings.SESSION_SAVE_EVERY_REQUEST and not failed:
                known.written = bool(session._get_session()) or known.written
            if known.accessed and not known.loaded and not failed:
                session._get_session()  # the list did not answer when it was touched
            if known.loaded and not failed:
                session._note_changes()
            data = session._session_cache if known.loaded else {}
            steps = respond_steps(known, data, failed=failed)
            if steps is not None:
                respond(known, steps)
        except RevocationListUnavailable as error:
            logger.error("The revocation list is unreachable, answered 503: %s", error)
            return HttpResponse(UNAVAILABLE_BODY, status=503, headers=dict(UNAVAILABLE_HEADERS))
        known.phase = Phase.CLOSED
        vary, cache_control = response.get("Vary"), response.get("Cache-Control")
        for name, value in headers_of(known, vary, cache_control):
            if name == "Set-Cookie":
                _write_cookie(response, known, value)
            else:
                response.headers[name] = value
        return response


def _write_cookie(response: Any, known: RequestSession, line: str) -> None:
    settings, name = django_settings, django_settings.SESSION_COOKIE_NAME
    if known.connector.settings.cookie_partitioned:  # which Python's own cookies learned in 3.14
        response.cookies[name] = Written(line)
    elif known.outgoing:
        max_age = max_age_of(known)
        response.set_cookie(
            name,
            known.outgoing,
            max_age=max_age,
            expires=None if max_age is None else http_date(time.time() + max_age),
            domain=settings.SESSION_COOKIE_DOMAIN,
            path=settings.SESSION_COOKIE_PATH,
            secure=settings.SESSION_COOKIE_SECURE or None,
            httponly=settings.SESSION_COOKIE_HTTPONLY or None,
            samesite=settings.SESSION_COOKIE_SAMESITE,
        )
    else:
        response.delete_cookie(
            name,
            path=settings.SESSION_COOKIE_PATH,
            domain=settings.SESSION_COOKIE_DOMAIN,
            samesite=settings.SESSION_COOKIE_SAMESITE,
        )
