"""The plan: what one response needs of its session. Made in `planning`, carried out in `saving`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ..errors import RevocationListUnavailable
from .values import Expiry


class Need(Enum):
    """What the response has to carry."""

    NOTHING = "nothing"
    DELETE = "a deleting cookie"
    TOKEN = "a token, for a change"  # noqa: S105  # no secret
    REISSUE = "a token, for nothing but a later expiry or a newer secret"


@dataclass(slots=True)  # not frozen, as Claims; `unanswered` alone is set later
class Plan:
    """What one response needs, with what was packed to find out.

    Attributes:
        need: nothing, a deleting cookie, or a token. The rest matters for a token only.
        packed: packed data.
        subject: whose session it is from now on.
        session_id: 16 bytes; another than the loaded token's begins a session in its place.
        groups: digests of the groups that it belongs to from now on.
        expiry: a new expiry; None keeps the one that the session has.
        browser_length: whether the cookie ends with the browser; None keeps what it was.
        authenticated_ms: when its user proved who they are, in whole seconds; None keeps what is.
        ends_loaded: where the id changes or the cookie is deleted, whether the old id is revoked.
        owed: a revocation by this request has killed the browser's token, so that it must get
            another even if the list does not answer any more.
        unanswered: how the list failed when it was asked for this plan; it is not asked again.
    """

    need: Need
    packed: bytes = b""
    subject: str | None = None
    session_id: bytes = b""
    groups: tuple[bytes, ...] = ()
    expiry: Expiry | None = None
    browser_length: bool | None = None
    authenticated_ms: int | None = None
    ends_loaded: bool = True
    owed: bool = False
    unanswered: RevocationListUnavailable | None = None

    def __repr__(self) -> str:
        """Without subject and data: error reports show the repr of local variables."""
        return f"<Plan: {self.need.value}>"


NOTHING = Plan(Need.NOTHING)
DELETE = Plan(Need.DELETE, ends_loaded=False)
