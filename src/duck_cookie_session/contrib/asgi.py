"""Session middleware for ASGI: Starlette, FastAPI and every other ASGI 3 application.

    app = CookieSessionMiddleware(app, settings=SessionSettings(secret_keys=..., session_dir=...))

`scope["session"]` (Starlette's `request.session`) is a SessionStore. A request that never touches
it decrypts nothing where the list's lookup is local. Across the network a plain dict access can't
be awaited, so where the request brings the cookie its claims are opened and the list is awaited
before the application runs; the data stay packed until they are touched.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Collection, Coroutine, MutableMapping
from typing import Any

from .._cookie import find_cookie
from .._log import logger
from ..errors import InvalidSettings, RevocationListUnavailable
from ..response import (
    NO_STORE,
    PRIVATE,
    SERVER_ERROR,
    UNAVAILABLE_BODY,
    UNAVAILABLE_HEADERS,
    VARY,
    arespond,
    headers_of,
    respond_steps,
    revoke_late,
)
from ..revocation.sqlite import SQLiteRevocationList
from ..session.connector import SessionStorageConnector, checked_connector
from ..session.phase import Phase
from ..session.process import get_session_storage_connector, register
from ..session.storage import StorageClass
from ..session.store import SessionStore
from ..settings import SessionSettings
from ._asgi_device import answer_device

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

STARTS = {
    *("http.response.start", "websocket.http.response.start"),
    *("websocket.accept", "websocket.close"),
}
PLAIN_TEXT = [(b"content-type", b"text/plain; charset=utf-8")]
TRY_AGAIN_LATER = 1013  # of IANA's registry of WebSocket close codes


class AsgiSession(SessionStore):
    """A SessionStore as Starlette expects one."""

    __slots__ = ()

    def mark_accessed(self) -> None:
        """Starlette 1.x calls this for `request.session`, so naming it is an access."""
        self._request.accessed = True


class CookieSessionMiddleware:
    """Puts the session into `scope["session"]` and its cookie onto the response.

    Args:
        app: the ASGI application inside.
        settings: the application's. Revocations are kept in an SQLiteRevocationList in its
            `session_dir`, or in the list of `connector`.
        connector: without `settings`, those of the connector count. Without both, the process's
            connector (`configure()`) is taken at the first request; InvalidSettings is raised there
            if there is none.
        exempt: path prefixes, such as those of static files, for which a list across the network
            is not asked before the application runs; there, `await session.aload()` first.
        debug: whether what the program got wrong (a session too large, a value that can't be
            stored, a write after the response has started) raises; else it is logged. None takes
            `debug` of the application in `scope["app"]`, as Starlette and FastAPI have it.

    An unreachable list becomes 503 with Retry-After and leaves the cookie alone; a websocket is
    refused in the same way, or closed with 1013. Responses of status 500 and above save no changes.
    Where the application raises after `supersede()`, `delete_other_sessions()` or a save, before
    anything was sent, this middleware answers 500 itself, with the cookie that is owed, and raises
    on: a handler of 500 further out (Starlette's and FastAPI's, where this stands in
    `add_middleware`) is bypassed.

    Raises:
        InvalidArgument: `settings` or `connector` is something else.
        InvalidSettings: `settings` without a `session_dir` and without a connector.
    """

    def __init__(
        self,
        app: App,
        settings: SessionSettings | None = None,
        connector: SessionStorageConnector | None = None,
        *,
        exempt: Collection[str] = (),
        debug: bool | None = None,
    ) -> None:
        if connector is not None:
            checked_connector(connector)
        if settings is not None:
            storage: StorageClass = SQLiteRevocationList
            if connector is not None:
                storage = functools.partial(_same, connector.revocations)
            connector = SessionStorageConnector(storage, settings=settings)
        if connector is not None:
            register(connector, "the ASGI middleware")
        self.app = app
        self.exempt: tuple[str, ...] = (exempt,) if isinstance(exempt, str) else tuple(exempt)
        self.debug = debug
        self._connector = connector

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request or websocket; other scopes go through."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        connector = self._connector
        if connector is None:
            connector = self._connector = _of_process()
        name = connector.settings.cookie_name
        session = AsgiSession(functools.partial(_find, scope, name), connector=connector)
        scope["session"] = session
        request = session._request
        request.phase = Phase.OPEN
        answer = _Answer(scope, session, send, self.debug)
        if connector.rules.seals is not None and await answer_device(request, scope, send):
            return
        try:
            if not connector.revocations.local and not scope["path"].startswith(self.exempt):
                await request.acheck()
            try:
                await self.app(scope, receive, answer.pass_on)
            except Exception:  # the application's own, whatever it is: raised on
                await answer.hand_out_what_is_owed()
                raise
            finally:
                # Also where no response came: a task that outlives it must not queue any more.
                request.phase = Phase.CLOSED
                if request.pending:
                    await revoke_late(request)
        except RevocationListUnavailable as error:
            if answer.started:
                raise
            await answer.unavailable(error)
        if request.exposed and answer.started:
            answer.note_lost()


def _of_process() -> SessionStorageConnector:
    try:
        return get_session_storage_connector()
    except InvalidSettings as error:  # it speaks of Duck's settings as well, which few have here
        raise InvalidSettings(
            "The middleware was given no settings, and the process has no connector that it could "
            "take: pass settings= or connector= to CookieSessionMiddleware, or call "
            "duck_cookie_session.configure() before the first request."
        ) from error


class _Answer:
    """What goes out for one request: the application's messages, the cookie on the first."""

    __slots__ = ("debug", "replaced", "scope", "send", "session", "started")

    def __init__(self, scope: Scope, session: SessionStore, send: Send, debug: bool | None) -> None:
        self.scope = scope
        self.session = session
        self.send = send
        self.debug = debug
        self.started = False
        self.replaced = False  # by a 503: the rest of the application's messages is dropped

    def pass_on(self, message: Message) -> Awaitable[None]:
        """`send` for the application. No coroutine of its own: most messages just go through."""
        if self.started:
            return _nothing() if self.replaced else self.send(message)
        kind = message["type"]
        if kind not in STARTS:
            return self.send(message)
        session = self.session
        if self.scope.get("session") is not session:
            _note_replaced(self.scope.get("session"))
        request = session._request
        request.debug = self._in_debug()
        if not request.accessed and not request.pending:
            self.started = True
            request.phase = Phase.CLOSED
            return self.send(message)
        # A close before accept() becomes the server's own 403: no cookie of ours can go out.
        failed = message.get("status", 0) >= SERVER_ERROR or kind == "websocket.close"
        if not request.loaded or request.list_failed:
            return self._start(message, self._ask_again(failed))
        steps = respond_steps(request, session, failed=failed)
        if steps is not None:
            return self._start(message, arespond(request, steps))
        self.started = True
        self._close(kind)
        return self.send(_with(message, session))

    async def _ask_again(self, failed: bool) -> None:
        """Where the list did not answer when the session was touched."""
        request = self.session._request
        await request.acheck()
        steps = respond_steps(request, self.session, failed=failed)
        if steps is not None:
            await arespond(request, steps)

    async def _start(self, message: Message, work: Coroutine[Any, Any, None]) -> None:
        """Do first what the session needs."""
        self.started = True
        try:
            await work
        except RevocationListUnavailable as error:
            await self.unavailable(error)
            return
        except BaseException:  # cancelled, too; raised on
            # Nothing went out, so that another response may: the framework's own 500, or, where
            # this was cancelled, what the application sends at the end of its time-out.
            self.started = False
            raise
        self._close(message["type"])
        if message["type"] != "websocket.close":
            message = _with(message, self.session)
        await self.send(message)

    def _close(self, kind: str) -> None:
        request = self.session._request
        request.phase = Phase.CLOSED
        if kind != "websocket.accept":
            # What was handed out by now was saved, or need not be. A websocket goes on for long
            # with what it was handed before it was accepted.
            request.exposed = False

    def note_lost(self) -> None:
        """Log a change to a nested value that came too late; other writes have said so."""
        request = self.session._request
        if not request.written and request.modified(self.session):
            logger.error(
                "A nested value of a session was changed after the response had started: the "
                "change is lost. Write before the response starts or a websocket is accepted."
            )

    async def hand_out_what_is_owed(self) -> None:
        """Answer 500 in place of whoever is outside, where the browser's token is dead.

        `supersede()` and `delete_other_sessions()` act at once: without the cookie on this
        response the user would be logged out.
        """
        request = self.session._request
        if not self.started and request.pending:
            await revoke_late(request)
        if self.started or not (request.owed or request.outgoing):
            return
        prefix = self._prefix()
        if prefix is not None:
            await self.pass_on({"type": prefix + ".start", "status": 500, "headers": PLAIN_TEXT})
            await self.pass_on({"type": prefix + ".body", "body": b"Internal Server Error"})

    def _prefix(self) -> str | None:
        """What messages of a response are called; None for a websocket that can't be given one."""
        if self.scope["type"] == "http":
            return "http.response"
        denied = "websocket.http.response"
        return denied if denied in self.scope.get("extensions", {}) else None

    def _in_debug(self) -> bool:
        if self.debug is not None:
            return self.debug
        return bool(getattr(self.scope.get("app"), "debug", False))

    async def unavailable(self, error: RevocationListUnavailable) -> None:
        """Answer 503 in the application's place; the cookie stays as it is."""
        logger.error("The revocation list is unreachable, answered 503: %s", error)
        self.started = self.replaced = True
        self.session._request.phase = Phase.CLOSED
        prefix = self._prefix()
        if prefix is None:
            await self.send({"type": "websocket.close", "code": TRY_AGAIN_LATER, "reason": ""})
            return
        headers = [(name.lower().encode(), value.encode()) for name, value in UNAVAILABLE_HEADERS]
        body = UNAVAILABLE_BODY.encode()
        await self.send({"type": prefix + ".start", "status": 503, "headers": headers})
        await self.send({"type": prefix + ".body", "body": body})


