"""A list whose entries are read and written whole: for whoever writes one; docs/lists-own.md does.

All rules are in the `Book` of an application. `BookRevocationList` asks it; how it is had and
kept is for `turn` to say.
"""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from time import perf_counter

from .._counting import Timings
from .._forks import watch_forks
from ._history import ABSENT, Entry, Nonces, checkpoint_scope, entry_range, proves
from ._history import History as History
from ._history import Kept as Kept
from .base import (
    LAST_EPOCH,
    PREFIX_BYTES,
    Binding,
    RevocationList,
    Standing,
    Survey,
    Witness,
)


class Book:
    """What a list holds of one application, and what each call makes of it.

    Args:
        kept: what stands beside the entries; None where nothing was kept yet.
        entries: by scope; changed in place.
        binding: that of the application, as `RevocationList.binding` gives it.
        now: the list's clock, microseconds since 1970.
        elsewhere: whether the list may be another than at its last raise, as after a restart.

    Attributes:
        kept: what the list has to keep beside the entries.
        entries: what it has to keep by scope.
    """

    def __init__(
        self,
        kept: Kept | None,
        entries: dict[bytes, Entry],
        binding: Binding,
        now: int,
        *,
        elsewhere: bool = False,
    ) -> None:
        self.kept: Kept = Kept.needed(kept, binding, now)
        self.entries: dict[bytes, Entry] = entries
        self._binding = binding
        self._now = now
        self._elsewhere = elsewhere

    def lookup(self, scopes: Sequence[bytes], checkpoint: int) -> Standing:
        """As `RevocationList.lookup`."""
        name = checkpoint_scope(scopes[0][:PREFIX_BYTES], checkpoint)
        return self.kept.standing(
            [self.entries.get(scope, ABSENT) for scope in scopes],
            self._now,
            checkpoint=checkpoint,
            kept=self._epoch(name),
            keeps_birth=self._binding.keeps_birth,
        )

    def raise_epoch(self, scope: bytes) -> int:
        """As `RevocationList.raise_epoch`."""
        standing = self._epoch(scope)
        return standing if standing == LAST_EPOCH else self._put(scope, standing)

    def compare_and_raise(
        self, scope: bytes, expected: int, *, last: bool, value: int | None
    ) -> int | None:
        """As `RevocationList.compare_and_raise`; the nonce is the list's affair."""
        standing = self._epoch(scope)
        if standing != expected or standing == LAST_EPOCH:
            return None
        return self._put(scope, standing, LAST_EPOCH if last else value)

    def end(self, scope: bytes) -> None:
        """As `RevocationList.end`."""
        if self._epoch(scope) != LAST_EPOCH:
            self._put(scope, 0, LAST_EPOCH)

    def raise_if_forgotten(self, scope: bytes, witness: Witness) -> int | None:
        """As `RevocationList.raise_if_forgotten`."""
        everything = self._epoch(scope)
        proven = proves(
            witness,
            self.kept.history,
            everything=everything,
            kept=self._epoch(checkpoint_scope(scope[:PREFIX_BYTES], witness.checkpoint)),
            now=self._now,
            retention=self.kept.retention,
        )
        return self._put(scope, max(everything, witness.everything)) if proven else None

    def new_birth(self) -> int:
        """As `RevocationList.new_birth`."""
        history = History.begun(self._now, keeps_birth=True, clock=self.kept.history.clock)
        self.kept = self.kept._replace(history=history)
        return history.birth

    def purge(self) -> int:
        """As `RevocationList.purge`."""
        before = self._now - self.kept.retention
        gone = [scope for scope, (_, made) in self.entries.items() if made < before]
        gone = [scope for scope in gone if _may_go(scope)]
        for scope in gone:
            del self.entries[scope]
        if gone:
            history = self.kept.history
            history = history._replace(purged=max(self._now, history.purged))
            self.kept = self.kept._replace(history=history)
        return len(gone)

    def survey(self, size: int | None) -> Survey:
        """As `RevocationList.survey`.

        Args:
            size: bytes that the whole list takes; None if unknown.
        """
        made = [
            made
            for scope, (_, made) in self.entries.items()
            if _may_go(scope) and scope[PREFIX_BYTES : PREFIX_BYTES + 1] != b"k"
        ]
        if not made:
            return Survey(0, size, None, None)
        oldest = min(made) / 1_000_000
        return Survey(len(made), size, oldest, oldest + self.kept.retention / 1_000_000)

    def _epoch(self, scope: bytes) -> int:
        return self.entries.get(scope, ABSENT)[0]

    def _put(self, scope: bytes, standing: int, value: int | None = None) -> int:
        floor = 0 if value == LAST_EPOCH else standing
        history, replaced = self.kept.history.raised(self._now, floor, elsewhere=self._elsewhere)
        if replaced is not None:
            name = checkpoint_scope(scope[:PREFIX_BYTES], replaced.checkpoint)
            self.entries[name] = (replaced.clock, history.clock)
        epoch = history.clock if value is None else value
        self.entries[scope] = (epoch, history.clock)
        self.kept = self.kept._replace(history=history)
        self._elsewhere = False
        return epoch


