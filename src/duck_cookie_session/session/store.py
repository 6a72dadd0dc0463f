"""SessionStore: the session as an application touches it, a dict that lives in a token."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

from .._log import logger
from ..errors import (
    InvalidArgument,
    InvalidSettings,
    NonPersistentStorageError,
    RevocationListUnavailable,
    SessionError,
    SessionExpired,
    SessionRevoked,
    SessionSerializationError,
    SessionTooLarge,
)
from . import connector as session_connector_mod
from .connector import SessionStorageConnector
from .judging import Opened, Refusal
from .state import SessionState
from .steps import Steps
from .values import Expiry

__all__ = [
    "InvalidArgument",
    "InvalidSettings",
    "NonPersistentStorageError",
    "RevocationListUnavailable",
    "SessionError",
    "SessionExpired",
    "SessionRevoked",
    "SessionSerializationError",
    "SessionStore",
    "SessionTooLarge",
    "session_connector_mod",
]

_checked = SessionState.check_session_storage_connector


def _as_datetime(milliseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=milliseconds)


class SessionStore(SessionState):
    """One session of one visitor, a dict. Costs next to nothing until it is touched.

    Args:
        session_key: the cookie's value; None or "" for a visitor without one. An adapter may give
            a function that finds it, called at the first touch.
        disable_warnings: do not warn when a loaded session is loaded again.
        connector: a SessionStorageConnector; None for the process's own, found at first need.

    Every Python way to look into it loads it first. Changes to nested values are seen. Safe for
    several threads.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        """What the store is, without any key or value of the session."""
        state = "not loaded" if not self._filled else "written" if self._written else "loaded"
        return f"<{type(self).__name__} {state}>"

    def load(self) -> dict[Any, Any]:
        """Load the session if that was not done yet; a plain dict of what it holds.

        A refused token loads as empty.

        Raises:
            RevocationListUnavailable: under `on_unreachable="refuse"`.
        """
        if self._filled and self._key and not self.disable_warnings:
            logger.warning("The session is loaded already; it was not loaded again.")
        return self.copy()

    async def aload(self) -> dict[Any, Any]:
        """`load`, awaitable."""
        await self.acheck()
        return self.copy()

    # The key.

    @property
    def session_key(self) -> str | None:
        """The token: the one that came with the request, after save() the new one.

        Assigning another makes an unchanged store unloaded; on a changed one its writes lie over
        what is loaded then. None or "" begins a new session; the old one is not revoked.
        """
        return self._key

    @session_key.setter
    def session_key(self, key: str | None) -> None:
        with self._lock:
            if key == self._key:
                return
            overlay = self._changes()
            self._start(key)
            self._delete_cookie = self._delete_cookie and not key
            self._overlay = overlay

    @property
    def session_id(self) -> str | None:
        """The session id as text, 22 characters; None before the first save."""
        self._touch()
        return self._base.claims.id_text if self._base else None

    @property
    def created_at(self) -> datetime | None:
        """When the session began or its subject logged in, aware; None before the first save."""
        self._touch()
        return _as_datetime(self._base.claims.created) if self._base else None

    @staticmethod
    def generate_session_id() -> str:
        """A new session id: 128 random bits as 22 URL-safe characters."""
        return SessionStorageConnector.generate_session_id()

    def exists(self, session_key: str | None = None) -> bool:
        """Whether a token is live; the list is asked.

        Args:
            session_key: a token; None for this store's own.

        Raises:
            RevocationListUnavailable: under `on_unreachable="refuse"`.
            SessionError: in a coroutine with a list across the network; await aexists().
        """
        return isinstance(self.run(self._exists_steps(session_key)), Opened)

    async def aexists(self, session_key: str | None = None) -> bool:
        """`exists`, awaitable."""
        return isinstance(await self.arun(self._exists_steps(session_key)), Opened)

    def _exists_steps(self, session_key: str | None) -> Steps[Opened | Refusal | None]:
        token = session_key or self._key
        return (yield from self._lifecycle.load_steps(token, fresh=True)) if token else None

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
                means UTC) is fixed; 0 or less expires now; None returns to `cookie_age`. Always
                within `absolute_age`.
            browser_length: whether the cookie goes when the browser closes; None keeps it.

        Raises:
            InvalidArgument: for anything else.
        """
        self._touch()
        seconds = self._lifecycle.settings.cookie_age if expiry is None else expiry
        new = Expiry.of(seconds)
        with self._lock:  # a save in another thread takes both along, or neither
            self._expiry, self._browser_length = new, browser_length

    def get_expiry_date(self) -> datetime:
        """When the session expires, aware, UTC; 1970 once its cookie was deleted."""
        self._touch()
        if self._outgoing == "" and not dict.__len__(self):
            return _as_datetime(0)
        if self._base is not None and self._expiry is None:
            return _as_datetime(self._base.claims.expires)
        return _as_datetime(self._lifecycle.expires(self._base, self._expiry))

    def get_expiry_age(self) -> float:
        """Seconds until the session expires, 0 if it has."""
        date = self.get_expiry_date()
        return max(0.0, date.timestamp() - self._lifecycle.now() / 1000)

    def session_expired(self) -> bool:
        """Whether the session has expired."""
        return self.get_expiry_age() <= 0

    # Saving.

    def save(self, *_: Any) -> None:
        """Save the session; `session_key` is the new token afterwards.

        Raises:
            SessionTooLarge, SessionSerializationError, SessionExpired, SessionRevoked,
            RevocationListUnavailable: the cookie that the browser holds stays as it was.
            SessionError: in a coroutine with a list across the network; await async_save() there.
        """
        self.run(self.save_steps())

    async def async_save(self) -> None:
        """`save`, awaitable."""
        await self.arun(self.save_steps())

    def assign_new_session_key(self) -> str:
        """Save what the store holds as a new session; its token. The old one is not revoked."""
        self._touch()
        with self._lock:
            base, self._base = self._base, None
            try:
                self.save()
            except SessionError:
                self._base = base
                raise
        return self._key or ""

    def create(self) -> None:
        """Begin a new session, empty and unsaved; the old one is not revoked."""
        with self._lock:
            self._start(None)
            self._touch()

    # Revoking.

    def clear(self) -> None:
        """End the session: revoke it, empty it, delete its cookie. A visitor's is only emptied.

        Revoked when this returns; in a coroutine with a list across the network before the
        response starts. What is written afterwards is a new session.

        Raises:
            RevocationListUnavailable: nothing was changed.
        """
        self._touch()
        with self._lock:
            if self._base is not None:
                self._carry_out(functools.partial(self._lifecycle.end_steps, self._base.scopes[1]))
            self._forget()

    flush = clear

    async def aclear(self) -> None:
        """`clear`, awaitable: revoked when this returns."""
        await self.acheck()
        self._touch()
        if self._base is not None:
            await self.arun(self._lifecycle.end_steps(self._base.scopes[1]))
        self._forget()

    aflush = aclear

    def delete(self, session_key: str | None = None) -> None:
        """Revoke a session.

        Args:
            session_key: a token or a session id; None, or one of this session: `clear`.

        Raises:
            RevocationListUnavailable: nothing was changed.
        """
        if self._is_own(session_key):
            self.clear()
            return
        found = self.session_storage_connector.session_id_of(session_key)
        if found is not None:
            scope = self._lifecycle.scopes.session(found)
            self._carry_out(functools.partial(self._lifecycle.end_steps, scope))

    async def adelete(self, session_key: str | None = None) -> None:
        """`delete`, awaitable."""
        await self.acheck()
        if self._is_own(session_key):
            await self.aclear()
        else:
            await self.session_storage_connector.adelete_session(session_key)

    def cycle_key(self) -> None:
        """Give the session a new id at its save, and revoke the old one there."""
        self._touch()
        with self._lock:
            self._cycle = self._base is not None

    def supersede(self) -> None:
        """Refuse, at once, every token of this session issued so far; save gives a new one.

        Of two parallel requests one wins. What a shop calls before it spends store credit.

        Raises:
            SessionRevoked: the other request won, or the session was revoked.
            RevocationListUnavailable: nothing was changed.
            SessionError: in a coroutine with a list across the network; await asupersede().
        """
        base = self._superseded()
        if base is not None:
            self._adopt(self.run(self._lifecycle.supersede_steps(base)))

    async def asupersede(self) -> None:
        """`supersede`, awaitable."""
        await self.acheck()
        base = self._superseded()
        if base is not None:
            self._adopt(await self.arun(self._lifecycle.supersede_steps(base)))

    def _superseded(self) -> Opened | None:
        """What supersede() is about; None for a visitor, who has no token to be refused."""
        self._touch()
        if self._base is None and isinstance(self._checked, Refusal) and self._checked.revoked:
            # The other request won before this one even loaded: it must not spend either.
            raise self._lifecycle.revoked(self._checked.reason)
        return self._base

    def delete_other_sessions(self) -> None:
        """Revoke every other session of this subject; what a password change calls.

        Raises:
            SessionError: the session has no subject.
            SessionRevoked: the session was itself revoked; the revocation of the others stands.
            RevocationListUnavailable: nothing was changed.
        """
        self._carry_out(functools.partial(self._delete_others_steps, self._subject()))

    async def adelete_other_sessions(self) -> None:
        """`delete_other_sessions`, awaitable."""
        await self.acheck()
        await self.arun(self._delete_others_steps(self._subject()))

    def _delete_others_steps(self, subject: str) -> Steps[None]:
        if self._base is not None and self._base.claims.subject == subject:
            self._adopt((yield from self._lifecycle.delete_others_steps(self._base)))
        else:  # logged in by this very request: the save that is due takes the new epoch along
            yield from self._lifecycle.raise_steps(self._lifecycle.scopes.subject(subject))

    def _subject(self) -> str:
        self._touch()
        subject = self._lifecycle.subject_of(self)
        if subject is None:
            raise SessionError(
                "The session has no subject: nobody is logged in under the key "
                f"{self._lifecycle.settings.subject_key!r} (SESSION_SUBJECT_KEY)."
            )
        return subject

    def _is_own(self, session_key: str | None) -> bool:
        if not session_key or session_key == self._key:
            return True
        self._touch()
        found = self.session_storage_connector.session_id_of(session_key)
        return self._base is not None and self._base.claims.session_id == found

    def _carry_out(self, steps: Callable[[], Steps[Any]]) -> None:
        """Now; or before the response starts, where a plain call can't wait for the network."""
        if self._network_in_loop():
            self._pending = (*self._pending, steps)
        else:
            self.run(steps())

    def _adopt(self, base: Opened) -> None:
        self._base = base
        self._owed = True

    def _forget(self) -> None:
        if self._base is not None:
            self._start("")
            self._fill()
            self._delete_cookie = True
        else:
            dict.clear(self)
            self._written = False
            self._expiry = self._browser_length = None
