"""What the ASGI middleware answers to a browser that binds sessions to its device."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from .._device_endpoints import Answer, answer_without_proof, endpoint_steps, may_need_answer
from ..errors import RevocationListUnavailable
from ..session.connector import SessionStorageConnector
from ..session.request import RequestSession

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


async def answer_device(
    connector: SessionStorageConnector, request: RequestSession, scope: Scope, send: Send
) -> bool:
    """Answer what a browser that binds sessions asks; whether that was so."""
    header = functools.partial(_header, scope)
    request.cookies = header("cookie") or ""
    if scope["type"] != "http":
        return False
    method = scope["method"]
    steps = endpoint_steps(connector, method, scope["path"], header)
    if steps is not None:
        answer: Answer | None = await connector.arun(steps)
    elif may_need_answer(method, header):
        try:
            await request.acheck()
        except RevocationListUnavailable:
            return False  # the application's request meets it again, and is answered 503
        answer = answer_without_proof(request, method, header)
    else:
        answer = None
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
