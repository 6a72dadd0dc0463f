"""The least that an encrypted session can cost: Fernet and msgpack around an ASGI application.

No expiry, no revocation, no care for odd input: not to be used, only to be measured against.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from tests.benchmarks.contenders import Codec

NAME = b"session="
END = "; Path=/; HttpOnly; SameSite=Lax; Secure"
App = Callable[..., Awaitable[None]]


class Floor(dict[str, Any]):
    """A session that is decrypted when it is first asked for, and knows whether it was written."""

    written = False
    header = b""

    def mark_accessed(self) -> None:
        """What Starlette calls for `request.session`."""

    def __setitem__(self, key: str, value: Any) -> None:
        self.written = True
        super().__setitem__(key, value)

    def update(self, *given: Any, **more: Any) -> None:
        """As dict's, noticed."""
        self.written = True
        super().update(*given, **more)


class FloorMiddleware:
    """Decrypt the cookie when the session is read, encrypt it when it was written."""

    def __init__(self, app: App, codec: Codec) -> None:
        self._app = app
        self._codec = codec

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """Serve one request."""
        session = Floor()
        for name, value in scope["headers"]:
            if name == b"cookie" and value.startswith(NAME) and scope["path"] != "/plain":
                try:
                    dict.update(session, self._codec.decode(value[len(NAME) :]))
                except Exception:  # noqa: BLE001 - any refusal means no session, as in the proof
                    break
        scope["session"] = session

        async def with_cookie(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start" and session.written:
                token = self._codec.encode(dict(session))
                cookie = NAME + token + END.encode()
                message["headers"] = [*message["headers"], (b"set-cookie", cookie)]
            await send(message)

        await self._app(scope, receive, with_cookie)