def _with(message: Message, session: SessionStore) -> Message:
    """The message with what the session adds: its cookie, `Cache-Control`, and Cookie in `Vary`."""
    request = session._request
    vary = own = None
    headers = []
    for pair in message.get("headers", ()):
        name = pair[0].lower()
        if name == b"vary":
            vary = pair[1] if vary is None else vary + b", " + pair[1]
            continue
        if name == b"cache-control":
            own = pair[1].decode("latin-1")
            if request.outgoing is not None:  # ours takes its place
                continue
        headers.append(pair)
    added = headers_of(request, None if vary is None else vary.decode("latin-1"), own)
    headers += [_USUAL.get(pair) or _encoded(*pair) for pair in added]
    return {**message, "headers": headers}


def _encoded(name: str, value: str) -> tuple[bytes, bytes]:
    return name.lower().encode(), value.encode("latin-1")


_USUAL = {pair: _encoded(*pair) for pair in (PRIVATE, NO_STORE, VARY)}


def _note_replaced(other: object) -> None:
    """Log, once for each kind, that what the application writes to is not our session."""
    kind = f"{type(other).__module__}.{type(other).__qualname__}"
    if isinstance(other, SessionStore) or kind in _noted:
        return
    _noted.add(kind)
    logger.error(
        "Something put a %s into scope['session'], in place of this middleware's session: "
        "what is written to it is not kept here, and nothing was revoked. Take out the other "
        "session middleware; to log out, call clear() on the session itself.",
        kind,
    )


_noted: set[str] = set()


async def _nothing() -> None:
    pass


def _same(revocations: Any) -> Any:
    return revocations


def _find(scope: Scope, cookie_name: str) -> str | None:
    for name, value in scope["headers"]:
        if name == b"cookie":
            found: bytes | None = find_cookie(value, cookie_name.encode())
            if found is not None:
                return found.decode("latin-1")
    return None
