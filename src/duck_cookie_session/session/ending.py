"""Ending: what a request does to its own session, and to those of its subject."""

from __future__ import annotations

import functools

from ..errors import Reason, SessionError, SessionRevoked
from .judging import Opened, Refusal
from .overlay import Data
from .planning import planned_id
from .request import RequestSession
from .revoking import (
    claim_steps,
    end_steps,
    judge_steps,
    raise_own_subject_steps,
    raise_steps,
    supersede_steps,
)
from .sealing import refuse_without_room
from .steps import Steps

# A session may live on under a newer token: delete_other_sessions() spares the one that calls it.
_ENDED_ALL_THE_SAME = frozenset(
    {Reason.EXPIRED, Reason.TOO_OLD, Reason.SUPERSEDED, Reason.SUBJECT_REVOKED, Reason.UNPROVEN}
)
_REVOKED = frozenset(
    {
        Reason.ENDED,
        Reason.SUPERSEDED,
        Reason.SUBJECT_REVOKED,
        Reason.GROUP_REVOKED,
        Reason.ALL_REVOKED,
        Reason.OTHER_LIST,
        Reason.FORGOTTEN,
        Reason.UNPROVEN,
    }
)


def id_to_end(request: RequestSession) -> bytes | None:
    """The session that a logout ends: also by a token that was refused while a newer one lives."""
    if request.base is not None:
        return request.base.claims.session_id
    if isinstance(request.found, Refusal) and request.found.reason in _ENDED_ALL_THE_SAME:
        return request.found.session_id
    return None


def clear(request: RequestSession, data: Data) -> None:
    """End the session, then empty the contents."""
    request.phase.refuse_if_closed()
    request.load_into(data)
    with request.lock:
        session_id = id_to_end(request)
        if session_id is not None:
            request.carry_out(functools.partial(end_steps, request.rules, session_id))
        request.forget(data)


async def aclear(request: RequestSession, data: Data) -> None:
    """`clear`, awaitable: revoked when this returns."""
    request.phase.refuse_if_closed()
    await request.acheck()
    request.load_into(data)
    session_id = id_to_end(request)
    if session_id is not None:
        await request.arun(end_steps(request.rules, session_id))
    request.forget(data)


def delete(request: RequestSession, data: Data, token_or_id: str | None) -> None:
    """Revoke another session. None, or a token or id of this one, means `clear`."""
    found = _other(request, data, token_or_id)
    if found is None:
        clear(request, data)
    elif found:
        request.carry_out(functools.partial(end_steps, request.rules, found))


async def adelete(request: RequestSession, data: Data, token_or_id: str | None) -> None:
    """`delete`, awaitable."""
    await request.acheck()
    found = _other(request, data, token_or_id)
    if found is None:
        await aclear(request, data)
    elif found:
        await request.arun(end_steps(request.rules, found))


def _other(request: RequestSession, data: Data, token_or_id: str | None) -> bytes | None:
    """The id of another session than this one; None for this one, b"" for no session."""
    if not token_or_id or token_or_id == request.token:
        return None
    request.load_into(data)
    found = request.connector.session_id_of(token_or_id)
    return None if found is not None and found == id_to_end(request) else found or b""


def cycle(request: RequestSession, data: Data) -> None:
    """Draw the id that the session gets at its save."""
    request.phase.refuse_if_closed()
    request.load_into(data)
    with request.lock:
        request.cycled = request.base is not None
        request.drawn = None
        planned_id(request, request.rules.subject_of(data))


def supersede(request: RequestSession, data: Data) -> None:
    """Refuse every token of this session issued so far."""
    base = _to_supersede(request, data)
    if base is not None:
        request.adopt(request.run(supersede_steps(request.rules, base)))


async def asupersede(request: RequestSession, data: Data) -> None:
    """`supersede`, awaitable."""
    await request.acheck()
    base = _to_supersede(request, data)
    if base is not None:
        request.adopt(await request.arun(supersede_steps(request.rules, base)))


def _to_supersede(request: RequestSession, data: Data) -> Opened | None:
    """What supersede() is about; None for a visitor, who has no token to be refused.

    Raises:
        SessionRevoked: another request won before this one even loaded.
        SessionTooLarge: the session leaves no room for its next token.
    """
    request.phase.refuse_if_closed()
    request.load_into(data)
    found = request.found
    if request.base is None and isinstance(found, Refusal) and found.reason in _REVOKED:
        raise request.rules.revoked(found.reason, found.session_id)
    if request.base is not None:
        refuse_without_room(request.rules, request.base)
    return request.base


def delete_other_sessions(request: RequestSession, data: Data) -> None:
    """Revoke every other session of the subject."""
    subject = _subject_to_end(request, data)
    request.carry_out(functools.partial(_delete_others_steps, request, subject))


async def adelete_other_sessions(request: RequestSession, data: Data) -> None:
    """`delete_other_sessions`, awaitable."""
    await request.acheck()
    await request.arun(_delete_others_steps(request, _subject_to_end(request, data)))


def _subject_to_end(request: RequestSession, data: Data) -> str:
    """Whose other sessions delete_other_sessions() is about.

    Raises:
        SessionError: the session has no subject, or the response has started.
    """
    request.phase.refuse_if_closed()
    request.load_into(data)
    rules = request.rules
    subject = rules.subject_of(data)
    if subject is None:
        raise SessionError(
            "The session has no subject: nobody is logged in under the key "
            f"{rules.subject_key!r} (SESSION_SUBJECT_KEY)."
        )
    return subject


def _delete_others_steps(request: RequestSession, subject: str) -> Steps[None]:
    """The steps of `delete_other_sessions`.

    First the session claims itself, so that of this and whatever else supersedes or moves it at
    the same time one goes on, and the other is told. If it is revoked by then, the others are ended
    all the same: whoever was faster may be a thief.
    """
    rules, base = request.rules, request.base
    if base is None or base.claims.subject != subject:
        # Logged in by this very request: the save that is due takes the new epoch along.
        yield from raise_steps(rules, rules.scopes.subject(subject), subject)
        return
    try:
        standing = yield from judge_steps(rules, base)
        base = yield from claim_steps(rules, base, standing)
        request.adopt(base)  # whatever comes now, the browser is owed another token
        request.adopt((yield from raise_own_subject_steps(rules, base, standing)))
    except SessionRevoked:
        yield from raise_steps(rules, base.subject_scope, subject)
        raise
