"""MemoryRevocationList: for tests and applications of one process."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from .._forks import watch_forks
from ..settings import SessionSettings
from ._history import History, Nonces, checkpoint_scope, microseconds, proves, warn_made_anew
from .base import (
    LAST_EPOCH,
    PREFIX_BYTES,
    RevocationList,
    Scopes,
    Standing,
    Survey,
    Witness,
    is_everything,
)

_SWEPT_AT_ONCE = 20
_PURGED_AT_ONCE = 1_000
_REMEMBERED = 4_096  # answers, about 3 MB
_BEHIND_US = 1_000_000  # an answer's time may be: what is judged by it are half minutes and more


class MemoryRevocationList(RevocationList):
    """A list in the memory of this process; it ends with it, and every session with the list.

    Safe for any number of threads of one process. A forked child notices that it is not the process
    that made the list, and has one made anew, so that sessions of the parent end there: use
    `SQLiteRevocationList` where more than one process serves. An entry takes about 250 bytes.

    Args:
        clock: seconds since 1970.
    """

    persistent = False
    local = True

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._clock = clock
        self._lock = self._held = threading.RLock()
        self._locks: dict[int, threading.RLock] = {}
        self._epochs: dict[bytes, int] = {}
        # By application: when its entries were made, in that order, so the oldest come first.
        self._made: dict[bytes, OrderedDict[bytes, int]] = {}
        self._everything_made: dict[bytes, int] = {}
        self._histories: dict[bytes, History] = {}
        self._answers: dict[tuple[tuple[bytes, ...], int], Standing] = {}
        self._nonces = Nonces()
        self._pid = os.getpid()
        watch_forks(self)

    def bind(self, settings: SessionSettings) -> None:
        """Also begins the application's history; see `RevocationList.bind`."""
        super().bind(settings)
        prefix = Scopes(settings).prefix
        with self._lock:
            history = self._histories.get(prefix)
            if history is None or (not history.birth and self.binding(prefix).keeps_birth):
                self._begin(prefix)

    def lookup(
        self, scopes: Sequence[bytes], *, checkpoint: int = 0, fresh: bool = True
    ) -> Standing:
        """What stands now; see `RevocationList.lookup`."""
        if os.getpid() != self._pid:
            self._begin_anew()
        scopes = tuple(scopes)  # which leaves a tuple as it is
        known = self._answers.get((scopes, checkpoint))
        if known is None or not 0 <= self._clock() * 1_000_000 - known.now < _BEHIND_US:
            known = self._find(scopes, checkpoint)
        return known

    def _find(self, scopes: tuple[bytes, ...], checkpoint: int) -> Standing:
        prefix = scopes[0][:PREFIX_BYTES]
        with self._lock:
            epochs = made = tuple([self._epochs.get(scope, 0) for scope in scopes])
            if any(epochs):
                made = tuple([self._made_of(scope) for scope in scopes])
            history = self._histories[prefix]
            reach: int = 0
            asked_reach: int | None = 0
            if history.birth:
                kept = self._epochs.get(checkpoint_scope(prefix, checkpoint), 0)
                reach, asked_reach = history.clock, history.reach_of(checkpoint, kept)
            now = history.time(microseconds(self._clock))
            found = Standing(
                epochs, made, now, history.birth, history.checkpoint, reach, asked_reach
            )
            if len(self._answers) >= _REMEMBERED:
                self._answers.clear()
            self._answers[scopes, checkpoint] = found
        return found

    def raise_epoch(self, scope: bytes) -> int:
        """Raise to max(standing + 1, the list's clock); see `RevocationList.raise_epoch`."""
        with self._alone():
            standing = self._epochs.get(scope, 0)
            return standing if standing == LAST_EPOCH else self._put(scope, standing)

    def compare_and_raise(
        self,
        scope: bytes,
        expected: int,
        *,
        nonce: bytes,
        last: bool = False,
        value: int | None = None,
    ) -> int | None:
        """Raise if the epoch is `expected`; see `RevocationList.compare_and_raise`."""
        with self._alone():
            if nonce in self._nonces:
                return self._nonces.answer(nonce)
            standing = self._epochs.get(scope, 0)
            if standing != expected or standing == LAST_EPOCH:
                return self._nonces.keep(nonce, None)
            epoch = self._put(scope, standing, LAST_EPOCH if last else value)
            return self._nonces.keep(nonce, epoch)

    def end(self, scope: bytes) -> None:
        """Give a session or a group its last epoch."""
        with self._alone():
            standing = self._epochs.get(scope, 0)
            if standing != LAST_EPOCH:
                self._put(scope, standing, LAST_EPOCH)

    def raise_if_forgotten(self, scope: bytes, witness: Witness) -> int | None:
        """Raise everything if a token proves that the list forgot."""
        prefix = scope[:PREFIX_BYTES]
        with self._alone():
            everything = self._epochs.get(scope, 0)
            proven = proves(
                witness,
                self._histories[prefix],
                everything=everything,
                kept=self._epochs.get(checkpoint_scope(prefix, witness.checkpoint), 0),
                now=microseconds(self._clock),
                retention=self._retention(prefix),
            )
            return self._put(scope, max(everything, witness.everything)) if proven else None

    def new_birth(self, prefix: bytes) -> int:
        """Draw a new birth for one application; see `RevocationList.new_birth`."""
        with self._alone():
            clock = self._histories[prefix].clock
            history = History.begun(microseconds(self._clock), keeps_birth=True, clock=clock)
            self._go_on(prefix, history)
            return history.birth

    def purge(self, progress: Callable[[int], None] | None = None) -> int:
        """Remove entries older than their retention; returns how many."""
        removed = 0
        for prefix in tuple(self._bindings):
            while True:
                with self._alone():
                    swept = self._sweep(prefix, _PURGED_AT_ONCE)
                    if swept:
                        history = self._histories[prefix]
                        purged = max(microseconds(self._clock), history.purged)
                        self._go_on(prefix, history._replace(purged=purged))
                removed += swept
                if progress is not None:
                    progress(removed)
                if swept < _PURGED_AT_ONCE:
                    break
        return removed

    def knows(self, prefix: bytes) -> bool:
        """Whether the application has used this list."""
        return prefix in self._histories

    def survey(self, prefix: bytes) -> Survey:
        """Count what is there for one application; its bytes are not known."""
        with self._alone():
            entries = self._made.get(prefix) or OrderedDict()
            made = [at for scope, at in entries.items() if scope[PREFIX_BYTES:][:1] != b"k"]
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
        self._held = self._alone()
        self._held.acquire()

    def after_fork(self) -> None:
        """Go on, in parent and child."""
        self._held.release()

    def _alone(self) -> threading.RLock:
        """The lock, for `with`; in a forked child after the list was made anew."""
        if os.getpid() != self._pid:
            self._begin_anew()
        return self._lock

    def _begin_anew(self) -> None:
        """In a forked child, also of a server that forks without telling Python (uWSGI).

        Neither process would see the other's revocations, so each refuses the sessions of the
        other, rather than serve them after their logout.
        """
        pid = os.getpid()
        # The parent's lock may have been held by a thread that is not here to let it go.
        with self._locks.setdefault(pid, threading.RLock()):
            if pid == self._pid:
                return
            self._epochs, self._made, self._everything_made = {}, {}, {}
            self._nonces = Nonces()
            for prefix in tuple(self._histories):
                self._begin(prefix)
            self._lock, self._pid = self._locks[pid], pid

    def _begin(self, prefix: bytes) -> None:
        binding = self.binding(prefix)
        now = microseconds(self._clock)
        self._go_on(prefix, History.begun(now, keeps_birth=binding.keeps_birth))
        warn_made_anew(binding, "memory")

    def _go_on(self, prefix: bytes, history: History) -> None:
        """Put the history on. Whatever changes the list does so; no answer from before counts."""
        self._histories[prefix] = history
        self._answers.clear()

    def _made_of(self, scope: bytes) -> int:
        if is_everything(scope):
            return self._everything_made.get(scope, 0)
        made = self._made.get(scope[:PREFIX_BYTES])
        return made.get(scope, 0) if made is not None else 0

    def _put(self, scope: bytes, standing: int, epoch: int | None = None) -> int:
        """Write an entry under the next number, which is its epoch unless another is given."""
        prefix = scope[:PREFIX_BYTES]
        now = microseconds(self._clock)
        history, replaced = self._histories[prefix].raised(
            now, 0 if epoch == LAST_EPOCH else standing, elsewhere=False
        )
        self._go_on(prefix, history)
        made = self._made.setdefault(prefix, OrderedDict())
        if replaced is not None:
            kept = checkpoint_scope(prefix, replaced.checkpoint)
            self._epochs[kept], made[kept] = replaced.clock, history.clock
        self._epochs[scope] = history.clock if epoch is None else epoch
        if is_everything(scope):
            self._everything_made[scope] = history.clock
        else:
            made[scope] = history.clock
            made.move_to_end(scope)
        self._sweep(prefix, _SWEPT_AT_ONCE)
        return self._epochs[scope]

    def _retention(self, prefix: bytes) -> int:
        return int(self._bindings[prefix].retention * 1_000_000)

    def _sweep(self, prefix: bytes, limit: int) -> int:
        """Remove up to `limit` expired entries; returns how many."""
        made = self._made.get(prefix)
        before = microseconds(self._clock) - self._retention(prefix)
        removed = 0
        while made and removed < limit:
            scope, at = next(iter(made.items()))
            if at >= before:
                break
            del made[scope], self._epochs[scope]
            removed += 1
        return removed
