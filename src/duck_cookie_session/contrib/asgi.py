"""Session middleware for ASGI: Starlette, FastAPI and every other ASGI 3 application.

    app = CookieSessionMiddleware(app, settings=SessionSettings(secret_keys=..., session_dir=...))

`scope["session"]` (Starlette's `request.session`) is a SessionStore. A request that never touches
it decrypts nothing where the list's lookup is local. Across the network a plain dict access can't
be awaited, so where the request brings the cookie its claims are opened and the list is awaited
before the application runs; the data stay packed until they are touched.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import TYPE_CHECKING, Any

from .._log import logger
from ..errors import RevocationListUnavailable, SessionError, SessionRevoked
from ..response import (
    UNAVAILABLE_BODY,
    UNAVAILABLE_HEADERS,
    asession_headers,
    find_cookie,
    merge_vary,
    only_looked,
)
from ..revocation.sqlite import SQLiteRevocationList
from ..session.connector import (
    SessionStorageConnector,
    StorageClass,
    get_session_storage_connector,
)
from ..session.store import SessionStore
from ..settings import SessionSettings

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

STARTS = {
    *("http.response.start", "websocket.http.response.start"),
    *("websocket.accept", "websocket.close"),
}
SERVER_ERROR = 500
TRY_AGAIN_LATER = 1013  # of IANA's registry of WebSocket close codes


class AsgiSession(SessionStore):
    """A SessionStore as Starlette expects one."""

    __slots__ = ()

    def mark_accessed(self) -> None:
        """Starlette 1.x calls this for `request.session`, so naming it is an access."""
        self._accessed = True


class AcceptedSession(AsgiSession):
    """What the session of a websocket becomes once that is accepted: no cookie can go out."""

    __slots__ = ()

    def _refused(self, *_: Any, **__: Any) -> Any:
        raise SessionError(
            "The websocket was accepted, so no cookie can go out and its session can't change any "
            "more. Change it before accept() or in an HTTP request; to log out from here, "
            "await connector.adelete_session(session.session_key)."
        )

    if not TYPE_CHECKING:  # for a type checker they stay what they are
        __setitem__ = __delitem__ = pop = popitem = setdefault = update = create = _refused
        clear = flush = aclear = aflush = supersede = asupersede = save = async_save = _refused
        set_expiry = cycle_key = assign_new_session_key = _refused
        delete_other_sessions = adelete_other_sessions = _refused


class CookieSessionMiddleware:
    """Puts the session into `scope["session"]` and its cookie onto the response.

    Args:
        app: the ASGI application inside.
        settings: the application's. Revocations are kept in an SQLiteRevocationList in its
            `session_dir`, or in the list of `connector`.
        connector: without `settings`, those of the connector count. Without both, the process's
            connector (`configure()`) is taken at the first request.
        exempt: beginnings of paths, as of static files, for which a list across the network is
            not asked ahead; there, `await session.aload()` comes before a touch.

    An unreachable list becomes 503 with Retry-After and leaves the cookie alone; a websocket is
    refused alike, or closed with 1013. Responses of status 500 and above save no changes.

    Raises:
        InvalidSettings: `settings` without a `session_dir` and without a connector.
    """

    def __init__(
        self,
        app: App,
        settings: SessionSettings | None = None,
        connector: SessionStorageConnector | None = None,
        *,
        exempt: Collection[str] = (),
    ) -> None:
        if settings is not None:
            shared = connector and connector.revocations
            storage: StorageClass = (lambda: shared) if shared else SQLiteRevocationList
            connector = SessionStorageConnector(storage, settings=settings)
        self.app = app
        self.exempt: tuple[str, ...] = (exempt,) if isinstance(exempt, str) else tuple(exempt)
        self._connector = connector

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request or websocket; other scopes go through."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        connector = self._connector
        if connector is None:
            connector = self._connector = get_session_storage_connector()
        session = AsgiSession(functools.partial(_find, scope, connector), connector=connector)
        scope["session"] = session
        answer = _Answer(scope, session, send)
        try:
            if not connector.revocations.local and not scope["path"].startswith(self.exempt):
                await session.acheck()
            try:
                await self.app(scope, receive, answer.pass_on)
            finally:
                if session.has_pending:
                    await answer.revoke_late()
        except RevocationListUnavailable as error:
            if answer.started:
                raise
            await answer.unavailable(error)
        if type(session) is AcceptedSession and session.loaded and session.modified:
            logger.error("A session changed after its websocket was accepted: the change is lost.")


class _Answer:
    """What goes out for one request: the application's messages, the cookie on the first."""

    __slots__ = ("replaced", "scope", "send", "session", "started")

    def __init__(self, scope: Scope, session: SessionStore, send: Send) -> None:
        self.scope = scope
        self.session = session
        self.send = send
        self.started = False
        self.replaced = False  # by a 503: the rest of the application's messages is dropped

    def pass_on(self, message: Message) -> Awaitable[None]:
        """`send` for the application. No coroutine of its own: most messages just go through."""
        if self.started:
            return _nothing() if self.replaced else self.send(message)
        kind = message["type"]
        self.started = kind in STARTS
        if not (self.started and self.session.accessed) and kind != "websocket.accept":
            return self.send(message)
        if kind == "http.response.start" and only_looked(self.session):
            return self.send(_with(message, []))  # no coroutine of its own here either
        return self._start(message)

    async def _start(self, message: Message) -> None:
        kind = message["type"]
        # A close before accept() becomes the server's own 403: no cookie of ours can go out.
        failed = message.get("status", 0) >= SERVER_ERROR or kind == "websocket.close"
        try:
            added = await asession_headers(self.session, failed=failed)
        except RevocationListUnavailable as error:
            await self.unavailable(error)
            return
        if kind == "websocket.accept":
            self.session.__class__ = AcceptedSession
        if added and message["type"] != "websocket.close":
            message = _with(message, added)
        await self.send(message)

    async def revoke_late(self) -> None:
        """Carry out what was revoked once the response had started, or before the app failed."""
        try:
            await self.session.arun(self.session.pending_steps())
        except SessionRevoked as error:
            logger.info("Session not saved: %s", error)

    async def unavailable(self, error: RevocationListUnavailable) -> None:
        """Answer 503 in the application's place; the cookie stays as it is."""
        logger.error("The revocation list is unreachable, answered 503: %s", error)
        self.started = self.replaced = True
        prefix = "" if self.scope["type"] == "http" else "websocket."
        if prefix and "websocket.http.response" not in self.scope.get("extensions", {}):
            await self.send({"type": "websocket.close", "code": TRY_AGAIN_LATER, "reason": ""})
            return
        headers = [(name.lower().encode(), value.encode()) for name, value in UNAVAILABLE_HEADERS]
        body = UNAVAILABLE_BODY.encode()
        await self.send({"type": prefix + "http.response.start", "status": 503, "headers": headers})
        await self.send({"type": prefix + "http.response.body", "body": body})


def _with(message: Message, added: list[tuple[str, str]]) -> Message:
    """The message with what the session adds: its cookie, no-store, and Cookie in `Vary`."""
    raw = [(n.lower().encode(), v.encode("latin-1")) for n, v in added if n != "Vary"]
    vary = b""
    headers = []
    for pair in message.get("headers", ()):
        name = pair[0].lower()
        if name == b"vary":
            vary = vary + b", " + pair[1] if vary else pair[1]
        elif not raw or name != b"cache-control":
            headers.append(pair)
    merged = merge_vary(vary.decode("latin-1")).encode("latin-1") if vary else b"Cookie"
    return {**message, "headers": [*headers, *raw, (b"vary", merged)]}


async def _nothing() -> None:
    pass


def _find(scope: Scope, connector: SessionStorageConnector) -> str | None:
    wanted = connector.settings.cookie_name.encode()
    for name, value in scope["headers"]:
        if name == b"cookie":
            found: bytes | None = find_cookie(value, wanted)
            if found is not None:
                return found.decode("latin-1")
    return None
