"""Whether a response is still to come, and what can't be done once it has started."""

from __future__ import annotations

from enum import Enum

from .._log import logger
from ..errors import SessionError


class Phase(Enum):
    """Whether a response is still to come."""

    ALONE = "no adapter has said that there will be one"
    OPEN = "still to come: what is queued is carried out before it starts"
    CLOSED = "has started: no cookie can go out any more"

    def refuse_if_closed(self) -> None:
        """Refuse what would kill the browser's cookie when no other can reach it any more.

        Raises:
            SessionError: the response has started.
        """
        if self is Phase.CLOSED:
            raise SessionError(
                "The response has started, so no cookie can go out and the session can't be ended "
                "or saved from here. Do it before the response starts or a websocket is accepted; "
                "to log out from here, call connector.delete_session(session.session_id) or await "
                "connector.adelete_session(session.session_id)."
            )


def write_lost(key: object, *, debug: bool) -> None:
    """Say that a write comes too late to be saved.

    Args:
        debug: raise; else it is logged.

    Raises:
        SessionError: in debug and testing modes.
    """
    lost = (
        f"session[{key!r}] was written after the response had started: the change is lost. "
        "Write before the response starts or a websocket is accepted."
    )
    if debug:
        raise SessionError(lost)
    logger.error("%s", lost)
