"""What the ASGI middleware answers to a browser that binds sessions to its device."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from .._device_endpoints import answer_steps
from ..session.request import RequestSession

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


async def answer_device(request: RequestSession, scope: Scope, send: Send) -> bool:
    """Answer what a browser that binds sessions asks; whether that was so."""
    header = functools.partial(_header, scope)
    if scope["type"] != "http":
        request.cookies = header("cookie") or ""
        return False
    steps = answer_steps(request, scope["method"], scope["path"], header)
    answer = None if steps is None else await request.connector.arun(steps)
    if answer is None:
        return False
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body.encode()})
    return True


def _header(scope: Scope, name: str) -> str | None:
    """A header of the request by its lower-case name; cookies may come in several (RFC 9113)."""
    wanted = name.encode()
    found: list[bytes] = [value for key, value in scope["headers"] if key == wanted]
    return (b"; " if name == "cookie" else b", ").join(found).decode("latin-1") if found else None
