"""Answers of a network list that a node may reuse for a while."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

_REMEMBERED = 32_768  # scopes, about 9 MB


class Answers:
    """What the server said, by scope, each for `max_staleness` seconds from when it was asked.

    A revocation that this process makes counts at once: what was asked before it has ended, be
    it kept or still on its way, is not reused afterwards.

    Args:
        clock: seconds, never going back.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.max_staleness: float = 0.0
        self.lock: threading.RLock = threading.RLock()
        self._clock = clock
        self._known: OrderedDict[bytes, tuple[float, int]] = OrderedDict()
        self._own = 0

    def reuse(self, scopes: Sequence[bytes]) -> tuple[int, ...] | None:
        """The epochs as they were less than `max_staleness` ago; None if one is not known."""
        oldest = self._clock() - self.max_staleness
        known = self._known.get
        epochs = []
        for scope in scopes:
            answer = known(scope)
            if answer is None or answer[0] <= oldest:
                return None
            epochs.append(answer[1])
        return tuple(epochs)

    def asking(self) -> tuple[float, int]:
        """To be called before a request is sent; `keep` wants what it gives."""
        return self._clock(), self._own

    def keep(
        self, asked: tuple[float, int], scopes: Sequence[bytes], epochs: Sequence[int]
    ) -> None:
        """Remember an answer, unless a revocation of this process ended since it was asked."""
        at, own = asked
        with self.lock:
            if own != self._own:
                return
            for scope, epoch in zip(scopes, epochs, strict=True):
                kept = self._known.get(scope)
                if kept is not None and kept[0] > at:
                    continue  # somebody asked later and was answered first
                self._known[scope] = (at, epoch)
                self._known.move_to_end(scope)
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)

    def revoked(self, scope: bytes) -> None:
        """This process has raised a scope, or tried to: forget what was known of it."""
        with self.lock:
            self._own += 1
            self._known.pop(scope, None)

    def forget(self) -> None:
        """Forget everything."""
        with self.lock:
            self._own += 1
            self._known.clear()
