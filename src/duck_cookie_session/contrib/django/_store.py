"""Django's SessionBase over a token."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.conf import settings as django_settings
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.utils.functional import Promise
from django.utils.module_loading import import_string

from ...errors import Reason, SessionExpired, SessionRevoked, SessionSerializationError
from ...session.ending import aclear, clear, cycle
from ...session.judging import Refusal
from ...session.phase import Phase, write_lost
from ...session.plan import Need, Plan
from ...session.planning import make_plan
from ...session.request import RequestSession
from ...session.revoking import end_steps
from ...session.saving import plan_steps
from ...session.steps import Steps
from ...session.values import Expiry
from ...token.format import id_from_text
from ...token.stored import IMMUTABLE_TYPES, keep_as_text
from ._connector import get_connector
from ._own import OwnCalls

if TYPE_CHECKING:  # Django ships no types
    from .._untyped import SessionBase
else:
    from django.contrib.sessions.backends.base import SessionBase

EXPIRY_KEY = "_session_expiry"  # where Django keeps what set_expiry() was given
SHORTEST_KEY = 8  # characters; what is shorter is no key for Django
NO_KEY = Refusal(Reason.MALFORMED)
"""What a cookie turned out to be that is no key for Django: flush() may delete it."""

keep_as_text(Promise)  # lazy translations, reverse_lazy()


class SessionStore(OwnCalls, SessionBase):
    """Django's session over a token; `session_key` is the token, a new one after every save."""

    def __init__(self, session_key: str | None = None) -> None:
        # Not Django's constructor: it imports SESSION_SERIALIZER, for every request.
        self._request = RequestSession(session_key, get_connector())
        self._expiry: Any = None  # what stood under EXPIRY_KEY in the loaded session
        self._at_close: dict[Any, Any] | None = None  # what it held when its response started

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
        refused = isinstance(request.found, Refusal)
        if not request.loaded or ((request.written or request.ended) and not refused):
            return request.written or request.ended
        try:
            return self._plan().need is Need.TOKEN
        except SessionSerializationError:
            return True  # saving says what is wrong

    @modified.setter
    def modified(self, value: bool) -> None:
        if value:
            # An access, though of a session that was not loaded yet: django-allauth puts a new
            # store in the place of the one it saved, and says only this of it.
            self._request.accessed = self._request.written = True
            if self._request.phase is Phase.CLOSED:
                self._say_what_is_lost()
        else:
            self._request.mark(self._get_session(), modified=False)

    @property
    def session_key(self) -> str | None:
        """The token; None where there is none, or it was refused."""
        token, refused = self._request.token, isinstance(self._request.found, Refusal)
        return None if refused or not token or len(token) < SHORTEST_KEY else token

    @property
    def _session_key(self) -> str | None:
        return self.session_key

    @_session_key.setter
    def _session_key(self, value: str | None) -> None:
        self._request.begin(value)
        self.__dict__.pop("_session_cache", None)

    def is_empty(self) -> bool:
        """As Django's; not for a refused token, or Django would delete the cookie beside it."""
        if isinstance(self._request.found, Refusal):
            return bool(django_settings.SESSION_SAVE_EVERY_REQUEST) and not self._session_cache
        return not self.session_key and not self.__dict__.get("_session_cache")

    # Once the response has started.

    def close(self) -> None:
        """The response starts: what is written from now on is lost, and that is said."""
        self._request.phase = Phase.CLOSED
        self._note_contents()

    def _note_contents(self) -> None:
        data = self.__dict__.get("_session_cache")
        self._at_close = None if data is None else dict(data)

    def _say_what_is_lost(self) -> None:
        before, data = self._at_close or {}, self._session_cache
        self._note_contents()
        for key in (*data, *before):
            if key not in data or key not in before or data[key] is not before[key]:
                write_lost(key, debug=self._request.debug)

    def setdefault(self, key: Any, value: Any) -> Any:
        """As dict's."""
        found = super().setdefault(key, value)
        self._look_again()
        return found

    def pop(self, *args: Any, **options: Any) -> Any:
        """As Django's."""
        value = super().pop(*args, **options)
        self._look_again()
        return value

    async def apop(self, *args: Any, **options: Any) -> Any:
        """`pop`, awaitable."""
        value = await super().apop(*args, **options)
        self._look_again()
        return value

    def _look_again(self) -> None:
        if self._request.phase is Phase.CLOSED:  # Django marks the change before it makes it
            self._say_what_is_lost()

    # Loading.

    def _get_session(self, no_load: bool = False) -> dict[Any, Any]:
        data: dict[Any, Any] | None = self.__dict__.get("_session_cache")
        self._request.accessed = True
        if data is None:
            data, given = {}, self._request.token
            if no_load or not given or len(given) < SHORTEST_KEY:
                self._request.begin(None)
                if given is not None and not no_load:
                    self._request.found = NO_KEY
            self._request.load_into(data)
            self._session_cache = data
            self._expiry = data.get(EXPIRY_KEY)
            if self._request.phase is Phase.CLOSED:
                self._note_contents()
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
        self._request.accessed = True  # what it says goes into the response
        request, ask = self._request, self._request.connector.exists_steps
        return request.run(ask(session_key, request.cookies))

    async def aexists(self, session_key: str | None) -> bool:
        """`exists`, awaitable."""
        self._request.accessed = True
        request, ask = self._request, self._request.connector.exists_steps
        return await request.arun(ask(session_key, request.cookies))

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
            SessionError: the response has started.
        """
        self._request.phase.refuse_if_closed()
        self._get_session(no_load=must_create)
        self._request.run(self._save_steps(must_create))

    async def asave(self, must_create: bool = False) -> None:
        """`save`, awaitable."""
        self._request.phase.refuse_if_closed()
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
        self.note_changes()
        return make_plan(self._request, self._session_cache, asked=asked)

    def note_changes(self) -> None:
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
        self.modified = True

    def flush(self) -> None:
        """Revoke this session and empty it; its cookie is deleted."""
        clear(self._request, self._get_session())
        self._flushed()

    async def aflush(self) -> None:
        """`flush`, awaitable."""
        await aclear(self._request, await self._aget_session())
        self._flushed()

    def _flushed(self) -> None:
        if self._request.found is NO_KEY:
            self._request.found = None
        if not isinstance(self._request.found, Refusal):
            self.modified = True  # what Django says of an emptied session; nothing comes of it

    def delete(self, session_key: str | None = None) -> None:
        """Revoke a session by any token of it, not by an id, as a cookie may hold; None: this."""
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
        if session_key is None:
            self._request.phase.refuse_if_closed()
        key = session_key or self._request.token
        found = None if id_from_text(str(key)) else connector.session_id_of(key)
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
