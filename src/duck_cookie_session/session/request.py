"""What one request knows of its session: a record, how it is loaded, and how its list is asked.

Every kind of store owns one of these: the dict of Duck, ASGI and Flask, and Django's. The contents
stay with the store and are handed in as `data`. What the response needs is decided in `planning`
and carried out in `saving`; `ending` ends the session.
"""

from __future__ import annotations

import asyncio
from _thread import RLock  # what threading.RLock() gives, without a Python function around it
from collections.abc import Callable
from typing import Any

from ..errors import RevocationListUnavailable, SessionError, SessionSerializationError
from ..token.format import ID_CHARACTERS
from ..token.payload import pack
from .binding import Headers, headers_after_end, headers_after_save
from .connector import SessionStorageConnector
from .finding import at_first_need
from .judging import Opened, Refusal
from .overlay import Data, changes, lay_over
from .phase import Phase
from .rules import Rules
from .steps import Result, Steps, arun, run
from .values import Expiry

Cookie = str | Callable[[], str | None] | None
"""A cookie's value, or what finds it at the first touch; None or "" for a visitor."""

_EMPTY = pack({})


class RequestSession:
    """One request's knowledge of its session.

    Args:
        cookie: the cookie's value, or what finds it.
        connector: the application's, or `PROCESS`; None where the store has none.
    """

    phase: Phase
    debug: bool
    """Whether a write that is lost raises; else it is logged."""
    accessed: bool
    """Whether anybody looked into the contents or wrote to them."""
    list_failed: bool
    """Whether the list failed to answer in this request: that becomes a 503."""
    outgoing: str | None
    """What the cookie has to be: a token, "" to delete it, None for no cookie."""

    cookies: str = ""
    """The request's `Cookie` header, where sessions can be bound to a device."""
    device_headers: Headers = ()
    """What the response carries for the session's binding to a device."""
    found: Opened | Refusal | None
    """What the request's token turned out to be; None before the list was asked."""
    loaded: bool
    ready: bool
    """Whether the contents may be touched at once: loaded, and not to be judged again before."""
    before_touch: Callable[[RequestSession, Data], None] | None
    """Judges a session that lives on after its response, as on an open page of Duck's Lively."""
    base: Opened | None
    """The live token that the contents come from, loaded or saved; None for a visitor."""
    written: bool
    """Whether a call changed the contents themselves."""
    exposed: bool
    """Whether a value that can change in place was handed out or taken in."""
    expiry: Expiry | None
    """One that was asked for and is not saved yet."""
    browser_length: bool | None
    """The same, for whether the cookie ends with the browser."""

    packed: bytes
    """Packed data of the contents as loaded or saved: what they are compared with."""
    overlay: Data | None
    """Writes that came with another token."""
    drawn: tuple[bytes, str | None] | None
    """An id that the session is to get, and the subject for whom it was drawn."""
    authenticated_ms: int | None
    """When its user proved who they are, if that was in this request, after the login."""
    cycled: bool
    """Whether cycle_key() was called since the last save."""
    owed: bool
    """Whether a revocation by this request has killed the browser's token."""
    ended: bool
    """Whether the session was ended here: its cookie is to be deleted."""
    pending: tuple[Callable[[], Steps[Any]], ...]
    """Revocations that wait for the response."""

    connector: SessionStorageConnector = at_first_need()
    """The connector of this session."""
    rules: Rules = at_first_need()
    """The connector's rules."""

    def __init__(self, cookie: Cookie, connector: Any) -> None:
        # All in the object itself: what stands in the class is slower to find.
        self._given = connector
        if isinstance(connector, SessionStorageConnector):
            self.connector, self.rules = connector, connector.rules
        self.lock: RLock = RLock()
        self.phase = Phase.ALONE
        self.debug = self.accessed = self.list_failed = False
        self.outgoing = self.before_touch = None
        self.pending = ()
        self.begin(cookie)

    def go_by(self, connector: object) -> None:
        """Take another connector."""
        self._given = connector
        self.__dict__.pop("connector", None)
        self.__dict__.pop("rules", None)

    @property
    def has_connector(self) -> bool:
        """Whether anything was given as connector."""
        return self._given is not None

    def begin(self, cookie: Cookie) -> None:
        """Forget the session and know nothing but its cookie."""
        self._cookie = cookie
        self.found = self.base = self.expiry = self.browser_length = None
        self.loaded = self.ready = self.written = self.exposed = False
        self.packed = _EMPTY
        self.overlay = self.drawn = self.authenticated_ms = None
        self.cycled = self.owed = self.ended = False

    @property
    def token(self) -> str | None:
        """The token: the one that came with the request, after a save the new one."""
        cookie = self._cookie
        if callable(cookie):
            cookie = self._cookie = cookie()
        # A text of an id's length is never a token, and must not be taken for an id.
        return None if type(cookie) is str and len(cookie) == ID_CHARACTERS else cookie

    # Asking the list.

    def blocks_loop(self) -> bool:
        """Whether a plain call would block a running event loop on the network."""
        if self.connector.revocations.local:
            return False
        return asyncio._get_running_loop() is not None

    def run(self, steps: Steps[Result]) -> Result:
        """Carry out steps with plain calls, one thread at a time.

        Raises:
            SessionError: in a coroutine with a list across the network.
        """
        if not self.connector.revocations.local and self.blocks_loop():
            steps.close()
            raise SessionError(
                "The revocation list is across the network and a plain call would block the event "
                "loop: await the twin of the call (async_save, aclear, adelete, asupersede, "
                "adelete_other_sessions, aexists, asession_headers)."
            )
        try:
            with self.lock:
                return run(self.connector.revocations, steps)
        except RevocationListUnavailable:
            self.list_failed = True
            raise

    async def arun(self, steps: Steps[Result]) -> Result:
        """`run`, awaitable. No lock is held meanwhile."""
        try:
            return await arun(self.connector.revocations, steps)
        except RevocationListUnavailable:
            self.list_failed = True
            raise

    def carry_out(self, steps: Callable[[], Steps[Any]]) -> None:
        """Revoke now; or before the response starts, where a plain call can't wait.

        Raises:
            SessionError: a plain call can't wait, and no response is to come.
        """
        if self.phase is Phase.OPEN and self.blocks_loop():
            self.pending = (*self.pending, steps)
        else:
            self.run(steps())

    # Loading.

    def check(self) -> None:
        """Open the token and ask the list, before anything touches the contents."""
        if self.loaded or self.found is not None:
            return
        if self.token:
            self.found = self._ask(self.token)

    async def acheck(self) -> None:
        """`check`, awaitable."""
        if self.loaded or self.found is not None:
            return
        if self.token:
            try:
                self.found = await self.connector.aload(self.token, self.cookies)
            except RevocationListUnavailable:
                self.list_failed = True
                raise

    def load_into(self, data: Data) -> None:
        """Fill the contents if that was not done yet; a refused token loads as empty.

        Raises:
            RevocationListUnavailable: under `on_unreachable="refuse"`.
            SessionError: in a coroutine with a list across the network that was not asked yet.
        """
        self.accessed = True
        with self.lock:
            if self.loaded:
                if self.phase is Phase.ALONE and self.before_touch is not None:
                    self.before_touch(self, data)
                else:
                    self.ready = True
                return
            if self.found is None:
                token = self._cookie if type(self._cookie) is str else self.token
                try:
                    self.found = self._ask(token) if token else None
                finally:
                    del token  # error reports show local variables
            found = self.found
            dict.clear(data)
            if isinstance(found, Opened):
                contents = self.rules.unpacked(found)
                if contents is not None:
                    self.base, self.packed = found, found.data
                    dict.update(data, contents)
            if self.overlay is not None:
                lay_over(data, self.overlay)
                self.overlay = None
                self.written = self.exposed = True
            self.loaded = True
            self.ready = self.before_touch is None or self.phase is not Phase.ALONE

    def _ask(self, token: str) -> Opened | Refusal:
        connector = self.connector
        if not connector.revocations.local and self.blocks_loop():
            raise SessionError(
                "The session is not loaded and its revocation list is across the network: await "
                "session.aload() before touching it in a coroutine."
            )
        try:
            return connector.load(token, self.cookies)
        except RevocationListUnavailable:
            self.list_failed = True
            del token  # error reports show local variables
            raise

    def switch(self, data: Data, token: str | None) -> None:
        """Go on with another token; what was written lies over what is loaded then."""
        overlay, ended = self.overlay, self.ended and not token
        if self.loaded and self.modified(data):
            before = None if self.base is None else self.rules.unpacked(self.base)
            overlay = changes(before or {}, data)
        self.begin(token)
        self.ended, self.overlay = ended, overlay

    def device_bound(self, data: Data) -> bool:
        """Whether the session is bound to a device; not from a login on, which begins another."""
        self.load_into(data)
        base = self.base
        return bool(base and base.proven > 0 and base.claims.subject == self.rules.subject_of(data))

    # What changed.

    def modified(self, data: Data) -> bool:
        """Whether the contents changed since they were loaded, in nested values too."""
        if not self.loaded:
            return self.overlay is not None
        try:
            return self.changed(data) is not None
        except SessionSerializationError:
            return True  # it could be packed when it was loaded; saving says what is wrong

    def changed(self, data: Data) -> bytes | None:
        """The packed data if they changed, else None."""
        if not self.written and not self.exposed:
            return None
        packed = pack(dict(dict.items(data)))
        return packed if self.written or packed != self.packed else None

    def mark(self, data: Data, *, modified: bool) -> None:
        """Have the contents count as changed; or as they are now, as not changed."""
        self.load_into(data)
        # Once the response has started nothing is saved; what changed in place is found at its end.
        self.written = modified and self.phase is not Phase.CLOSED
        if not modified:
            self.packed = pack(dict(dict.items(data)))

    def take(self, saved: Opened, *, settles: bool = True) -> None:
        """Go on with a token that was sealed just now, and hand it out.

        Args:
            settles: whether all that was to be saved is in it.
        """
        seals = self.rules.seals
        if seals is not None:
            before = None if self.base is None else self.base.claims
            now_ms = self.rules.now_ms()
            self.device_headers = headers_after_save(
                seals, before, saved, self.cookies, self.device_headers, now_ms
            )
        self.base = self.found = saved
        self._cookie = self.outgoing = saved.token
        self.packed = saved.data
        self.exposed = True  # another thread may have written since the data were packed
        self.owed, self.drawn = False, None
        if settles:
            self.written = self.cycled = self.ended = False
            self.expiry = self.browser_length = self.authenticated_ms = None

    def delete_cookie(self, data: Data) -> None:
        """Empty the contents, and have the response delete the cookie."""
        self.begin("")
        dict.clear(data)
        self.loaded = True
        self.outgoing = ""
        if self.cookies and self.rules.seals is not None:
            self.device_headers = headers_after_end(self.rules.seals, self.cookies)

    def forget(self, data: Data) -> None:
        """Empty the contents; a live session's cookie is to be deleted."""
        dict.clear(data)
        if self.base is not None:
            self.begin("")
            self.loaded = self.ended = True
        else:
            self.written = False
            self.expiry = self.browser_length = self.drawn = None

    def adopt(self, base: Opened) -> None:
        """Go on with epochs that a revocation of this request has set."""
        self.base = base
        self.owed = True
