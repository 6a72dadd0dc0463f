"""The one decision: what a response needs of its session. Whoever wants to know asks here."""

from __future__ import annotations

from ..errors import InvalidArgument, SessionSerializationError
from ..token.format import id_to_text
from .judging import Refusal
from .overlay import Data
from .plan import DELETE, NOTHING, Need, Plan
from .request import RequestSession
from .values import new_session_id


def planned_id(request: RequestSession, subject: str | None) -> bytes:
    """The session id that the next save gives: a new one where somebody logs in or out.

    Args:
        subject: the one that stands in the data.
    """
    base = request.base
    if base is not None and subject == base.claims.subject and not request.cycled:
        return base.claims.session_id
    if request.drawn is None or request.drawn[1] != subject:
        request.drawn = new_session_id(), subject
    return request.drawn[0]


def session_id_text(request: RequestSession, data: Data) -> str | None:
    """The id of the session as text, also before the save; None for a visitor who holds nothing."""
    request.load_into(data)
    if request.base is None and not dict.__len__(data):
        return None
    return id_to_text(planned_id(request, request.rules.subject_of(data)))


def planned_expiry_ms(request: RequestSession) -> int:
    """When the session expires, milliseconds since 1970: as saved, or as asked for since."""
    base, rules = request.base, request.rules
    if base is not None and request.expiry is None:
        return base.claims.expires_ms
    now_ms = rules.now_ms()
    created_ms = now_ms if base is None else base.claims.created_ms
    return rules.expires_ms(request.expiry or rules.default_expiry, created_ms, now_ms)


def make_plan(request: RequestSession, data: Data, *, asked: bool = False) -> Plan:
    """Decide what the response needs. Packs at most once, and only what may have changed.

    Args:
        asked: a save was asked for, so that a token is needed whether or not it is due.

    Raises:
        SessionSerializationError, InvalidArgument: a value or the subject can't be saved.
    """
    if not request.loaded:
        request.load_into(data)
    base, rules = request.base, request.rules
    empty = not dict.__len__(data)
    if request.ended and empty:
        return DELETE
    if base is None and request.found is not None and is_quiet(request, data):
        return NOTHING
    packed = request.changed(data) if request.written or request.exposed else None
    need = Need.TOKEN
    if base is None:
        if not asked and (packed is None or empty):  # a visitor gets none for a mere look
            return NOTHING
    elif packed is not None:
        if empty and not asked:
            # A session that never had a subject was nobody's: nothing is worth an entry.
            ends = rules.subject_key is None or base.claims.subject is not None
            return Plan(Need.DELETE, ends_loaded=ends)
    elif (
        not request.owed
        and not request.cycled
        and request.expiry is None
        and request.browser_length is None
    ):
        if not asked and not rules.due_for_reissue(base):
            return NOTHING
        need = Need.REISSUE
    subject = rules.subject_of(data)
    return Plan(
        need,
        request.packed if packed is None else packed,
        subject,
        planned_id(request, subject),
        rules.groups_of(data) if rules.group_keys else (),
        request.expiry,
        request.browser_length,
        request.authenticated_ms,
        True,
        request.owed,
    )


def needs_update(request: RequestSession, data: Data) -> bool:
    """Whether the response has to carry a cookie, or revocations wait for it."""
    if not request.accessed:
        return False
    if request.pending:
        return True
    try:
        return make_plan(request, data).need is not Need.NOTHING
    except (SessionSerializationError, InvalidArgument):
        return True  # saving says what is wrong


def is_quiet(request: RequestSession, data: Data) -> bool:
    """Whether the cookie was that of a session that ended moments ago, and nobody logs in."""
    found = request.found
    if not isinstance(found, Refusal) or not found.quiet_until_ms:
        return False
    rules = request.rules
    if rules.subject_key is None or rules.now_ms() >= found.quiet_until_ms:
        return False
    return dict.get(data, rules.subject_key) is None
