"""What the contract has other processes do. They don't need pytest."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from ...revocation.base import RevocationList, Scopes
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
    opener: Opener, settings: SessionSettings, scope: bytes, count: int
) -> tuple[int, int | None, list[int]]:
    """Raise when all are ready.

    Returns:
        The list's birth, what a compare for the scope gave, and the numbers of `count` raises of
        everything.
    """
    the_list, everything = opener(), Scopes(settings).everything
    the_list.bind(settings)
    try:
        _start.wait(60)
        birth = the_list.lookup((everything,)).birth
        won = compare(the_list, scope, 0)
        return birth, won, [the_list.raise_epoch(everything) for _ in range(count)]
    finally:
        the_list.close()


def raise_until_killed(opener: Opener, settings: SessionSettings, told: Any) -> None:
    """Raise new sessions, and tell of each once the call has returned."""
    the_list, scopes = opener(), Scopes(settings)
    the_list.bind(settings)
    while True:
        scope = scopes.session(secrets.token_bytes(16))
        epoch = the_list.raise_epoch(scope)
        told.send_bytes(epoch.to_bytes(8, "big") + scope)
