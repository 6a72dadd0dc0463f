"""Events: what happened to a session, told to a callable of the application's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from .._log import logger
from ..errors import Reason
from ..revocation.base import PREFIX_BYTES
from ..token.claims import Claims, id_to_text
from .values import as_datetime


class EventKind(Enum):
    """What happened."""

    BEGUN = "begun"
    """A session that belongs to nobody yet, or an id that took the place of another one."""
    LOGIN = "login"
    """A session of a subject began; it has an id of its own."""
    SAVED = "saved"
    """A session got a new token."""
    ENDED = "ended"
    """One session, for good: logout, or its id was changed."""
    REVOKED = "revoked"
    """Every token issued so far to a session, a subject, a group or everybody: see `scope`."""
    BOUND = "bound"
    """A session was bound to a device."""
    REFUSED = "refused"
    """A token, or a save of a session that was revoked meanwhile: see `reason`."""
    ROLLED_BACK = "rolled back"
    """The list forgot a part of its history, so everything was revoked."""


@dataclass(frozen=True)
class SessionEvent:
    """One thing that happened. It holds no token and none of the session's data.

    Attributes:
        kind: what it was.
        time: when, by the node's clock, aware.
        session_id: 22 characters; None where no single session is meant or known.
        previous_id: of BEGUN and LOGIN, the id whose place the session took.
        subject: whose session it is, as text; None for a visitor, or where it is not known.
        created, expires: of the session, aware; None where no token was made.
        scope: of REVOKED: "session", "subject", "group" or "everything".
        reason: of REFUSED.
    """

    kind: EventKind
    time: datetime
    session_id: str | None = None
    previous_id: str | None = None
    subject: str | None = None
    created: datetime | None = None
    expires: datetime | None = None
    scope: str | None = None
    reason: Reason | None = None


_SCOPES = {b"s": "session", b"u": "subject", b"g": "group", b"*": "everything"}


class Events:
    """Tells an application, after the fact, in the thread or task that did it.

    Args:
        on_event: what is called; an exception in it is logged and harms nothing.
        now_ms: the node's clock, milliseconds since 1970.
    """

    def __init__(self, on_event: Callable[..., object], now_ms: Callable[[], int]) -> None:
        self._on_event = on_event
        self._now_ms = now_ms

    def saved(self, claims: Claims, before: Claims | None) -> None:
        """A token was sealed; `before` are the claims of the one that it replaces."""
        moved = before is None or before.session_id != claims.session_id
        if (
            moved
            and claims.subject is not None
            and (not before or before.subject != claims.subject)
        ):
            kind = EventKind.LOGIN
        else:
            kind = EventKind.BEGUN if moved else EventKind.SAVED
        self._tell(
            SessionEvent(
                kind,
                self._time(),
                claims.id_text,
                before.id_text if before is not None and moved else None,
                claims.subject,
                as_datetime(claims.created_ms),
                as_datetime(claims.expires_ms),
            )
        )

    def bound(self, claims: Claims) -> None:
        """A session was bound to a device."""
        self._tell(
            SessionEvent(EventKind.BOUND, self._time(), claims.id_text, subject=claims.subject)
        )

    def ended(self, session_id: bytes, subject: str | None = None) -> None:
        """One session was ended for good."""
        self._tell(
            SessionEvent(EventKind.ENDED, self._time(), id_to_text(session_id), subject=subject)
        )

    def revoked(
        self, scope: bytes, *, subject: str | None = None, session_id: bytes | None = None
    ) -> None:
        """A scope was raised."""
        kind = _SCOPES[scope[PREFIX_BYTES : PREFIX_BYTES + 1]]
        shown = None if session_id is None else id_to_text(session_id)
        self._tell(
            SessionEvent(EventKind.REVOKED, self._time(), shown, subject=subject, scope=kind)
        )

    def refused(self, reason: Reason, session_id: bytes | None) -> None:
        """A token was refused, or a save."""
        shown = None if session_id is None else id_to_text(session_id)
        self._tell(SessionEvent(EventKind.REFUSED, self._time(), shown, reason=reason))

    def rolled_back(self) -> None:
        """The list had gone back in time."""
        self._tell(SessionEvent(EventKind.ROLLED_BACK, self._time()))

    def _time(self) -> datetime:
        return as_datetime(self._now_ms())

    def _tell(self, event: SessionEvent) -> None:
        try:
            self._on_event(event)
        except Exception:  # noqa: BLE001  # the application's own: whatever it raises, it is logged
            logger.exception("on_event failed for a session event (%s)", event.kind.value)
