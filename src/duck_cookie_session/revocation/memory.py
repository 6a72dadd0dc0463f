"""MemoryRevocationList: for tests and applications of one process."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from itertools import repeat

from .._forks import watch_forks
from ..settings import SessionSettings
from ._counting import microseconds, next_epoch, warn_made_anew
from .base import LAST_EPOCH, PREFIX_BYTES, RevocationList, Scopes, Standing, Survey, is_everything

_ZEROS = repeat(0)
_SWEPT_AT_ONCE = 20
_PURGED_AT_ONCE = 1_000


class MemoryRevocationList(RevocationList):
    """A list in the memory of this process; it ends with it, and every session with the list.

    Safe for any number of threads of one process. A forked child gets a list made anew, so that
    sessions of the parent end there: use `SQLiteRevocationList` where more than one process
    serves. An entry takes about 250 bytes.

    Args:
        clock: seconds since 1970.
    """

    persistent = False
    local = True

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._clock = clock
        self._lock = threading.RLock()
        self._epochs: dict[bytes, int] = {}
        self._get: Callable[[bytes, int], int] = self._epochs.get
        # By application: when its entries were made, in that order, so the oldest come first.
        self._made: dict[bytes, OrderedDict[bytes, int]] = {}
        self._everything_made: dict[bytes, int] = {}
        self._last: dict[bytes, int] = {}
        self._pid = os.getpid()
        watch_forks(self)

    def bind(self, settings: SessionSettings) -> None:
        """Also makes `everything`, which then is there for good; see `RevocationList.bind`."""
        super().bind(settings)
        everything = Scopes(settings).everything
        if not self._epochs.get(everything):  # absent, or 0 by a binding less careful than this
            self._make_everything(everything)

    def lookup(self, scopes, *, checkpoint=0, fresh=True):
        epochs = tuple(map(self._get, scopes, _ZEROS))
        m = self._made.get(scopes[0][:8], {})
        return Standing(
            epochs, tuple(m.get(s, 0) for s in scopes), microseconds(self._clock), 0, 0, 0, 0
        )

    def raise_if_forgotten(self, scope, witness):
        return None

    def raise_epoch(self, scope: bytes) -> int:
        """Raise to max(standing + 1, the list's clock); see `RevocationList.raise_epoch`."""
        with self._lock:
            standing = self._epochs.get(scope, 0)
            return standing if standing == LAST_EPOCH else self._put(scope, standing, last=False)

    def compare_and_raise(self, scope, expected, *, nonce, last=False, value=None):
        """Raise if the epoch is `expected`; see `RevocationList.compare_and_raise`."""
        with self._lock:
            standing = self._epochs.get(scope, 0)
            if standing != expected or standing == LAST_EPOCH:
                return None
            return self._put(scope, standing, last=last)

    def end(self, scope: bytes) -> None:
        """Give a session its last epoch."""
        with self._lock:
            standing = self._epochs.get(scope, 0)
            if standing != LAST_EPOCH:
                self._put(scope, standing, last=True)

    def age(self, scope: bytes) -> float | None:
        """Seconds since the entry was made or last raised; None without it."""
        prefix = scope[:PREFIX_BYTES]
        with self._lock:
            entries = self._everything_made if is_everything(scope) else self._made.get(prefix)
            made = entries.get(scope) if entries else None
            if made is None:
                return None
            now = max(microseconds(self._clock), self._last.get(prefix, 0), made)
        return (now - made) / 1_000_000

    def purge(self, progress: Callable[[int], None] | None = None) -> int:
        """Remove entries older than their retention; returns how many."""
        removed = 0
        for prefix in tuple(self._bindings):
            while True:
                with self._lock:
                    swept = self._sweep(prefix, _PURGED_AT_ONCE)
                removed += swept
                if progress is not None:
                    progress(removed)
                if swept < _PURGED_AT_ONCE:
                    break
        return removed

    def survey(self, prefix: bytes) -> Survey:
        """Count what is there for one application; its bytes are not known."""
        with self._lock:
            made = list(self._made.get(prefix, {}).values())
        if not made:
            return Survey(0, None, None, None)
        oldest = made[0] / 1_000_000
        return Survey(len(made), None, oldest, oldest + self.binding(prefix).retention)

    def save(self) -> None:
        """Nothing to do: what is in memory can't be made durable."""

    def close(self) -> None:
        """Nothing to let go of; the entries stay."""

    def before_fork(self) -> None:
        """Hold off other threads, so that the child gets a list in one piece."""
        self._lock.acquire()

    def after_fork(self) -> None:
        """Go on; in the child with a list made anew.

        Neither process would see the other's revocations, so a session of the one is none of the
        other: it is refused there, rather than served after its logout.
        """
        if os.getpid() != self._pid:
            self._pid = os.getpid()
            everything = {s: e for s, e in self._epochs.items() if is_everything(s)}
            self._epochs.clear()
            self._made.clear()
            for scope, epoch in everything.items():
                self._make_everything(scope, after=epoch)
        self._lock.release()

    def _make_everything(self, scope: bytes, after: int = 0) -> None:
        binding = self.binding(scope)
        with self._lock:
            now = max(microseconds(self._clock), after + 1)
            self._epochs[scope] = 0
            self._everything_made[scope] = now
        warn_made_anew(binding, "memory")

    def _put(self, scope: bytes, standing: int, *, last: bool) -> int:
        prefix = scope[:PREFIX_BYTES]
        now = microseconds(self._clock)
        number = next_epoch(now, self._last.get(prefix, 0), 0 if last else standing)
        epoch = LAST_EPOCH if last else number
        self._last[prefix] = number
        if is_everything(scope):
            self._everything_made[scope] = number
        else:
            made = self._made.setdefault(prefix, OrderedDict())
            made[scope] = number
            made.move_to_end(scope)
        self._epochs[scope] = epoch
        self._sweep(prefix, _SWEPT_AT_ONCE)
        return epoch

    def _sweep(self, prefix: bytes, limit: int) -> int:
        """Remove up to `limit` expired entries; returns how many."""
        made = self._made.get(prefix)
        before = microseconds(self._clock) - int(self.binding(prefix).retention * 1_000_000)
        removed = 0
        while made and removed < limit:
            scope, at = next(iter(made.items()))
            if at >= before:
                break
            del made[scope], self._epochs[scope]
            removed += 1
        return removed
