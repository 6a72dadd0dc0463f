"""An application whose sessions the library binds to the browser; run by uvicorn over https.

It stands on what SITE_FRAMEWORK names, "asgi" or "django", has a clock that moves on by /forward,
and tells at /saw what arrived: path, and what it was answered with.
"""

from __future__ import annotations

import json
import os
from typing import Any

from duck_cookie_session import MemoryRevocationList, SessionStorageConnector
from duck_cookie_session.testing import Clock
from tests.device.process import django_app
from tests.device.sites import NAME, PAGE, asgi_app
from tests.helpers import make_settings

_clock = Clock()
_saw: list[tuple[str, int]] = []
_bound = {"asgi": asgi_app, "django": django_app}[os.environ["SITE_FRAMEWORK"]](
    SessionStorageConnector(
        lambda: MemoryRevocationList(clock=_clock),
        settings=make_settings(cookie_name=NAME, device_binding="offer"),
        clock=_clock,
    )
)


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
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
