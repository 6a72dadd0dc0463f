"""What is known of a token once it was opened, how it is judged, and what a save is to write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..revocation.base import LAST_EPOCH
from ..token.format import Claims
from .values import Expiry


class Opened(NamedTuple):
    """A token that one of our keys made and that has not expired.

    Attributes:
        token: its text.
        claims: what it says; the epochs may be newer ones, adopted since it was opened.
        data: packed data.
        key_number: number of the secret that sealed it, 0 the newest.
        scopes: what revocation goes by: everything, the session, and its subject if it has one.
        deadline: when it is refused at the latest, by its expiry or by the absolute age.
        renew_at: when a read makes it due for re-issue.
    """

    token: str
    claims: Claims
    data: bytes
    key_number: int
    scopes: tuple[bytes, ...]
    deadline: int
    renew_at: int

    def __repr__(self) -> str:
        """Without token, subject and data: error reports show the repr of local variables."""
        return f"<Opened {self.claims.id_text[:6]}...>"


class Refusal(NamedTuple):
    """Why a token was refused.

    Attributes:
        reason: one of `TokenRefused.REASONS`.
        quiet_until: until then, milliseconds since 1970, the request sends no cookie unless it
            logs somebody in: the session ended or was superseded moments ago, and a late response
            must not overwrite the cookie of the request beside it. 0 where that is not so.
    """

    reason: str
    quiet_until: int = 0

    @property
    def revoked(self) -> bool:
        """Whether the session was live but for the revocation list."""
        return self.reason in ("ended", "superseded", "subject revoked", "all revoked")


class Write(NamedTuple):
    """What a save is to write.

    Attributes:
        packed: packed data.
        subject: whose session it is from now on.
        expiry: a new expiry; None keeps the one that the session has.
        browser_length: whether the cookie goes with the browser; None keeps what it was.
        cycle: give the session a new id.
        optional: nothing but a re-issue, which has to wait while the list is unreachable.
        owed: a revocation made by this request killed the browser's token: it is owed another,
            even if the list does not answer any more.
    """

    packed: bytes
    subject: str | None
    expiry: Expiry | None = None
    browser_length: bool | None = None
    cycle: bool = False
    optional: bool = False
    owed: bool = False

    def __repr__(self) -> str:
        """Without subject and data, as `Opened` has it."""
        return f"<Write of {len(self.packed)} bytes>"


def judge(claims: Claims, epochs: Sequence[int]) -> str | None:
    """Why the epochs that stand now refuse a token, or None.

    Args:
        epochs: of everything, the session and its subject, in the order of `Opened.scopes`.
    """
    if epochs[1] > claims.session_epoch:
        return "ended" if epochs[1] == LAST_EPOCH else "superseded"
    if len(epochs) > 2 and epochs[2] > claims.subject_epoch:
        return "subject revoked"
    if epochs[0] != claims.everything_epoch:
        return "all revoked"
    return None
