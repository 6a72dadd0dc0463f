"""What birth and checkpoints cost: `python -m tests.benchmarks.history` prints a comparison.

One check of a token by the list, with and without them: with, the list is asked for the reach of
the token's checkpoint as well (one that was replaced, so that it is looked up). Round robin, best
of many rounds. And what the token grows by.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence

from duck_cookie_session import (
    MemoryRevocationList,
    RevocationList,
    SessionSettings,
    SessionStorageConnector,
    SQLiteRevocationList,
)
from duck_cookie_session.revocation.base import Scopes

ROUNDS, CALLS = 1_000, 100
SECRET = "a secret of forty characters, used in tests"


def main() -> None:
    """Print microseconds a check, and characters a token."""
    for kind in ("memory", "sqlite"):
        with tempfile.TemporaryDirectory() as folder:
            checks = {}
            for on_lost in ("accept", "refuse"):
                settings = SessionSettings(
                    secret_keys=SECRET, audience=on_lost, subject_key="user", on_lost=on_lost
                )
                now = [time.time()]
                the_list: RevocationList = (
                    MemoryRevocationList(lambda now=now: now[0])
                    if kind == "memory"
                    else SQLiteRevocationList(folder, clock=lambda now=now: now[0])
                )
                checks[on_lost] = check(the_list, settings, now)
            best = measure(list(checks.values()))
        without, with_them = best
        print(
            f"{kind:8} {without:6.3f} us without, {with_them:6.3f} us with birth and checkpoints: "
            f"{with_them - without:+.3f} us"
        )
    print(f"token    {characters():+.1f} characters on average")


def check(
    the_list: RevocationList, settings: SessionSettings, now: list[float]
) -> Callable[[], object]:
    """One check of a token sealed under a checkpoint that was replaced since."""
    the_list.bind(settings)
    scopes = Scopes(settings)
    asked = (scopes.everything, scopes.session(os.urandom(16)), scopes.subject("alice"))
    the_list.end(scopes.session(os.urandom(16)))
    checkpoint = the_list.lookup(asked).checkpoint
    now[0] += 60
    the_list.end(scopes.session(os.urandom(16)))
    assert the_list.lookup(asked, checkpoint=checkpoint).asked_reach is not None
    return lambda: the_list.lookup(asked, checkpoint=checkpoint, fresh=False)


def measure(calls: Sequence[Callable[[], object]]) -> list[float]:
    """The best round of each, in microseconds a call."""
    best = [float("inf")] * len(calls)
    for _ in range(ROUNDS):
        for number, call in enumerate(calls):
            start = time.perf_counter()
            for _ in range(CALLS):
                call()
            best[number] = min(best[number], time.perf_counter() - start)
    return [seconds / CALLS * 1_000_000 for seconds in best]


def characters() -> float:
    """By how much a token grows with the first revocation, on average over 16 lengths."""
    lengths = []
    settings = SessionSettings(secret_keys=SECRET, subject_key="user")
    connector = SessionStorageConnector(MemoryRevocationList, settings=settings)
    for _ in range(2):
        tokens = [connector.set_session(None, {"data": "x" * length}) for length in range(16)]
        lengths.append(sum(map(len, tokens)))
        connector.delete_session(tokens[0])
    connector.close()
    return (lengths[1] - lengths[0]) / 16


if __name__ == "__main__":
    main()
