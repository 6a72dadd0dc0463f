"""How recently a session's user proved who they are."""

from __future__ import annotations

from datetime import datetime

from ..errors import InvalidArgument, SessionError
from .ending import cycle
from .overlay import Data
from .request import RequestSession
from .values import as_datetime


def authenticated_at(request: RequestSession, data: Data) -> datetime | None:
    """When the user last proved who they are, aware; None if nobody is logged in."""
    at_ms = _authenticated_ms(request, data)
    return None if at_ms is None else as_datetime(at_ms)


def is_fresh(request: RequestSession, data: Data, seconds: float) -> bool:
    """Whether that was less than `seconds` ago.

    Raises:
        InvalidArgument: `seconds` is no number from 0 on.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise InvalidArgument(
            f"is_fresh() takes seconds, as is_fresh(300); this is of type {type(seconds).__name__}."
        )
    if not seconds >= 0:
        raise InvalidArgument(f"is_fresh() takes seconds from 0 on, not {seconds}.")
    at_ms = _authenticated_ms(request, data)
    return at_ms is not None and request.rules.now_ms() - at_ms < seconds * 1000


def reauthenticate(request: RequestSession, data: Data) -> None:
    """Note that the user has just proved again who they are, and draw a new id.

    Raises:
        SessionError: nobody is logged in, or the response has started.
    """
    request.phase.refuse_if_closed()
    if _authenticated_ms(request, data) is None or request.base is None:
        raise SessionError(
            "Nobody is logged in, or only since this request. A login notes the time by itself; "
            "call reauthenticated() in a later request, once the user has given the password again."
        )
    cycle(request, data)
    request.authenticated_ms = request.rules.now_ms() // 1000 * 1000


def _authenticated_ms(request: RequestSession, data: Data) -> int | None:
    request.load_into(data)
    base, rules = request.base, request.rules
    subject = rules.subject_of(data)
    if subject is None and (base is None or rules.subject_key is not None):
        return None
    if request.authenticated_ms is not None:
        return request.authenticated_ms
    if base is None or subject != base.claims.subject:  # logs in just now
        return rules.now_ms()
    authenticated_ms = base.claims.authenticated_ms
    return base.claims.created_ms if authenticated_ms is None else authenticated_ms
