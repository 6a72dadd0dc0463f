"""How a list counts: its clock, the next epoch, a list made anew. Shared by all lists."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from .._log import logger
from .base import LAST_EPOCH, PREFIX_BYTES, Binding

_JITTER = 1_000_000  # microseconds


def microseconds(clock: Callable[[], float]) -> int:
    """The time of a clock that gives seconds, in whole microseconds."""
    return int(clock() * 1_000_000)


def clock_scope(scope: bytes) -> bytes:
    """Where a list keeps the last number that its clock handed out for this application.

    Kept in the list itself and never purged, so that a machine whose clock is set back can't
    make a raise that fails to outrank tokens sealed under an entry which is gone since.
    """
    return scope[:PREFIX_BYTES] + b"c"


def retention_scope(scope: bytes) -> bytes:
    """Where a list keeps how long entries of this application live.

    The longest that any process was set to: a program with a shorter `absolute_age` than the
    nodes', as the command line may have, must not remove what they still need.
    """
    return scope[:PREFIX_BYTES] + b"r"


def entry_range(prefix: bytes) -> tuple[bytes, bytes]:
    """Between which scopes (exclusive) the entries of one application lie that may be purged."""
    return prefix + b"s", prefix + b"v"


def next_epoch(now: int, last: int, standing: int) -> int:
    """The number that comes next: later than the standing one and than any handed out before."""
    return min(max(now, last + 1, standing + 1), LAST_EPOCH)


def first_epoch(binding: Binding, now: int) -> int:
    """What `everything` starts with on a list made anew.

    The time, moved by up to a second at random: a list lost and made anew within one tick of a
    coarse clock, or after the clock was set back, must not meet the number it had before.
    """
    return 0 if not binding.keeps_birth else now + secrets.randbelow(_JITTER)


def warn_made_anew(binding: Binding, where: str) -> None:
    """Log that a list was made anew; what was lost and what never was there look the same."""
    if not binding.keeps_birth:
        what = "sessions that were revoked before are accepted again (on_lost='accept')"
    else:
        what = "every session issued before is refused"
    logger.warning(
        "The revocation list in %s is new or has lost its entries: %s. "
        "At a first start this is as it should be.",
        where,
        what,
    )
