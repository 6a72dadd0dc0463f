"""An ASGI application whose sessions the library binds to the browser; run by uvicorn over https.

It has a clock that moves on by /forward, and tells at /saw what arrived: path, and what it was
answered with.
"""

from __future__ import annotations

import json
from typing import Any

from duck_cookie_session import MemoryRevocationList, SessionSettings, SessionStorageConnector
from duck_cookie_session.contrib.asgi import CookieSessionMiddleware
from duck_cookie_session.testing import Clock

_clock = Clock()
_saw: list[tuple[str, int]] = []
PAGE = "<!doctype html><link rel=icon href='data:,'><p>"


async def _application(scope: Any, receive: Any, send: Any) -> None:
    session, path = scope["session"], scope["path"]
    headers = [(b"content-type", b"text/html; charset=utf-8")]
    status = 200
    if path == "/login":
        session["user"] = "ada"
        status, headers = 303, [(b"location", b"/home")]
    elif path == "/logout":
        session.clear()
    body = PAGE + json.dumps([session.get("user"), session.device_bound])
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body.encode()})


_bound = CookieSessionMiddleware(
    _application,
    connector=SessionStorageConnector(
        lambda: MemoryRevocationList(clock=_clock),
        settings=SessionSettings(
            secret_keys=("a secret of forty characters, used in tests",),
            cookie_name="__Host-session",
            subject_key="user",
            device_binding="offer",
        ),
        clock=_clock,
    ),
)


async def application(scope: Any, receive: Any, send: Any) -> None:
    path = scope["path"]
    if path == "/forward":
        _clock.now += int(scope["query_string"])
    if path in ("/forward", "/saw", "/link"):
        body = json.dumps(_saw)
        if path == "/link":
            body = PAGE + f'<a href="{scope["query_string"].decode()}">Link</a>'
        headers = [(b"content-type", b"text/html; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body.encode()})
        return

    async def noting(message: Any) -> None:
        if message["type"] == "http.response.start":
            _saw.append((path, message["status"]))
        await send(message)

    await _bound(scope, receive, noting)
