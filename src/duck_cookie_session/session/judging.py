"""An opened token, and how it is judged by what stands in the revocation list."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from ..errors import Reason
from ..revocation.base import LAST_EPOCH, Standing, Witness, forgotten
from ..token.format import Claims

NO_PROOF = -1
"""In place of a digest: a device key came with the request, but no good proof."""

BOUND_AFTER_US = 30_000_000
"""Microseconds after its binding from which a session needs a proof."""


QUIET_AFTER = 30
"""Seconds for which a request with the cookie of an ended or superseded session sends none."""


@dataclass(slots=True)  # not frozen, as Claims
class Opened:
    """A token that one of our keys made and that has not expired.

    Attributes:
        token: its text.
        claims: what it says; an epoch may be a newer one, adopted since it was opened.
        data: packed data.
        scopes: what it is judged by: everything, its session, its subject if it has one,
            its groups, its device where sessions can be bound.
        epochs: what it carries for each of `scopes`.
        deadline_ms: when it is refused at the latest, by its expiry or by the absolute age.
        renew_at_ms: when a read makes it due for re-issue.
        bindable: whether the last of `scopes` is that of its device. Its epoch is the digest of
            the key whose proof came with the request; 0 without one, as in all kept tokens, and
            `NO_PROOF` where only its device key came.
    """

    token: str
    claims: Claims
    data: bytes
    scopes: tuple[bytes, ...]
    epochs: tuple[int, ...]
    deadline_ms: int
    renew_at_ms: int
    bindable: bool = False

    def __repr__(self) -> str:
        """Without token, subject and data: error reports show the repr of local variables."""
        return f"<Opened {self.claims.id_text[:6]}...>"

    @property
    def groups(self) -> tuple[bytes, ...]:
        """The digests of its groups, in their order."""
        return tuple([digest for digest, _ in self.claims.groups])

    @property
    def session_scope(self) -> bytes:
        """The scope of its session."""
        return self.scopes[1]

    @property
    def subject_scope(self) -> bytes:
        """The scope of its subject; only for a token that has one."""
        return self.scopes[2]

    def adopting(self, *, session: int | None = None, subject: int | None = None) -> Opened:
        """The same with newer epochs, which a revocation by this session itself has set."""
        claims = self.claims
        if session is not None:
            claims = replace(claims, session_epoch=session)
        if subject is not None:
            claims = replace(claims, subject_epoch=subject)
        device = self.epochs[-1:] if self.bindable else ()
        return replace(self, claims=claims, epochs=epochs_of(claims) + device)

    @property
    def device_scope(self) -> bytes:
        """That of the device that its session may be bound to; only where `bindable`."""
        return self.scopes[-1]

    @property
    def proven(self) -> int:
        """The digest of the key whose proof came with the request; 0 or less without one."""
        return self.epochs[-1] if self.bindable else 0

    def proving(self, digest: int) -> Opened:
        """The same beside the proof of a key; 0 for none."""
        if not self.bindable:
            return self
        return replace(self, epochs=(*self.epochs[:-1], digest))

    def binds(self, standing: Standing) -> bool:
        """Whether its proof is of another key than its session is bound to, or is the first."""
        return self.proven > 0 and self.proven != self.bound_to(standing)

    def bound_to(self, standing: Standing) -> int:
        """The digest of the key that its session is bound to; 0 if it is not bound."""
        return standing.epochs[len(self.scopes) - 1] if self.bindable else 0


class Refusal(NamedTuple):
    """Why a token was refused.

    Attributes:
        reason: what it was refused for.
        session_id: the session that it speaks of; None where none of our keys made it.
        quiet_until_ms: until then the request sends no cookie unless it logs somebody in: the
            session ended or was superseded moments ago, and a late response must not overwrite
            the cookie of the request beside it. 0 where that is not so.
    """

    reason: Reason
    session_id: bytes | None = None
    quiet_until_ms: int = 0


def epochs_of(claims: Claims) -> tuple[int, ...]:
    """The epochs that a token carries, in the order of its scopes."""
    groups = tuple([epoch for _, epoch in claims.groups]) if claims.groups else ()
    if claims.subject is None:
        return (claims.everything_epoch, claims.session_epoch, *groups)
    return (claims.everything_epoch, claims.session_epoch, claims.subject_epoch, *groups)


def witness_of(claims: Claims) -> Witness:
    """What a token says of the history of its list."""
    return Witness(claims.birth, claims.checkpoint, claims.reach, claims.everything_epoch)


def judge_history(opened: Opened, standing: Standing, retention_us: int) -> Reason | None:
    """Whether a token and the list agree about the list's own past.

    Args:
        retention_us: microseconds that entries live.
    """
    claims = opened.claims
    if claims.birth != standing.birth:
        return Reason.OTHER_LIST
    everything = standing.epochs[0]
    if claims.everything_epoch < everything:
        return None  # refused for that, whatever else it says
    known = standing.asked_reach
    if claims.everything_epoch == everything and known is not None and claims.reach <= known:
        return None
    oldest = standing.now - retention_us
    witness = witness_of(claims)
    if forgotten(
        witness,
        everything=everything,
        birth=standing.birth,
        asked_reach=known,
        oldest=oldest,
    ):
        return Reason.FORGOTTEN
    return Reason.TOO_OLD


def judge_epochs(opened: Opened, standing: Standing) -> Reason | None:
    """Whether anything that a token stands for was revoked since it was issued."""
    if standing.epochs[: len(opened.epochs)] == opened.epochs:
        return None
    claims, now = opened.claims, dict(zip(opened.scopes, standing.epochs, strict=False))
    session = now[opened.session_scope]
    if session > claims.session_epoch:
        return Reason.ENDED if session == LAST_EPOCH else Reason.SUPERSEDED
    if claims.subject is not None and now[opened.subject_scope] > claims.subject_epoch:
        return Reason.SUBJECT_REVOKED
    # Their scopes come next; that of its device, which may follow, is judged last.
    own = zip(opened.scopes[2 + (claims.subject is not None) :], claims.groups, strict=False)
    if any(now[scope] > epoch for scope, (_, epoch) in own):
        return Reason.GROUP_REVOKED
    if standing.epochs[0] > claims.everything_epoch:
        return Reason.ALL_REVOKED
    return judge_device(opened, standing)


def quiet_ms(opened: Opened, standing: Standing) -> int:
    """Milliseconds left of `QUIET_AFTER`, since its session was ended or superseded; 0 for none."""
    made = standing.made[opened.scopes.index(opened.session_scope)]
    return max((made + QUIET_AFTER * 1_000_000 - standing.now) // 1000, 0)


def judge_device(opened: Opened, standing: Standing) -> Reason | None:
    """Whether a bound session lacks the proof of its key; requests under way have 30 s."""
    bound = opened.bound_to(standing)
    if not bound or bound == opened.proven:
        return None
    made = standing.made[len(opened.scopes) - 1]
    return Reason.UNPROVEN if standing.now - made > BOUND_AFTER_US else None
