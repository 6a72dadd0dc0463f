"""SessionState: what a store knows of its session, loads, compares, saves and hands out."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from .._log import logger
from ..errors import (
    InvalidArgument,
    RevocationListUnavailable,
    SessionError,
    SessionRevoked,
    SessionSerializationError,
    SessionTooLarge,
)
from ..token.payload import pack
from . import connector as session_connector_mod
from .connector import SessionStorageConnector
from .judging import Opened, Refusal, Write
from .lazy_dict import UNFILLED, LazyDict
from .rules import Lifecycle
from .steps import Result, Steps
from .values import Expiry

Method = TypeVar("Method", bound=Callable[..., Any])
Key = str | Callable[[], str | None] | None
"""A cookie's value, or what finds it at the first touch; None or "" for a visitor."""

_PROCESS_CONNECTOR: Any = object()
_NOTHING = pack({})
_REMOVED = object()


class SessionState(LazyDict):
    """The part of a session store that applications do not call by name.

    A store is untouched, then loaded: from a live token (its *base*), or as empty. Saving makes
    the new token the base. All errors are raised where the session is touched, never here.
    """

    __slots__ = (
        "_base",
        "_browser_length",
        "_checked",
        "_connector",
        "_cycle",
        "_delete_cookie",
        "_expiry",
        "_given",
        "_lock",
        "_outgoing",
        "_overlay",
        "_owed",
        "_packed",
        "_pending",
        "_quiet_until",
        "disable_warnings",
        "unavailable",
    )

    def __init__(
        self,
        session_key: Key,
        disable_warnings: bool = False,
        *,
        connector: SessionStorageConnector | None = None,
    ) -> None:
        # Built for every request, so this does the least: what only a touched store needs, `_fill`
        # sets.
        self._connector = _PROCESS_CONNECTOR if connector is None else connector
        self.disable_warnings: bool = disable_warnings
        self.unavailable: bool = False  # whether the list did not answer: what becomes a 503
        self._lock = threading.RLock()
        self._pending: tuple[Callable[[], Steps[Any]], ...] = ()  # revocations yet to be done
        self._outgoing: str | None = None  # what the cookie is to be: a token, or "" for deleted
        self._delete_cookie = False
        self._accessed = False
        self._filled = False
        dict.__setitem__(self, UNFILLED, None)
        self._given = session_key
        self._checked: Opened | Refusal | None = None
        self._overlay: dict[Any, Any] | None = None  # writes that came with another key

    def _start(self, session_key: Key) -> None:
        """Forget the session and become a store that was not filled yet."""
        self._unfill()
        self._given = session_key
        self._checked = self._overlay = None

    @property
    def _key(self) -> str | None:
        key = self._given
        if callable(key):
            key = self._given = key()
        return key

    # The connector.

    @property
    def session_storage_connector(self) -> Any:
        """The connector that this store goes by."""
        if self._connector is _PROCESS_CONNECTOR:
            self._connector = session_connector_mod.get_session_storage_connector()
        return self._connector

    @session_storage_connector.setter
    def session_storage_connector(self, connector: SessionStorageConnector | None) -> None:
        self._connector = connector

    @staticmethod
    def check_session_storage_connector(method: Method) -> Method:
        """Decorate a method of a store so that it refuses to run without a good connector.

        Raises:
            ValueError: `session_storage_connector` is None or missing.
            TypeError: it is something else than a SessionStorageConnector.
        """

        @functools.wraps(method)
        def checked(self: Any, *args: Any, **kwargs: Any) -> Any:
            connector = getattr(self, "session_storage_connector", None)
            if connector is None:
                raise ValueError("The session store has no session storage connector.")
            if not isinstance(connector, SessionStorageConnector):
                raise TypeError(
                    "The session storage connector of the store is a "
                    f"{type(connector).__name__}, not a SessionStorageConnector."
                )
            return method(self, *args, **kwargs)

        return checked  # type: ignore[return-value]  # wraps() keeps the signature

    @property
    def _connected(self) -> SessionStorageConnector:
        """The connector, or what `check_session_storage_connector` raises."""
        connector = self._connector
        return connector if type(connector) is SessionStorageConnector else self._any_connector()

    @check_session_storage_connector
    def _any_connector(self) -> SessionStorageConnector:
        connector: SessionStorageConnector = self.session_storage_connector
        return connector

    def _network_in_loop(self) -> bool:
        """Whether a plain call would block a running event loop on the network."""
        if self._connected.revocations.local:
            return False
        return asyncio._get_running_loop() is not None

    def run(self, steps: Steps[Result]) -> Result:
        """Carry out steps with plain calls, one thread at a time.

        Raises:
            SessionError: in a coroutine with a list across the network.
        """
        if self._network_in_loop():
            steps.close()
            raise SessionError(
                "The revocation list is across the network and a plain call would block the event "
                "loop: await the twin of the call (async_save, asupersede, asession_headers)."
            )
        try:
            with self._lock:
                return self._connected.run(steps)
        except RevocationListUnavailable:
            self.unavailable = True
            raise

    async def arun(self, steps: Steps[Result]) -> Result:
        """`run`, awaitable; the session is checked first. No lock is held meanwhile."""
        await self.acheck()
        try:
            return await self._connected.arun(steps)
        except RevocationListUnavailable:
            self.unavailable = True
            raise

    # Loading.

    def _fill(self) -> None:
        with self._lock:
            if self._filled:
                return
            connector, loaded = self._connected, self._checked
            if loaded is None and self._key:
                if not connector.revocations.local and self._network_in_loop():
                    raise SessionError(
                        "The session is not loaded and its revocation list is across the network: "
                        "await session.aload() before touching it in a coroutine."
                    )
                try:
                    loaded = connector.load(self._key)
                except RevocationListUnavailable:
                    self.unavailable = True
                    raise
            dict.clear(self)
            self._base: Opened | None = None  # the loaded or saved token; None for a visitor
            self._packed = _NOTHING  # what the contents are compared with
            self._owed = False  # the browser's token is dead by our own doing: it is owed another
            self._written = self._exposed = self._cycle = False
            self._expiry: Expiry | None = None
            self._browser_length: bool | None = None  # whether it is to go with the browser
            self._checked = loaded
            self._quiet_until = loaded.quiet_until if isinstance(loaded, Refusal) else 0
            if isinstance(loaded, Opened):
                data = connector.unpacked(loaded)
                if data is not None:
                    self._base, self._packed = loaded, loaded.data
                    dict.update(self, data)
            if self._overlay is not None:
                self._lay_over(self._overlay)
            self._filled = True

    def _lay_over(self, overlay: dict[Any, Any]) -> None:
        for key, value in overlay.items():
            if value is _REMOVED:
                dict.pop(self, key, None)
            else:
                dict.__setitem__(self, key, value)
        self._overlay = None
        self._written = self._exposed = True

    def check(self) -> None:
        """Open the claims and ask the list, before anything touches the session.

        The data stay packed until they are touched.
        """
        if not self._filled and self._checked is None and self._key:
            try:
                self._checked = self.session_storage_connector.load(self._key)
            except RevocationListUnavailable:
                self.unavailable = True
                raise

    async def acheck(self) -> None:
        """`check`, awaitable."""
        if not self._filled and self._checked is None and self._key:
            try:
                self._checked = await self.session_storage_connector.aload(self._key)
            except RevocationListUnavailable:
                self.unavailable = True
                raise

    @property
    def loaded(self) -> bool:
        """Whether the session was loaded."""
        return self._filled

    @property
    def accessed(self) -> bool:
        """Whether anybody looked into the session or wrote to it."""
        return self._accessed

    # What changed.

    def _pack(self) -> bytes:
        return pack(dict(dict.items(self)))

    @property
    def modified(self) -> bool:
        """Whether the session changed since it was loaded, in nested values too, or was ended."""
        return self._delete_cookie or self._changed()

    @modified.setter
    def modified(self, value: bool) -> None:
        self._touch()
        self._written = bool(value)
        if not value:
            self._packed = self._pack()

    def _changed(self) -> bool:
        if not self._filled:
            return self._overlay is not None
        if self._written or not self._exposed:
            return self._written
        try:
            return self._pack() != self._packed
        except SessionSerializationError:
            return True  # it could be packed when it was loaded; saving says what is wrong

    def needs_update(self) -> bool:
        """Whether the response has to carry a cookie: changed, ended, or due for re-issue."""
        return self._accessed and self._is_due()

    def _is_due(self, *, re_issue: bool = True) -> bool:
        self._touch()
        if self._delete_cookie or self._owed or self._pending:
            return True
        if self._base is None:
            # A visitor gets a cookie with the first value, not with the first look.
            return self._changed() and bool(dict.__len__(self)) and not self._quiet()
        if self._cycle or self._expiry is not None or self._browser_length is not None:
            return True
        if self._changed():
            return True
        return re_issue and self._lifecycle.due_for_reissue(self._base)

    def _quiet(self) -> bool:
        """Whether the cookie was that of a session that ended moments ago, and nobody logs in."""
        if self._base is not None or self._lifecycle.now() >= self._quiet_until:
            return False
        key = self._lifecycle.settings.subject_key
        return key is None or dict.get(self, key) is None

    @property
    def _lifecycle(self) -> Lifecycle:
        return self._connected.lifecycle

    def _changes(self) -> dict[Any, Any] | None:
        """What was written since the load, to be laid over another session; None for nothing."""
        if not self._filled:
            return self._overlay
        if not self._changed():
            return None
        before = (self._base and self.session_storage_connector.unpacked(self._base)) or {}
        changes = {key: _REMOVED for key in before if not dict.__contains__(self, key)}
        for key, value in dict.items(self):
            if key not in before or pack({key: value}) != pack({key: before[key]}):
                changes[key] = value
        return changes

    # Saving.

    def save_steps(self) -> Steps[None]:
        """What `save` and `async_save` carry out."""
        self._touch()
        if self._pending:
            yield from self.pending_steps()
        if self._quiet():
            logger.info("A request with the cookie of an ended session was not saved.")
        elif self._delete_cookie and not dict.__len__(self):
            self._delete()
        else:
            yield from self._seal_steps()

    def _seal_steps(self) -> Steps[None]:
        base = self._base
        optional = bool(base and not self._written and not self._is_due(re_issue=False))
        try:
            packed, subject = self._pack(), self._lifecycle.subject_of(self)
            write = Write(
                packed,
                subject,
                self._expiry,
                self._browser_length,
                self._cycle,
                optional,
                self._owed,
            )
            saved = yield from self._lifecycle.save_steps(base, write)
        except (SessionTooLarge, SessionSerializationError, InvalidArgument):
            yield from self._reissue_steps()
            raise
        except SessionRevoked:
            if self._base is base:  # else another task has saved it meanwhile
                self._outgoing = None  # what an earlier save gave is revoked as well
            raise
        except RevocationListUnavailable:
            if optional:  # nothing but a re-issue: a read never fails for that
                return
            raise
        self._hand_out(saved)
        self._written = self._cycle = self._delete_cookie = False
        self._expiry = self._browser_length = None

    def drop_steps(self) -> Steps[None]:
        """What a request that failed still has to do: its revocations, but none of its changes."""
        if self._filled:
            yield from self.pending_steps()
            if self._delete_cookie:
                self._delete()
            yield from self._reissue_steps()

    def _reissue_steps(self) -> Steps[None]:
        """Data as loaded under a live token, where a revocation of ours killed the browser's."""
        if self._owed and self._base is not None:
            write = Write(self._base.data, self._base.claims.subject, owed=True)
            self._hand_out((yield from self._lifecycle.save_steps(self._base, write)))

    @property
    def has_pending(self) -> bool:
        """Whether revocations wait for `pending_steps`."""
        return bool(self._pending)

    def pending_steps(self) -> Steps[None]:
        """Revocations that a plain call could not carry out; what fails stays for another try.

        Raises:
            SessionRevoked: the session itself was revoked by then; all of them are carried out.
        """
        revoked: SessionRevoked | None = None
        while self._pending:
            try:
                yield from self._pending[0]()
            except SessionRevoked as error:
                revoked = error
            self._pending = self._pending[1:]
        if revoked is not None:
            raise revoked

    def _hand_out(self, saved: Opened) -> None:
        self._base, self._given, self._outgoing = saved, saved.token, saved.token
        self._packed = saved.data
        self._exposed = True  # another thread may have written since the data were packed
        self._quiet_until = 0
        self._owed = False

    def _delete(self) -> None:
        self._start("")
        self._fill()
        self._delete_cookie = False
        self._outgoing = ""

    @property
    def outgoing(self) -> str | None:
        """What the response's cookie has to be: a token, "" to delete it, None for no cookie."""
        return self._outgoing

    @property
    def cookie_max_age(self) -> int | None:
        """Seconds for the cookie's Max-Age; None for one that goes with the browser."""
        if self._base is None or self._base.claims.browser_length:
            return None
        return max(0, -(-(self._base.claims.expires - self._lifecycle.now()) // 1000))
