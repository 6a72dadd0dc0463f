"""What a response must carry for its session: the cookie, and what caches have to know."""

from __future__ import annotations

import asyncio
import sys

from ._cookie import find_cookie as find_cookie
from ._cookie import merge_vary, set_cookie
from ._log import logger
from ._uncancelled import LOST, to_the_end
from .errors import (
    InvalidArgument,
    Reason,
    RevocationListUnavailable,
    SessionError,
    SessionExpired,
    SessionRevoked,
    SessionSerializationError,
    SessionTooLarge,
)
from .session.overlay import Data
from .session.plan import NOTHING, Need
from .session.planning import make_plan
from .session.request import RequestSession
from .session.revoking import end_steps
from .session.saving import drop_steps, pending_steps, plan_steps, save_at_once, save_steps
from .session.stats import NOT_SAVED
from .session.steps import Steps
from .session.store import SessionStore

PRIVATE = ("Cache-Control", "private, no-cache")
"""Of a response that looked at the session, where its view has set none."""

NO_STORE = ("Cache-Control", "no-store")
"""Of a response that sets or deletes the cookie."""

VARY = ("Vary", "Cookie")
"""Of a response that looked at the session, where its view has set none."""

SERVER_ERROR = 500
"""From this status on a response is that of a request that failed: its changes are not saved."""

UNAVAILABLE_HEADERS = (
    ("Retry-After", str(RevocationListUnavailable.RETRY_AFTER)),
    ("Cache-Control", "no-store"),
    ("Content-Type", "text/plain; charset=utf-8"),
)
UNAVAILABLE_BODY = "The session can't be checked right now. Try again in a moment.\n"
"""What a 503 says when the revocation list is unreachable; it leaves the cookie alone."""


def session_headers(
    session: SessionStore,
    *,
    failed: bool = False,
    vary: str | None = None,
    cache_control: str | None = None,
    debug: bool = False,
) -> list[tuple[str, str]]:
    """Save the session if that is due, and give what the response must carry.

    Add `Set-Cookie`; let the others replace what the response has. Nothing is given for a session
    that nobody looked at. One that can't be saved because it was revoked meanwhile is logged, as is
    what the program got wrong (too large, not serializable); the browser keeps its cookie.

    Args:
        failed: the request ended in status 500 or above: what it changed is not saved, what it
            revoked is revoked and the deleting cookie goes out.
        vary: the `Vary` header that the response has; Cookie is added to it.
        cache_control: the `Cache-Control` header that the response has. It stays, unless a cookie
            goes out: that response is `no-store`. Without one it gets `private, no-cache`.
        debug: raise what the program got wrong; else it is logged.

    Raises:
        RevocationListUnavailable: answer 503 with `Retry-After`, without these headers.
        SessionError: in a coroutine with a list across the network; await asession_headers().
            With `debug` also what is logged otherwise.
    """
    request = session._request
    request.debug = request.debug or debug
    steps = respond_steps(request, session, failed=failed)
    if steps is not None:
        respond(request, steps)
    return headers_of(request, vary, cache_control)


async def asession_headers(
    session: SessionStore,
    *,
    failed: bool = False,
    vary: str | None = None,
    cache_control: str | None = None,
    debug: bool = False,
) -> list[tuple[str, str]]:
    """`session_headers`, awaitable."""
    request = session._request
    request.debug = request.debug or debug
    if request.accessed and not request.loaded:  # the list did not answer when it was touched
        await request.acheck()
    steps = respond_steps(request, session, failed=failed)
    if steps is not None:
        await arespond(request, steps)
    return headers_of(request, vary, cache_control)


