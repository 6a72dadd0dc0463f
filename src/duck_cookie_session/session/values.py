"""The values that sessions go by: a new id, an expiry, a subject, the digest of a group."""

from __future__ import annotations

import hashlib
import math
import secrets
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from ..errors import InvalidArgument
from ..settings import COOKIE_LIMIT
from ..token.claims import MAX_LIFETIME, MAX_TIME, id_to_text
from ..token.stored import as_stored, stored_type

_TOO_LONG = 10**COOKIE_LIMIT  # the least number with more digits than a cookie has bytes

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MS = 253_402_300_799_000  # the end of the year 9999; claims can hold later times


def as_datetime(milliseconds: int) -> datetime:
    """A time that is kept as milliseconds since 1970, aware, UTC; within year 9999."""
    return EPOCH + timedelta(milliseconds=min(milliseconds, _LAST_MS))


def new_session_id() -> bytes:
    """The id of a new session: 16 random bytes."""
    return secrets.token_bytes(16)


def shown(session_id: bytes | None) -> str:
    """The start of a session id, as logs show it."""
    return "unknown" if session_id is None else id_to_text(session_id)[:6] + "..."


class Expiry(NamedTuple):
    """A lifetime that each save renews, or a fixed end.

    Attributes:
        lifetime_ms: milliseconds; 0 for a fixed end.
        until_ms: the fixed end, milliseconds since 1970.
    """

    lifetime_ms: int
    until_ms: int = 0

    @classmethod
    def of(cls, value: float | timedelta | datetime) -> Expiry:
        """What set_expiry() was given: seconds, a timedelta, or a datetime (naive means UTC).

        Raises:
            InvalidArgument: for another type, NaN or infinity.
        """
        if isinstance(value, datetime):
            aware = value if value.tzinfo else value.replace(tzinfo=UTC)
            return cls(0, min(max(math.floor(aware.timestamp() * 1000), 0), MAX_TIME))
        if isinstance(value, timedelta):
            value = value.total_seconds()
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise InvalidArgument(
                f"An expiry is of type {type(value).__name__}; it must be a number of seconds, a "
                "timedelta, a datetime, or None for the setting cookie_age."
            )
        if not abs(value) < math.inf:
            raise InvalidArgument("An expiry is not a finite number of seconds.")
        seconds = min(max(value, 0), MAX_LIFETIME / 1000)  # first: 1e308 * 1000 would overflow
        return cls(math.floor(seconds * 1000))


def subject_text(value: object, what: str = "A subject") -> str | None:
    """A subject as text; None stays None.

    Args:
        what: what the value is, for messages.

    Raises:
        InvalidArgument: for anything but a str, an int that is not a bool, or a UUID.
    """
    if value is None or (type(value) is str and len(value) <= COOKIE_LIMIT):
        return value
    if type(value) is not int:
        if stored_type(type(value)) in (str, int, UUID):
            value = as_stored(value)  # a subclass may have a text of its own, as enumerations have
        if isinstance(value, bool) or not isinstance(value, (str, int, UUID)):
            raise InvalidArgument(
                f"{what} is of type {type(value).__name__}; it must be a str, an int or a UUID."
            )
    if isinstance(value, int) and abs(value) >= _TOO_LONG:
        # Also spares str() a number longer than Python turns into text (4,300 digits).
        raise InvalidArgument(f"{what} is a number that no cookie can hold.")
    text = str(value)
    if len(text) > COOKIE_LIMIT:
        raise InvalidArgument(f"{what} has {len(text)} characters, more than a cookie can hold.")
    return text


def group_digest(name: str, value: object) -> bytes | None:
    """What stands for a group in tokens and in the list: 16 bytes; None where the value is None.

    The beginning of SHA-256 over name and value, each behind its length (4 bytes, big end first) in
    UTF-8, so that no two groups look alike.

    Raises:
        InvalidArgument: as `subject_text`.
    """
    text = subject_text(value, f"A value of the group {name!r}")
    if text is None:
        return None
    digest = hashlib.sha256()
    for part in (name, text):
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(4, "big") + encoded)
    return digest.digest()[:16]
