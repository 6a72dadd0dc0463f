"""Does checking a token's MAC take longer the later its first wrong byte is?

    python -m tests.timing

Method: 500 tokens for each of six positions, whose MAC is wrong in byte 0, 1, 8, 16, 24 or 31 and
at random after it, are opened in random order, 100 times each, every call timed alone. A token's
time is the median of its calls, which interrupts and other programs do not move. The tokens, not
the calls, are the sample, because each lies elsewhere in memory and so has a time of its own. Those
of each position are compared with those of byte 0 by Welch's t-test; five comparisons, so |t| above
3.5 (p below 0.003 in all, by Bonferroni) counts as a difference. A check that stops at the first
wrong byte, written in Python, is measured in the same way: the method has to see that one, or it
has shown nothing. Exit code 1 if it fails in either. Not part of the test suite: it wants a machine
that does little else.
"""

from __future__ import annotations

import base64
import gc
import math
import os
import random
import statistics
import sys
from collections.abc import Callable, Sequence
from time import perf_counter_ns
from typing import Any

from duck_cookie_session.errors import TokenRefused
from duck_cookie_session.settings import SessionSettings
from duck_cookie_session.token.claims import Claims
from duck_cookie_session.token.format import open_token, seal_token
from duck_cookie_session.token.keys import KeyRing

POSITIONS = (0, 1, 8, 16, 24, 31)
MAC_BYTES = 32
INPUTS = 500
CALLS = 100
LIMIT = 3.5

_ring = KeyRing.of(SessionSettings(secret_keys="t" * 32))


def token_wrong_at(position: int) -> str:
    """A token whose MAC differs from the right one in this byte and, at random, after it."""
    claims = Claims(os.urandom(16), created_ms=0, expires_ms=2**40, lifetime_ms=1000)
    token = seal_token(_ring, claims, bytes(200), 0)
    whole = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    at = len(whole) - MAC_BYTES + position
    whole[at] ^= random.randrange(1, 256)
    whole[at + 1 :] = os.urandom(len(whole) - at - 1)
    return base64.urlsafe_b64encode(whole).rstrip(b"=").decode()


def macs_wrong_at(position: int) -> tuple[bytes, bytes]:
    """Two MACs that differ in this byte and, at random, after it."""
    right = os.urandom(MAC_BYTES)
    wrong = bytes([right[position] ^ random.randrange(1, 256)])
    return right, right[:position] + wrong + os.urandom(MAC_BYTES - position - 1)


def inputs(make: Callable[[int], object]) -> list[tuple[int, object]]:
    """Positions and what is wrong there, made in random order: where something lies in memory
    must have nothing to do with its position."""
    order = list(POSITIONS) * INPUTS
    random.shuffle(order)
    return [(position, make(position)) for position in order]


def library(token: str) -> None:
    """What the library does with a token."""
    try:
        open_token(_ring, token)
    except TokenRefused:
        return
    raise AssertionError("a forged token was accepted")


def naive(pair: tuple[bytes, bytes]) -> bool:
    """A comparison that stops at the first wrong byte."""
    return all(left == right for left, right in zip(*pair, strict=True))


def measure(
    check: Callable[[Any], object], given: Sequence[tuple[int, object]], calls: int
) -> dict[int, list[float]]:
    """The median time of each input in nanoseconds, by position; all in random order."""
    times: list[list[int]] = [[0] * calls for _ in given]
    order = list(range(len(given)))
    gc.disable()
    for call in range(calls):
        random.shuffle(order)
        for number in order:
            _, one = given[number]
            started = perf_counter_ns()
            check(one)
            times[number][call] = perf_counter_ns() - started
    gc.enable()
    found: dict[int, list[float]] = {position: [] for position in POSITIONS}
    for (position, _), each in zip(given, times, strict=True):
        found[position].append(statistics.median(each))
    return found


def compare(times: dict[int, list[float]]) -> dict[int, tuple[float, float, float]]:
    """By position: difference of means from byte 0 in ns, its standard error, Welch's t."""
    base = times[POSITIONS[0]]
    found = {}
    for position, some in times.items():
        error = math.sqrt(
            statistics.variance(some) / len(some) + statistics.variance(base) / len(base)
        )
        difference = statistics.fmean(some) - statistics.fmean(base)
        found[position] = (difference, error, difference / error)
    return found


def report(name: str, found: dict[int, tuple[float, float, float]]) -> float:
    """Print a table; the largest |t|."""
    print(f"{name}\n  wrong byte  difference   error       t")
    for position in POSITIONS[1:]:
        difference, error, t = found[position]
        print(f"  {position:10}  {difference:+7.1f} ns  {error:5.1f} ns  {t:+6.2f}")
    return max(abs(found[position][2]) for position in POSITIONS[1:])


def main() -> int:
    forged = inputs(token_wrong_at)
    measure(library, forged, 5)  # warm
    times = measure(library, forged, CALLS)
    ours = report(f"Library, {statistics.fmean(times[0]):.0f} ns a call", compare(times))
    control = report("Control", compare(measure(naive, inputs(macs_wrong_at), CALLS)))
    good = ours < LIMIT < control
    verdict = "good" if good else "BAD"
    print(f"Largest |t|: {ours:.2f} (limit {LIMIT}), control {control:.0f}: {verdict}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
