"""Every exception of the library.

`SessionError` is the root. No message holds a secret, a token or a value of the session.
What arrives from the network never raises, except that an unreachable revocation list does.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum


class SessionError(Exception):
    """Root of the errors below, and raised itself for a call that this moment does not allow."""


class InvalidSettings(SessionError, ValueError):
    """A setting has a value that is not allowed; the message names it and what is allowed."""


class InvalidArgument(SessionError, TypeError):
    """A call was given something that it can't take; the message says what it takes."""


class SessionSerializationError(SessionError):
    """A value can't be held by a session; the message names its path, as in session['cart'][3]."""


class SessionTooLarge(SessionError):
    """The session does not fit into one cookie; the browser's cookie stays as it was.

    Attributes:
        size: bytes of the cookie's line: name, value and attributes.
        limit: bytes allowed (`max_cookie_bytes`: 4,096 and never more).
        heaviest: the largest entries of the session, as (key, packed bytes), largest first.
    """

    def __init__(self, size: int, limit: int, heaviest: Sequence[tuple[str, int]]) -> None:
        self.size = size
        self.limit = limit
        self.heaviest: tuple[tuple[str, int], ...] = tuple(heaviest)
        named = ", ".join(f"{key}: {count}" for key, count in self.heaviest) or "none"
        super().__init__(
            f"The session makes a cookie of {size} bytes (name, value and attributes); {limit} are "
            f"allowed. Heaviest keys in packed bytes: {named}. Keep large data elsewhere and only "
            "its key in the session; nothing was saved."
        )


class SessionExpired(SessionError):
    """The session expired between load and save; call set_expiry() first to renew it."""


class SessionRevoked(SessionError):
    """The session was revoked (logout, login elsewhere, supersede, ...); it can't be saved.

    Attributes:
        reason: what it was refused for; GROUP_REVOKED also where it was to join an ended group.
    """

    def __init__(self, message: str, reason: Reason) -> None:
        self.reason = reason
        super().__init__(message)


class RevocationListUnavailable(SessionError):
    """The revocation list can't be asked, so no token is accepted and nothing is changed.

    Frameworks answer 503 with `Retry-After: RETRY_AFTER` (seconds) and leave the cookie alone.
    """

    RETRY_AFTER = 1


class Reason(Enum):
    """Why a token was refused: logged and counted, never told to the client."""

    MALFORMED = "malformed"
    """Not a token of ours, or not in its only spelling."""
    NO_KEY = "no key"
    """No secret in use made it for this cookie name and audience."""
    EXPIRED = "expired"
    TOO_OLD = "too old"
    """Past `absolute_age`, or older than the list remembers."""
    ENDED = "ended"
    """Logout, or the session's id was changed by a login or by `cycle_key()`."""
    SUPERSEDED = "superseded"
    """A later state of the session has superseded it."""
    SUBJECT_REVOKED = "subject revoked"
    GROUP_REVOKED = "group revoked"
    """One of the groups that the session belongs to was revoked or ended."""
    ALL_REVOKED = "all revoked"
    OTHER_LIST = "other list"
    """Issued under another revocation list, or under this one before it was lost."""
    FORGOTTEN = "list forgot"
    """It proves that the list was put back from a copy; every session issued so far is refused."""
    UNPROVEN = "no proof of its device"
    """The session is bound to a device, and no good proof of its key came with the request."""


class DeviceReason(Enum):
    """Why the registration or renewal of a device was refused: never told either."""

    OTHER_SITE = "sent by another site"
    NO_SESSION = "no live session"
    TOO_LONG = "too long"
    MALFORMED = "malformed"
    """Not a compact JWS whose header and payload are JSON objects with unique names."""
    SPELLING = "no base64url"
    """Or not in its canonical spelling."""
    ALGORITHM = "other algorithm"
    TYPE = "other type"
    """Of JWS, or one that needs what we don't know (`crit`)."""
    NO_KEY = "no key on P-256"
    """Another kind of key, a point off the curve, or a private key."""
    SIGNATURE = "wrong signature"
    NO_CHALLENGE = "no challenge of ours"
    OTHER_PURPOSE = "challenge for another purpose"
    OTHER_CHALLENGE = "other challenge"
    """That of another session."""
    OLD_CHALLENGE = "challenge too old"
    NO_BINDING = "no key of this binding"
    """The request brings no device key of the binding that it names."""
    OTHER_SESSION = "key of another session"
    OTHER_KEY = "session is bound to another key"
    NO_LIST = "list did not answer"


class LogoutReason(Enum):
    """Why a provider's logout token was not carried out: logged and counted, never told to it."""

    MALFORMED = "malformed"
    """Not a form with one `logout_token`, or not a signed JWT, or a required claim is missing."""
    ALGORITHM = "algorithm"
    """Signed by an algorithm that is not allowed, or not at all."""
    TYPE = "type"
    """It says that it is another kind of token."""
    NO_KEY = "no key"
    """None of the provider's keys made it."""
    SIGNATURE = "signature"
    ISSUER = "issuer"
    AUDIENCE = "audience"
    """Meant for other clients."""
    TIME = "time"
    """Expired, from the future, or good for longer than it can be remembered."""
    EVENT = "event"
    """Not about a logout, or with the nonce of a login."""
    REPEATED = "repeated"
    """Carried out before."""
    KEYS_UNAVAILABLE = "keys unavailable"
    """The provider's keys can't be had: answered 503."""


class TokenRefused(SessionError):
    """A token was not accepted. Internal to the library.

    Attributes:
        reason: what it was refused for.
    """

    def __init__(self, reason: Reason) -> None:
        self.reason = reason
        super().__init__(reason.value)


class NonPersistentStorageError(Exception):
    """A second connector over a non-persistent revocation list, while the first is open.

    The two would not see each other's revocations. Close the first, share one list object, or
    use a persistent list such as SQLiteRevocationList. Not a `SessionError`: the interface of
    the connector gives it the base `Exception`.
    """

    def __init__(self) -> None:
        super().__init__(
            "A SessionStorageConnector over a non-persistent revocation list is already open in "
            "this process and a second one would not see its revocations. Close the first, share "
            "one list object between them (session_storage_cls=lambda: shared_list), or use "
            "SQLiteRevocationList."
        )