def _may_go(scope: bytes) -> bool:
    """Whether a scope's entry may be purged: that of `everything` never is."""
    first, end = entry_range(scope[:PREFIX_BYTES])
    return first < scope < end


class BookRevocationList(RevocationList):
    """A list that can have the whole book of an application, one caller at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.timings: Timings = Timings()
        self._took = self.timings.asked.add
        self._nonces = Nonces()
        self._nonces_lock = threading.Lock()
        watch_forks(self)

    @abstractmethod
    def turn(self, prefix: bytes) -> AbstractContextManager[Book]:
        """The book of an application, for nobody else at the same time, in any process.

        What was changed in it is on the disk when the block ends well, and gone when it does not.

        Args:
            prefix: the application's.

        Raises:
            RevocationListUnavailable: it can't be had or kept.
        """

    @contextmanager
    def _book(self, prefix: bytes) -> Iterator[Book]:
        began = perf_counter()
        try:
            with self.turn(prefix) as book:
                yield book
        finally:
            self._took(perf_counter() - began)

    def lookup(
        self, scopes: Sequence[bytes], *, checkpoint: int = 0, fresh: bool = True
    ) -> Standing:
        """What stands now; see `RevocationList.lookup`."""
        with self._book(scopes[0][:PREFIX_BYTES]) as book:
            return book.lookup(scopes, checkpoint)

    def raise_epoch(self, scope: bytes) -> int:
        """Raise to max(standing + 1, the list's clock); see `RevocationList.raise_epoch`."""
        with self._book(scope[:PREFIX_BYTES]) as book:
            return book.raise_epoch(scope)

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
        with self._nonces_lock:
            if nonce not in self._nonces:
                with self._book(scope[:PREFIX_BYTES]) as book:
                    epoch = book.compare_and_raise(scope, expected, last=last, value=value)
                self._nonces.keep(nonce, epoch)
            return self._nonces.answer(nonce)

    def end(self, scope: bytes) -> None:
        """Give a session or a group its last epoch."""
        with self._book(scope[:PREFIX_BYTES]) as book:
            book.end(scope)

    def raise_if_forgotten(self, scope: bytes, witness: Witness) -> int | None:
        """Raise everything if a token proves that the list forgot."""
        with self._book(scope[:PREFIX_BYTES]) as book:
            return book.raise_if_forgotten(scope, witness)

    def new_birth(self, prefix: bytes) -> int:
        """Draw a new birth for one application; see `RevocationList.new_birth`."""
        with self._book(prefix) as book:
            return book.new_birth()

    def purge(self, progress: Callable[[int], None] | None = None) -> int:
        """Remove entries older than their retention; returns how many."""
        removed = 0
        for prefix in tuple(self._bindings):
            with self._book(prefix) as book:
                looked_at = len(book.entries)
                removed += book.purge()
            if progress is not None:
                progress(looked_at)
        return removed

    def survey(self, prefix: bytes) -> Survey:
        """Count what is there for one application; its bytes are not known."""
        with self._book(prefix) as book:
            return book.survey(None)

    def save(self) -> None:
        """Nothing to do: what `turn` gave is on the disk."""

    def close(self) -> None:
        """Nothing to let go of."""

    def before_fork(self) -> None:
        """Hold off other threads, so that no lock is copied while held."""
        self._nonces_lock.acquire()

    def after_fork(self) -> None:
        """Go on, in parent and child."""
        self._nonces_lock.release()
