"""A list's own history: its birth, its checkpoints, and the numbers that its clock gives out.

Shared by the lists that keep it in this process or in a file; Redis does the same in its scripts.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from .._log import logger
from .base import (
    CHECKPOINT_SECONDS,
    LAST_EPOCH,
    Binding,
    Standing,
    Witness,
    forgotten,
)

STRETCH_US = CHECKPOINT_SECONDS * 1_000_000
_NONCES_KEPT = 1_024


def microseconds(clock: Callable[[], float]) -> int:
    """The time of a clock that gives seconds, in whole microseconds."""
    return int(clock() * 1_000_000)


def random_name() -> int:
    """A name for a birth or a checkpoint: 53 random bits, never 0."""
    return secrets.randbelow(LAST_EPOCH) + 1


@lru_cache(4_096)  # every check asks for one of few
def checkpoint_scope(prefix: bytes, checkpoint: int) -> bytes:
    """Where a list keeps the reach of a checkpoint that was replaced."""
    return prefix + b"k" + checkpoint.to_bytes(7, "big")


def entry_range(prefix: bytes) -> tuple[bytes, bytes]:
    """Between which scopes (exclusive) the entries of one application lie that may be purged."""
    return prefix + b"a", prefix + b"{"


class History(NamedTuple):
    """The history of one application's entries as it stands.

    Attributes:
        birth: the list's identity; 0 where none is kept.
        checkpoint: the newest; the birth at first.
        made: when it was made, microseconds since 1970.
        clock: the last number given out; 0 before the first raise. It never goes back, so that a
            machine whose clock is set back can't make a raise that fails to outrank tokens sealed
            under an entry which is gone since.
        purged: the machine's time when a purge last removed something, microseconds; 0 before. What
            was made a retention before that is gone, even if the clock was ahead then.
    """

    birth: int
    checkpoint: int
    made: int
    clock: int
    purged: int = 0

    @classmethod
    def begun(cls, now: int, *, keeps_birth: bool, clock: int = 0) -> History:
        """That of a list made just now, which may have given out numbers under another birth."""
        birth = random_name() if keeps_birth else 0
        return cls(birth, birth, now, clock)

    def time(self, now: int) -> int:
        """The list's time: the machine's, but never behind what was done by a clock ahead."""
        if now > self.clock and now > self.purged:
            return now
        return max(self.clock, self.purged)

    def reach_of(self, checkpoint: int, kept: int) -> int | None:
        """The reach of a checkpoint that a lookup asks for.

        Args:
            checkpoint: 0 for none.
            kept: what the list keeps for a replaced one of this name; 0 if there is none.
        """
        if not checkpoint:
            return 0
        if checkpoint == self.checkpoint:
            return self.clock
        return kept or None

    def raised(self, now: int, standing: int, *, elsewhere: bool) -> tuple[History, History | None]:
        """What a raise makes of the history; its number is the clock of the first.

        Args:
            standing: the epoch that the number has to pass.
            elsewhere: whether the list may be another than before, as after a restart.

        Returns:
            The history then, and the one whose checkpoint was replaced, if one was.
        """
        number = min(max(now, self.clock + 1, standing + 1), LAST_EPOCH)
        if not self.birth or not (elsewhere or abs(now - self.made) >= STRETCH_US):
            return self._replace(clock=number), None
        # Nobody carries a checkpoint under which no number was given out.
        replaced = self if self.clock else None
        return self._replace(checkpoint=random_name(), made=now, clock=number), replaced


Entry = tuple[int, int]
"""Epoch, and when the entry was made."""

ABSENT: Entry = (0, 0)


class Kept(NamedTuple):
    """What a file or a database keeps of one application beside its entries.

    Attributes:
        history: its history.
        retention: microseconds that its entries live.
    """

    history: History
    retention: int

    @classmethod
    def needed(cls, found: Kept | None, binding: Binding, now: int) -> Kept:
        """What was found, and what this process needs kept; begun where it is not there yet."""
        clock = 0 if found is None else found.history.clock
        if found is None or (binding.keeps_birth and not found.history.birth):
            history = History.begun(now, keeps_birth=binding.keeps_birth, clock=clock)
        else:
            history = found.history
        kept = 0 if found is None else found.retention
        return cls(history, max(kept, int(binding.retention * 1_000_000)))

    def standing(
        self,
        entries: Sequence[Entry],
        now: int,
        *,
        checkpoint: int,
        kept: int,
        keeps_birth: bool,
    ) -> Standing:
        """The answer to a lookup.

        Args:
            entries: of the scopes asked for, in their order.
            now: the clock at this moment, microseconds.
            checkpoint: the one whose reach is asked for; 0 for none.
            kept: what is kept for that one if it was replaced, else 0.
        """
        history = self.history
        epochs = tuple([epoch for epoch, _ in entries])
        made = tuple([made for _, made in entries])
        now = history.time(now)
        if not keeps_birth:
            return Standing(epochs, made, now, 0, 0, 0, 0)
        reach = history.reach_of(checkpoint, kept)
        return Standing(epochs, made, now, history.birth, history.checkpoint, history.clock, reach)


def proves(
    witness: Witness, history: History, *, everything: int, kept: int, now: int, retention: int
) -> bool:
    """Whether a token proves that the list forgot; see `forgotten`.

    Args:
        everything: the epoch that stands for everything.
        kept: what the list keeps for the token's checkpoint if that was replaced, else 0.
        now, retention: microseconds.
    """
    return forgotten(
        witness,
        everything=everything,
        birth=history.birth,
        asked_reach=history.reach_of(witness.checkpoint, kept),
        oldest=history.time(now) - retention,
    )


class Nonces:
    """What the latest compares were answered, so that one carried out again gets the same answer.

    Kept in the process: a compare of a local list is repeated by whoever made it or not at all.
    """

    def __init__(self) -> None:
        self._answers: OrderedDict[bytes, int | None] = OrderedDict()

    def __contains__(self, nonce: bytes) -> bool:
        return nonce in self._answers

    def answer(self, nonce: bytes) -> int | None:
        """What the compare with this nonce was answered."""
        return self._answers[nonce]

    def keep(self, nonce: bytes, answer: int | None) -> int | None:
        """Remember an answer, and give it."""
        self._answers[nonce] = answer
        if len(self._answers) > _NONCES_KEPT:
            self._answers.popitem(last=False)
        return answer


def warn_made_anew(binding: Binding, where: str) -> None:
    """Log that a list was made anew; what was lost and what never was there look the same."""
    if binding.keeps_birth:
        what = "every session issued before is refused"
    else:
        what = "sessions that were revoked before are accepted again (on_lost='accept')"
    logger.warning(
        "The revocation list in %s is new or has lost its entries: %s. "
        "At a first start this is as it should be.",
        where,
        what,
    )
