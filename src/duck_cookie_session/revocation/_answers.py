"""Answers of a network list that a node may reuse for a while."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

from .base import Standing

_REMEMBERED = 16_384  # answers, about 13 MB

_Asked = tuple[tuple[bytes, ...], int]


class Answers:
    """What the server said, each answer whole, for `max_staleness` seconds from when it was asked.

    A revocation that this process makes counts at once: what was asked before it has ended, be
    it kept or still on its way, is not reused afterwards where it speaks of the same scope.

    Args:
        clock: seconds, never going back.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.max_staleness: float = 0.0
        self.lock: threading.RLock = threading.RLock()
        self._clock = clock
        # When it was asked and how many revocations this process had made by then.
        self._known: OrderedDict[_Asked, tuple[float, int, Standing]] = OrderedDict()
        self._own = 0
        # What this process revoked lately: when, and how many it had revoked by then.
        self._revoked: OrderedDict[bytes, tuple[float, int]] = OrderedDict()
        self._forgot = 0

    def reuse(self, scopes: Sequence[bytes], checkpoint: int) -> Standing | None:
        """What stood less than `max_staleness` ago; None if that is not known."""
        answer = self._known.get((tuple(scopes), checkpoint))
        if answer is None or answer[0] <= self._clock() - self.max_staleness:
            return None
        return answer[2] if self._still_good(answer[1], scopes) else None

    def asking(self) -> tuple[float, int]:
        """To be called before a request is sent; `keep` wants what it gives."""
        return self._clock(), self._own

    def keep(
        self,
        asked: tuple[float, int],
        scopes: Sequence[bytes],
        checkpoint: int,
        standing: Standing,
    ) -> None:
        """Remember an answer, unless a later one is known."""
        key = (tuple(scopes), checkpoint)
        with self.lock:
            kept = self._known.get(key)
            if kept is not None and kept[:2] > asked:
                return  # somebody asked later and was answered first
            self._known[key] = (*asked, standing)
            self._known.move_to_end(key)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)

    def revoked(self, scope: bytes) -> None:
        """This process has raised a scope, or tried to: what was asked until now has ended."""
        if not self.max_staleness:
            return
        now = self._clock()
        with self.lock:
            self._own += 1
            self._revoked[scope] = (now, self._own)
            self._revoked.move_to_end(scope)
            # Answers asked before the oldest of these may be too old to be reused anyway.
            while next(iter(self._revoked.values()))[0] < now - self.max_staleness:
                self._revoked.popitem(last=False)

    def forget(self) -> None:
        """Forget everything, also what is still on its way."""
        with self.lock:
            self._own += 1
            self._forgot = self._own
            self._known.clear()
            self._revoked.clear()

    def _still_good(self, own: int, scopes: Sequence[bytes]) -> bool:
        """Whether this process revoked none of these scopes since."""
        if own < self._forgot:
            return False
        revoked = self._revoked
        for scope in scopes:
            found = revoked.get(scope)
            if found is not None and found[1] > own:
                return False
        return True
