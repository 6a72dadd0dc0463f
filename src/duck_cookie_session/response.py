"""The cookie: found in a request, and what a response must carry.

The rules are those of RFC 6265bis (attributes, prefixes, sizes) and RFC 9111 (Vary and no-store).
"""

from __future__ import annotations

from typing import AnyStr

from ._log import logger
from .errors import (
    InvalidArgument,
    RevocationListUnavailable,
    SessionExpired,
    SessionRevoked,
    SessionSerializationError,
    SessionTooLarge,
)
from .session.state import SessionState
from .session.steps import Steps
from .settings import SessionSettings

UNAVAILABLE_HEADERS = (
    ("Retry-After", str(RevocationListUnavailable.RETRY_AFTER)),
    ("Cache-Control", "no-store"),
    ("Content-Type", "text/plain; charset=utf-8"),
)
UNAVAILABLE_BODY = "The session can't be checked right now. Try again in a moment.\n"
"""What a 503 says when the revocation list is unreachable; it leaves the cookie alone."""


def find_cookie(header: AnyStr, name: AnyStr) -> AnyStr | None:
    """The value of one cookie in a `Cookie` header, as it stands there; None if it is not there.

    Of several with one name the first counts: browsers send the one with the longest path first
    (RFC 6265 section 5.4). Takes text or bytes; time grows with the header's length only.
    """
    if isinstance(header, str):
        equals, semicolon, blanks = "=", ";", " \t"
    else:
        equals, semicolon, blanks = b"=", b";", b" \t"
    wanted = name + equals
    at = header.find(wanted)
    while at >= 0:
        before = at
        while before and header[before - 1 : before] in (blanks[:1], blanks[1:]):
            before -= 1
        if not before or header[before - 1 : before] == semicolon:
            end = header.find(semicolon, at)
            value = header[at + len(wanted) : end if end >= 0 else None]
            return value.strip(blanks)
        at = header.find(wanted, at + len(wanted))
    return None


def set_cookie(settings: SessionSettings, token: str, max_age: int | None) -> str:
    """The value of a `Set-Cookie` header.

    Args:
        token: "" deletes the cookie.
        max_age: seconds; None for a cookie that goes with the browser. Not used for "".
    """
    if not token:
        lifetime = "; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
    else:
        lifetime = "" if max_age is None else f"; Max-Age={max_age}"
    return (
        f"{settings.cookie_name}={token}; Path={settings.cookie_path}{lifetime}"
        f"{settings.cookie_attributes}"
    )


def merge_vary(existing: str | None) -> str:
    """A `Vary` header with Cookie added, unless it or * stands there already."""
    if not existing:
        return "Cookie"
    names = [name.strip() for name in existing.split(",") if name.strip()]
    if not any(name == "*" or name.lower() == "cookie" for name in names):
        names.append("Cookie")
    return ", ".join(names)


def session_headers(
    session: SessionState, *, failed: bool = False, vary: str | None = None
) -> list[tuple[str, str]]:
    """Save the session if that is due, and give what the response must carry.

    `Set-Cookie` with the new token or deleting the old one, `Vary` if the session was accessed,
    `Cache-Control: no-store` with a cookie; empty where nothing is due. Add the first to what is
    there; let the others replace it. A session that can't be saved (too large, revoked meanwhile,
    ...) is logged, with its heaviest keys, and the browser keeps the cookie that it has.

    Args:
        failed: the request ended in status 500 or above: what it changed is not saved, what it
            revoked is revoked and the deleting cookie goes out.
        vary: the `Vary` header that the response has; Cookie is added to it.

    Raises:
        RevocationListUnavailable: answer 503 with `Retry-After`, without these headers.
        SessionError: in a coroutine with a list across the network; await asession_headers().
    """
    if _due(session, failed):
        session.run(_respond_steps(session, failed))
    return _headers(session, vary)


async def asession_headers(
    session: SessionState, *, failed: bool = False, vary: str | None = None
) -> list[tuple[str, str]]:
    """`session_headers`, awaitable."""
    if session.accessed and not session.loaded:  # touched in vain: the list did not answer
        await session.acheck()
    if _due(session, failed):
        await session.arun(_respond_steps(session, failed))
    return _headers(session, vary)


def only_looked(session: SessionState) -> bool:
    """Whether the response of a session that was accessed needs nothing but `Vary`."""
    if not session.loaded or session.unavailable or session.outgoing is not None:
        return False
    return not session.needs_update()


def _due(session: SessionState, failed: bool) -> bool:
    if failed and session.unavailable:
        raise RevocationListUnavailable("The request failed because the list did not answer.")
    return session.accessed and (failed or session.needs_update())


def _respond_steps(session: SessionState, failed: bool) -> Steps[None]:
    try:
        if failed:
            yield from session.drop_steps()
            return
        if session.has_pending:
            yield from session.pending_steps()
            if not session.needs_update():  # what a visitor revokes is no reason for a cookie
                return
        yield from session.save_steps()
    except (SessionTooLarge, SessionSerializationError, InvalidArgument) as error:
        logger.error("Session not saved, the browser keeps its cookie: %s", error)
    except (SessionRevoked, SessionExpired) as error:
        logger.info("Session not saved: %s", error)


def _headers(session: SessionState, vary: str | None) -> list[tuple[str, str]]:
    if not session.accessed:
        return []
    headers: list[tuple[str, str]] = []
    outgoing = session.outgoing
    if outgoing is not None:
        settings = session.session_storage_connector.settings
        headers.append(("Set-Cookie", set_cookie(settings, outgoing, session.cookie_max_age)))
        headers.append(("Cache-Control", "no-store"))
    headers.append(("Vary", merge_vary(vary)))
    return headers
