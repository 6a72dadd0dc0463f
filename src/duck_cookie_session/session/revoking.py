"""Revoking: one session, every one of a subject, all but one, or all."""

from __future__ import annotations

from ..errors import InvalidArgument, Reason, SessionError, TokenRefused
from ..revocation.base import LAST_EPOCH, Standing
from ..token.format import id_from_text, open_token
from .judging import Opened
from .rules import Rules
from .steps import CompareAndRaise, End, Lookup, Raise, Steps
from .values import subject_text


def end_steps(rules: Rules, session_id: bytes) -> Steps[None]:
    """End one session for good."""
    yield End(rules.scopes.session(session_id))
    note_ended(rules, session_id)


def end_group_steps(rules: Rules, scope: bytes) -> Steps[None]:
    """End a group for good."""
    yield End(scope)
    note_revoked(rules, scope)


def raise_steps(rules: Rules, scope: bytes, subject: str | None = None) -> Steps[int]:
    """Refuse every token of a subject, of a group, or all tokens, issued so far.

    Args:
        subject: the one that the scope speaks of, if it does.

    Raises:
        SessionError: the scope stands at the last epoch, so that nothing was refused.
    """
    epoch: int = yield Raise(scope)
    if epoch == LAST_EPOCH and scope == rules.scopes.everything:
        raise SessionError(
            "Not every session is refused: the list's number for everything can't rise any more. "
            "Only a token made by hand with one of your secrets brings that about. Replace the "
            "secrets, then run `duck-cookie-session new-birth`, which refuses every session."
        )
    note_revoked(rules, scope, subject)
    return epoch


def delete_subject_steps(rules: Rules, subject: object) -> Steps[int]:
    """Refuse every token of a subject issued so far.

    Raises:
        InvalidArgument: it is neither str, int nor UUID.
    """
    text = subject_text(subject)
    if text is None:
        raise InvalidArgument("A subject is None; it must be a str, an int or a UUID.")
    return (yield from raise_steps(rules, rules.scopes.subject(text), text))


def note_ended(rules: Rules, session_id: bytes, subject: str | None = None) -> None:
    """Count and tell that a session was ended."""
    rules.stats.count("revoked")
    if rules.events is not None:
        rules.events.ended(session_id, subject)


def note_revoked(
    rules: Rules, scope: bytes, subject: str | None = None, session_id: bytes | None = None
) -> None:
    """Count and tell that a scope was raised."""
    rules.stats.count("revoked")
    if rules.events is not None:
        rules.events.revoked(scope, subject=subject, session_id=session_id)


def judge_steps(rules: Rules, base: Opened) -> Steps[Standing]:
    """Judge a loaded token by what stands now.

    Raises:
        SessionRevoked: it is refused.
    """
    standing: Standing = yield Lookup(base.scopes, base.claims.checkpoint)
    reason = rules.judge(base, standing)
    if reason is not None:
        raise (yield from rules.revoked_steps(reason, base))
    return standing


def supersede_steps(rules: Rules, base: Opened) -> Steps[Opened]:
    """Refuse every token of the session issued so far; of two at once, one wins."""
    superseding = yield from claim_steps(rules, base, (yield from judge_steps(rules, base)))
    note_revoked(rules, base.session_scope, base.claims.subject, base.claims.session_id)
    return superseding


def claim_steps(rules: Rules, base: Opened, standing: Standing) -> Steps[Opened]:
    """Raise the epoch of a session that was just judged by what stands, and adopt it.

    Raises:
        SessionRevoked: another request was faster.
    """
    expected = standing.epochs[base.scopes.index(base.session_scope)]
    raised: int | None = yield CompareAndRaise(base.session_scope, expected)
    if raised is None:
        raise rules.revoked(Reason.SUPERSEDED, base.claims.session_id)
    return base.adopting(session=raised)


def raise_own_subject_steps(rules: Rules, base: Opened, standing: Standing) -> Steps[Opened]:
    """Refuse every token of the session's subject issued so far; the session adopts the epoch.

    Args:
        standing: what the session was judged by.

    Raises:
        SessionRevoked: it was itself revoked by then; nothing was raised.
    """
    while True:
        expected = standing.epochs[base.scopes.index(base.subject_scope)]
        raised: int | None = yield CompareAndRaise(base.subject_scope, expected)
        if raised is not None:
            note_revoked(rules, base.subject_scope, base.claims.subject)
            return base.adopting(subject=raised)
        # Another session of the subject did the same; or an old entry was purged.
        standing = yield from judge_steps(rules, base)


def session_id_of(rules: Rules, token_or_id: object) -> bytes | None:
    """The session id that a token, an expired one too, or an id as text speaks of.

    Raises:
        InvalidArgument: it is neither text nor None.
    """
    if token_or_id is None:
        return None
    if not isinstance(token_or_id, str):
        raise InvalidArgument(
            "A session is named by its token or its id, which are text; this is a "
            f"{type(token_or_id).__name__}."
        )
    session_id = id_from_text(token_or_id)
    if session_id is not None:
        return session_id
    try:
        return open_token(rules.ring, token_or_id)[0].session_id
    except TokenRefused:
        return None
