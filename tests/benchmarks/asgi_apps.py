"""ASGI contenders: one application under each session middleware, and Litestar."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from tests.benchmarks import contenders, ours, web
from tests.benchmarks.data import KEY_32, SECRET
from tests.benchmarks.floor import FloorMiddleware
from tests.benchmarks.peers import label, missing
from tests.benchmarks.report import Section
from tests.benchmarks.web import Answer

FLOOR = "floor"
"""Begins the name of what is no peer: bare Fernet and msgpack in a middleware, see floor.py."""

Scope = MutableMapping[str, Any]
Served = Callable[..., Awaitable[None]]


class AsgiApplication:
    """An ASGI application driven in process, without a server.

    `elsewhere` is the same on another node, which makes cookies that this one has not seen; None
    for those that remember none.
    """

    elsewhere: AsgiApplication | None = None

    def __init__(self, name: str, app: Served, loop: asyncio.AbstractEventLoop, bare: str) -> None:
        self.name = name
        self.has_session = bare != name
        self.bare = bare
        self._app = app
        self._loop = loop

    def scope(self, path: str, cookie: str) -> Scope:
        """A fresh HTTP scope, as a server makes one a request."""
        path, _, query = path.partition("?")
        headers = [
            (b"host", b"example.org"),
            (b"accept", b"text/html"),
            (b"user-agent", b"benchmark"),
        ]
        if cookie:
            headers.append((b"cookie", cookie.encode("latin-1")))
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "https",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": headers,
            "client": ("127.0.0.1", 50_000),
            "server": ("127.0.0.1", 443),
            "state": {},
        }

    async def serve(self, scope: Scope) -> None:
        """Serve one request and drop the answer: what is timed."""
        await self._app(scope, _receive, _drop)

    def ask(self, path: str, cookie: str) -> Answer:
        """Serve one request and keep the answer."""
        messages: list[MutableMapping[str, Any]] = []

        async def send(message: MutableMapping[str, Any]) -> None:
            messages.append(message)

        self._loop.run_until_complete(self._app(self.scope(path, cookie), _receive, send))
        headers = [
            value.decode("latin-1")
            for message in messages
            for name, value in message.get("headers", [])
            if bytes(name).lower() == b"set-cookie"
        ]
        body = b"".join(message.get("body", b"") for message in messages)
        return Answer(body.decode(), web.cookies_of(headers))


async def _receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _drop(message: MutableMapping[str, Any]) -> None:
    del message


def applications(section: Section, loop: asyncio.AbstractEventLoop) -> list[AsgiApplication]:
    """Every ASGI contender that is installed, each after its bare application."""
    found: list[AsgiApplication] = []
    if not missing(section, "starlette", "itsdangerous"):
        found += _starlette_style(section, loop)
    if not missing(section, "litestar"):
        found += _litestar(loop)
    return found


def _starlette_style(section: Section, loop: asyncio.AbstractEventLoop) -> list[AsgiApplication]:
    from starlette.middleware.sessions import SessionMiddleware

    bare = label("starlette", "bare")
    plain = starlette_endpoint(None)
    found = [
        AsgiApplication(bare, plain, loop, bare),
        AsgiApplication(
            label("starlette", "SessionMiddleware (signed)"),
            SessionMiddleware(plain, SECRET),
            loop,
            bare,
        ),
    ]
    if not missing(section, "starsessions"):
        from starsessions import CookieStore, load_session
        from starsessions import SessionMiddleware as StarSessions

        wrapped = StarSessions(
            starlette_endpoint(load_session), store=CookieStore(SECRET), lifetime=1_209_600
        )
        found.append(AsgiApplication(label("starsessions", "(signed)"), wrapped, loop, bare))
    codec = contenders.bare_fernet()
    found.append(
        AsgiApplication(f"{FLOOR} ({codec.name})", FloorMiddleware(plain, codec), loop, bare)
    )
    for kind in ("memory", "sqlite"):
        node = ours.node(section, kind)
        if node is not None:
            name = ours.label(f"({kind} list)")
            own, other = (
                AsgiApplication(name, ours.asgi_middleware(plain, connector), loop, bare)
                for connector in (node.own, node.other)
            )
            own.elsewhere = other
            found.append(own)
    return found


def starlette_endpoint(load: Callable[[Any], Awaitable[None]] | None) -> Served:
    """The application on Starlette's Request and Response; `load` is awaited before a touch."""
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse

    async def endpoint(scope: Scope, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        body = "plain"
        if scope["path"] != "/plain":
            if load is not None:
                await load(request)
            session = request.session
            if scope["path"] == "/read":
                body = web.read(session)
            elif scope["path"] == "/write":
                body = web.write(session)
            else:
                web.fill(session, scope["query_string"].decode())
        await PlainTextResponse(body)(scope, receive, send)

    return endpoint


def _litestar(loop: asyncio.AbstractEventLoop) -> list[AsgiApplication]:
    from litestar import Litestar, MediaType, Request, get
    from litestar.middleware.session.client_side import CookieBackendConfig

    # Litestar reads annotations at run time; postponed ones it finds in module globals only.
    globals().setdefault("Request", Request)

    @get("/plain", media_type=MediaType.TEXT)
    async def plain(request: Request[Any, Any, Any]) -> str:
        return "plain"

    @get("/read", media_type=MediaType.TEXT)
    async def read(request: Request[Any, Any, Any]) -> str:
        return web.read(request.session)

    @get("/write", media_type=MediaType.TEXT)
    async def write(request: Request[Any, Any, Any]) -> str:
        return web.write(request.session)

    @get("/fill", media_type=MediaType.TEXT)
    async def fill(request: Request[Any, Any, Any]) -> str:
        web.fill(request.session, request.scope["query_string"].decode())
        return "filled"

    bare = label("litestar", "bare")
    config = CookieBackendConfig(secret=KEY_32)
    handlers = [plain, read, write, fill]
    return [
        AsgiApplication(
            bare, Litestar(handlers, openapi_config=None, logging_config=None), loop, bare
        ),
        AsgiApplication(
            label("litestar", "client-side sessions (AES-GCM)"),
            Litestar(
                handlers, openapi_config=None, logging_config=None, middleware=[config.middleware]
            ),
            loop,
            bare,
        ),
    ]