def respond_steps(request: RequestSession, data: Data, *, failed: bool) -> Steps[None] | None:
    """What is still to be done before the response can start; None: nothing.

    The usual save is done at once.

    Raises:
        RevocationListUnavailable: the request failed because the list did not answer.
    """
    if failed and request.list_failed and not request.owed:
        raise RevocationListUnavailable("The request failed because the list did not answer.")
    if not request.accessed and not request.pending:
        return None
    if failed:
        return drop_steps(request, data)
    if request.pending:
        return _keeping_logout(request, data, _revoke_and_save_steps(request, data))
    try:
        plan = make_plan(request, data)
    except (SessionSerializationError, InvalidArgument):
        # Saving says what is wrong.
        return _keeping_logout(request, data, save_steps(request, data))
    if plan is NOTHING:
        return None
    if plan.need is Need.DELETE and request.base is None:
        request.delete_cookie(data)
        return None
    if save_at_once(request, plan):
        return None
    base = request.base
    if plan.subject is None and base is not None and base.claims.subject is not None:
        return _keeping_logout(request, data, plan_steps(request, data, plan))
    return plan_steps(request, data, plan)


def _keeping_logout(request: RequestSession, data: Data, steps: Steps[None]) -> Steps[None]:
    """Save; a logout counts though it can't be saved.

    As where the user was taken out of the session, and a message put in that is too large; or where
    a request beside it has superseded the session, which lives on under a newer token.
    """
    try:
        yield from steps
    except (SessionTooLarge, SessionSerializationError, SessionRevoked) as error:
        base, key = request.base, request.rules.subject_key
        if isinstance(error, SessionRevoked) and error.reason is not Reason.SUPERSEDED:
            raise  # it ended already
        if base is not None and base.claims.subject is not None and dict.get(data, key) is None:
            yield from end_steps(request.rules, base.claims.session_id)
            if not isinstance(error, SessionRevoked):  # else the browser may have a newer cookie
                request.delete_cookie(data)
        raise


def _revoke_and_save_steps(request: RequestSession, data: Data) -> Steps[None]:
    """First the revocations that wait: what a visitor revokes does not call for a cookie."""
    yield from pending_steps(request)
    try:
        plan = make_plan(request, data)
    except (SessionSerializationError, InvalidArgument):
        yield from save_steps(request, data)
    else:
        yield from plan_steps(request, data, plan)


def respond(request: RequestSession, steps: Steps[None]) -> None:
    """Carry out `respond_steps`; what could not be saved is logged, or raised in debug mode."""
    try:
        request.run(steps)
    except tuple(NOT_SAVED) as error:
        _note_not_saved(request, error)


async def arespond(request: RequestSession, steps: Steps[None]) -> None:
    """`respond`, awaitable."""
    try:
        await request.arun(steps)
    except tuple(NOT_SAVED) as error:
        _note_not_saved(request, error)


async def revoke_late(request: RequestSession) -> None:
    """Carry out the revocations that wait where the application did not get to its response.

    They run to their end, whatever is cancelled.

    Raises:
        RevocationListUnavailable: some were not carried out. Logged where the request was
            cancelled: nobody but the canceller sees what comes of it.
    """
    cancelled = isinstance(sys.exception(), asyncio.CancelledError)
    try:
        await to_the_end(_revoke_late(request))
    except RevocationListUnavailable as error:
        if not cancelled:
            raise
        logger.error(LOST, error)


async def _revoke_late(request: RequestSession) -> None:
    try:
        await request.arun(pending_steps(request))
    except SessionRevoked as error:
        logger.info("Session not saved: %s", error)


def _note_not_saved(request: RequestSession, error: SessionError) -> None:
    request.rules.stats.count_not_saved(error)
    if isinstance(error, (SessionRevoked, SessionExpired)):
        logger.info("Session not saved: %s", error)
    elif request.debug:
        raise error
    else:
        logger.error("Session not saved, the browser keeps its cookie: %s", error)


def headers_of(
    request: RequestSession, vary: str | None, cache_control: str | None
) -> list[tuple[str, str]]:
    """What the response carries once `respond_steps` were carried out (RFC 9111 section 5.2)."""
    if not request.accessed:
        return []
    headers: list[tuple[str, str]] = []
    if request.outgoing is not None:
        max_age = None if request.base is None else request.rules.max_age(request.base)
        cookie = set_cookie(request.connector.settings, request.outgoing, max_age)
        headers += [("Set-Cookie", cookie), NO_STORE, *request.device_headers]
    elif cache_control is None:
        headers.append(PRIVATE)
    headers.append(("Vary", merge_vary(vary)) if vary else VARY)
    return headers
