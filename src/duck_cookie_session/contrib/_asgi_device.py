"""What the ASGI middleware answers to a browser that binds sessions to its device."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from .._device_endpoints import HEADERS, answer_steps
from ..session.request import RequestSession

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_LOOKED_AT = {name.encode(): name for name in HEADERS}


async def answer_device(request: RequestSession, scope: Scope, send: Send) -> bool:
    """Answer what a browser that binds sessions asks; whether that was so."""
    headers = _headers(scope)
    if scope["type"] != "http":
        request.cookies = headers.get("cookie", "")
        return False
    steps = answer_steps(request, scope["method"], scope["path"], headers.get)
    answer = None if steps is None else await request.connector.arun(steps)
    if answer is None:
        return False
    sent = [(name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": sent})
    await send({"type": "http.response.body", "body": answer.body.encode()})
    return True


def _headers(scope: Scope) -> dict[str, str]:
    """The headers that are looked at; cookies may come in several (RFC 9113 section 8.2.3)."""
    found: dict[str, str] = {}
    for key, value in scope["headers"]:  # once: each request comes here
        name = _LOOKED_AT.get(key)
        if name is not None:
            text = value.decode("latin-1")
            if name in found:
                text = found[name] + ("; " if name == "cookie" else ", ") + text
            found[name] = text
    return found
