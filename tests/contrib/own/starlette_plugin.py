"""pytest plugin: Starlette's own session tests, with this library's middleware in its place.

Its tests use secrets of a few bytes, so the bound of 32 is lowered here, and they look for the
cookie's attributes in small letters (RFC 6265 section 5.2 compares them in any), so they get them.
"""

from __future__ import annotations

from typing import Any

from starlette.middleware import sessions

from duck_cookie_session import (
    MemoryRevocationList,
    SessionSettings,
    SessionStorageConnector,
    _checks,
)
from duck_cookie_session.contrib.asgi import AsgiSession, CookieSessionMiddleware

_checks.MIN_SECRET_BYTES = 1
revocations = MemoryRevocationList()


def connector(**given: Any) -> SessionStorageConnector:
    made = SessionSettings(**{"secret_keys": ("example",), "cookie_secure": False, **given})
    return SessionStorageConnector(lambda: revocations, settings=made)


def middleware(app: Any, secret_key: str, **given: Any) -> Any:
    """Ours, called as Starlette's."""
    max_age = given.get("max_age", 14 * 24 * 3600)
    made = connector(
        secret_keys=(secret_key,),
        cookie_name=given.get("session_cookie", "session"),
        cookie_path=given.get("path", "/"),
        cookie_samesite=given.get("same_site", "lax"),
        cookie_secure=given.get("https_only", False),
        cookie_domain=given.get("domain"),
        cookie_partitioned=given.get("partitioned", False),
        cookie_age=3600 if max_age is None else max_age,
        expire_at_browser_close=max_age is None,
    )
    inner = CookieSessionMiddleware(app, connector=made)

    async def served(scope: Any, receive: Any, send: Any) -> None:
        async def lowered(message: Any) -> None:
            headers = message.get("headers", ())
            await send({**message, "headers": [(n, _lowered(n, v)) for n, v in headers]})

        await inner(scope, receive, lowered)

    return served


def _lowered(name: bytes, value: bytes) -> bytes:
    if name != b"set-cookie":
        return value
    names = (b"Path=", b"Domain=", b"Secure", b"HttpOnly", b"SameSite", b"Partitioned")
    for word in names:
        value = value.replace(b"; " + word, b"; " + word.lower())
    return value


def session(data: dict[str, Any]) -> AsgiSession:
    """Ours, made from data as Starlette's."""
    made = connector()
    return AsgiSession(made.set_session(None, data), connector=made)


sessions.SessionMiddleware = middleware  # type: ignore[misc]  # the point of this plugin
sessions.Session = session  # type: ignore[misc]  # the point of this plugin
