"""What the contract has other processes do. They don't need pytest."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Callable
from typing import Any

from ...revocation.base import LAST_EPOCH, RevocationList, Scopes
from ...settings import SessionSettings

Opener = Callable[[], RevocationList]

_start: Any = None


def compare(the_list: RevocationList, scope: bytes, expected: int, **how: Any) -> int | None:
    """A compare-and-raise with a nonce of its own."""
    return the_list.compare_and_raise(scope, expected, nonce=secrets.token_bytes(16), **how)


def prepare(start: Any) -> None:
    """Keep the barrier that all wait at."""
    global _start
    _start = start


def raise_at_once(
    opener: Opener, settings: SessionSettings, scopes: list[bytes], count: int
) -> tuple[int, list[int | None], list[tuple[bytes, int]]]:
    """Raise when all are ready.

    Returns:
        The list's birth, what a compare for each of the scopes gave, and of `count` raises, of new
        sessions and of everything in turn, the scope and its number.
    """
    the_list, made = opener(), Scopes(settings)
    the_list.bind(settings)
    try:
        _start.wait(60)
        birth = the_list.lookup((made.everything,)).birth
        won = []
        for scope in scopes:
            _start.wait(60)
            won.append(compare(the_list, scope, 0))
        own = [made.session(secrets.token_bytes(16)) for _ in range(count // 2)]
        raised = [one for scope in own for one in (scope, made.everything)]
        return birth, won, [(scope, the_list.raise_epoch(scope)) for scope in raised]
    finally:
        the_list.close()


def raise_until_killed(
    opener: Opener, settings: SessionSettings, told: Any, call: str, at_most: int | None
) -> None:
    """Raise new sessions, and tell of each once the call has returned.

    Args:
        call: the name of the method.
        at_most: how many; None for ever.
    """
    the_list, scopes = opener(), Scopes(settings)
    the_list.bind(settings)
    calls: dict[str, Callable[[bytes], int | None]] = {
        "raise_epoch": the_list.raise_epoch,
        "end": lambda scope: the_list.end(scope) or LAST_EPOCH,
        "compare_and_raise": lambda scope: compare(the_list, scope, 0),
    }
    for _ in range(at_most) if at_most is not None else itertools.count():
        scope = scopes.session(secrets.token_bytes(16))
        epoch = calls[call](scope)
        told.send_bytes((epoch or 0).to_bytes(8, "big") + scope)
    time.sleep(60)
