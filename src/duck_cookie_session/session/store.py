"""SessionStore: the session as an application touches it, a dict that lives in a token."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from .._log import logger
from . import ending
from .connector import SessionStorageConnector
from .finding import PROCESS, Method, checking_connector
from .freshness import authenticated_at, is_fresh, reauthenticate
from .lazy_dict import UNFILLED, LazyDict
from .planning import needs_update, planned_expiry_ms, session_id_text
from .request import Cookie, RequestSession
from .saving import save_as_new_steps, save_steps
from .values import EPOCH, Expiry, as_datetime


class SessionStore(LazyDict):
    """One session of one visitor, a dict. Costs next to nothing until it is touched.

    Args:
        session_key: the cookie's value; None or "" for a visitor without one. An adapter may give
            a function that finds it, called at the first touch.
        disable_warnings: do not warn when a loaded session is loaded again.
        connector: a SessionStorageConnector; None for the process's own, found at first need.

    Every Python way to look into it loads it first. Changes to nested values are seen. Thread-safe.
    """

    __slots__ = ("disable_warnings",)

    def __init__(
        self,
        session_key: Cookie,
        disable_warnings: bool = False,
        *,
        connector: SessionStorageConnector | None = None,
    ) -> None:
        self._request = RequestSession(session_key, PROCESS if connector is None else connector)
        dict.__setitem__(self, UNFILLED, None)
        self.disable_warnings: bool = disable_warnings

    def __repr__(self) -> str:
        """What the store is, without any key or value of the session."""
        request = self._request
        state = "not loaded" if not request.loaded else "written" if request.written else "loaded"
        return f"<{type(self).__name__} {state}>"

    # The connector.

    @property
    def session_storage_connector(self) -> Any:
        """The connector that this store goes by."""
        request = self._request
        return request.connector if request.has_connector else None

    @session_storage_connector.setter
    def session_storage_connector(self, connector: SessionStorageConnector | None) -> None:
        self._request.go_by(connector)

    @staticmethod
    def check_session_storage_connector(method: Method) -> Method:
        """Decorate a method of a store so that it refuses to run without a good connector.

        Raises:
            ValueError, TypeError: `session_storage_connector` is missing, or something else.
        """
        return checking_connector(method)

    # Loading.

    def load(self) -> dict[Any, Any]:
        """Load the session if that was not done yet; a plain dict, empty for a refused token.

        Raises:
            RevocationListUnavailable: under `on_unreachable="refuse"`.
        """
        if self._request.loaded and self._request.token and not self.disable_warnings:
            logger.warning("The session is loaded already; it was not loaded again.")
        return self.copy()

    async def aload(self) -> dict[Any, Any]:
        """`load`, awaitable."""
        await self._request.acheck()
        return self.copy()

    @property
    def loaded(self) -> bool:
        """Whether the session was loaded."""
        return self._request.loaded

    @property
    def accessed(self) -> bool:
        """Whether anybody looked into the session or wrote to it."""
        return self._request.accessed

    @property
    def modified(self) -> bool:
        """Whether the session changed since it was loaded, in nested values too, or was ended.

        Set to True, it is saved whatever is in it; to False, what it holds now is not saved.
        """
        return self._request.ended or self._request.modified(self)

    @modified.setter
    def modified(self, value: bool) -> None:
        self._request.mark(self, modified=bool(value))

    def needs_update(self) -> bool:
        """Whether the response has to carry a cookie: changed, ended, or due for re-issue."""
        return needs_update(self._request, self)

    # The key.

    @property
    def session_key(self) -> str | None:
        """The token: the one that came with the request, after save() the new one.

        Assigning another makes an unchanged store unloaded; on a changed one its writes lie over
        what is loaded then. None or "" begins a new session; the old one is not revoked.
        """
        return self._request.token

    @session_key.setter
    def session_key(self, key: str | None) -> None:
        request = self._request
        with request.lock:
            if key != request.token:
                request.switch(self, key)
                self._unfill()

    @property
    def session_id(self) -> str | None:
        """The session id as text, 22 characters; None for a visitor who holds nothing.

        A new one after a login, a change of user or cycle_key(), also before the save.
        """
        return session_id_text(self._request, self)

    @property
    def created_at(self) -> datetime | None:
        """When the session began or its subject logged in, aware; None before the first save."""
        self._touch()
        base = self._request.base
        return as_datetime(base.claims.created_ms) if base is not None else None

    @property
    def authenticated_at(self) -> datetime | None:
        """When the user last proved who they are, aware; None where nobody is logged in."""
        return authenticated_at(self._request, self)

    def is_fresh(self, seconds: float) -> bool:
        """Whether the user proved who they are less than that many seconds ago."""
        return is_fresh(self._request, self, seconds)

    @staticmethod
    def generate_session_id() -> str:
        """A new session id: 128 random bits as 22 URL-safe characters."""
        return SessionStorageConnector.generate_session_id()

    def exists(self, session_key: str | None = None) -> bool:
        """Whether a token, this store's own by default, is live; the list is asked.

        Raises:
            RevocationListUnavailable: under `on_unreachable="refuse"`.
            SessionError: in a coroutine with a list across the network; await aexists().
        """
        request, ask = self._request, self._request.connector.exists_steps
        request.accessed = True  # what it says goes into the response
        return request.run(ask(session_key or request.token, request.cookies))

    async def aexists(self, session_key: str | None = None) -> bool:
        """`exists`, awaitable."""
        request, ask = self._request, self._request.connector.exists_steps
        request.accessed = True
        return await request.arun(ask(session_key or request.token, request.cookies))

    @property
    def device_bound(self) -> bool:
        """Whether it is bound to a device, a proof of whose key came with this request."""
        return self._request.device_bound(self)

    # Expiry.

    def set_expiry(
        self,
        expiry: int | float | datetime | timedelta | None = None,
        *,
        browser_length: bool | None = None,
    ) -> None:
        """Set when the session expires.

        Args:
            expiry: seconds or a timedelta is a lifetime that each save renews; a datetime (naive
                means UTC) is fixed; 0 or less expires now, and ends the session at its save; None
                returns to `cookie_age`. Always within `absolute_age`.
            browser_length: whether the cookie goes when the browser closes; None keeps it.

        Raises:
            InvalidArgument: for anything else.
        """
        self._touch()
        request = self._request
        request.phase.refuse_if_closed()
        new = request.rules.default_expiry if expiry is None else Expiry.of(expiry)
        with request.lock:  # a save in another thread takes both along, or neither
            request.expiry, request.browser_length = new, browser_length

    def get_expiry_date(self) -> datetime:
        """When the session expires, aware, UTC; 1970 once its cookie was deleted."""
        self._touch()
        request = self._request
        if request.outgoing == "" and not dict.__len__(self):
            return EPOCH
        return as_datetime(planned_expiry_ms(request))

    def get_expiry_age(self) -> float:
        """Seconds until the session expires, 0 if it has."""
        return max(0.0, self.get_expiry_date().timestamp() - self._request.rules.now_ms() / 1000)

    def session_expired(self) -> bool:
        """Whether the session has expired."""
        return self.get_expiry_age() <= 0

    # Saving.

    def save(self, *_: Any) -> None:
        """Save the session; `session_key` is the new token afterwards.

        Raises:
            SessionTooLarge, SessionSerializationError, SessionExpired, SessionRevoked,
            RevocationListUnavailable: the cookie that the browser holds stays as it was.
            SessionError: the response has started; or in a coroutine with a list across the
                network: await async_save() there.
        """
        request = self._request
        request.phase.refuse_if_closed()
        request.run(save_steps(request, self))

    async def async_save(self) -> None:
        """`save`, awaitable."""
        request = self._request
        request.phase.refuse_if_closed()
        await request.acheck()
        await request.arun(save_steps(request, self))

    def assign_new_session_key(self) -> str:
        """Save what the store holds as a new session; its token. The old one is not revoked.

        Of the same subject it goes on with its created-at.

        Raises:
            as `save`; SessionRevoked where the loaded session is no longer good.
        """
        request = self._request
        request.phase.refuse_if_closed()
        request.run(save_as_new_steps(request, self))
        return request.token or ""

    def create(self) -> None:
        """Begin a new session, empty and unsaved; the old one is not revoked."""
        request = self._request
        request.phase.refuse_if_closed()
        with request.lock:
            request.begin(None)
            request.load_into(self)

    # Ending.

    def clear(self) -> None:
        """End the session: revoke it, empty it, delete its cookie. A visitor's is only emptied.

        Revoked when this returns; in a coroutine with a list across the network, under an
        adapter, before the response starts. What is written afterwards is a new session.

        Raises:
            RevocationListUnavailable: nothing was changed.
            SessionError: the response has started; or in a coroutine with a list across the
                network where no response is to come: await aclear() there.
        """
        ending.clear(self._request, self)

    flush = clear

    async def aclear(self) -> None:
        """`clear`, awaitable: revoked when this returns."""
        await ending.aclear(self._request, self)

    aflush = aclear

    def delete(self, session_key: str | None = None) -> None:
        """Revoke a session.

        Args:
            session_key: a token or a session id; None, or one of this session: `clear`.

        Raises:
            as `clear`.
        """
        ending.delete(self._request, self, session_key)

    async def adelete(self, session_key: str | None = None) -> None:
        """`delete`, awaitable."""
        await ending.adelete(self._request, self, session_key)

    def cycle_key(self) -> None:
        """Give the session a new id, at once; the old one is revoked at its save."""
        ending.cycle(self._request, self)

    def reauthenticated(self) -> None:
        """Note that the user has just given the password again; the session gets a new id.

        Raises:
            SessionError: nobody is logged in, or the response has started.
        """
        reauthenticate(self._request, self)

    def supersede(self) -> None:
        """Refuse, at once, every token of this session issued so far; save gives a new one.

        Of two parallel requests one wins. What a shop calls before it spends store credit.

        Raises:
            SessionRevoked: the other request won, or the session was revoked.
            SessionTooLarge: it leaves no room for the new token; nothing was changed.
            RevocationListUnavailable: nothing was changed.
            SessionError: the response has started; or in a coroutine with a list across the
                network: await asupersede().
        """
        ending.supersede(self._request, self)

    async def asupersede(self) -> None:
        """`supersede`, awaitable."""
        await ending.asupersede(self._request, self)

    def delete_other_sessions(self) -> None:
        """Revoke every other session of this subject; what a password change calls.

        Raises:
            SessionError: the session has no subject, or the response has started.
            SessionRevoked: the session was itself revoked; the revocation of the others stands.
            RevocationListUnavailable: the others may live on; call it again.
        """
        ending.delete_other_sessions(self._request, self)

    async def adelete_other_sessions(self) -> None:
        """`delete_other_sessions`, awaitable."""
        await ending.adelete_other_sessions(self._request, self)
