"""What SQLRevocationList says to a database, in steps that any connection can carry out."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from typing import NamedTuple

from ..errors import RevocationListUnavailable
from ._answers import Answers
from ._history import (
    ABSENT,
    History,
    Kept,
    Nonces,
    checkpoint_scope,
    entry_range,
    proves,
    warn_made_anew,
)
from ._sql_texts import COMMIT, COUNT, KNOWS, NEXT, Dialect, Found, Statement, not_durable, remove
from ._steps import Result, Steps
from .base import LAST_EPOCH, PREFIX_BYTES, Binding, Standing, Survey, Witness

_SWEPT_AT_ONCE = 500
_SWEEP_EVERY = 25  # raises
_NOTED_FOR = 1_000_000  # microseconds that a purge goes on without saying so again
_KINDS = (b"a", b"h", b"s", b"t", b"u")  # where a process begins to sweep


class Turn(NamedTuple):
    """What a transaction that is alone for its application finds.

    Attributes:
        kept: of the application; its row.
        found: what else was read.
        elsewhere: whether the list may be another than at the last raise.
        this_server: as `Dialect.this_server`.
    """

    kept: Kept
    found: Found
    elsewhere: bool
    this_server: str


Work = Callable[[Turn], Steps[Result]]


class Talk:
    """The talks of one list.

    Args:
        dialect: the server's.
        where: the server as messages show it.
        timeout: seconds that a raise may stand still, holding off the others.
        answers: what reads may reuse.
        binding: that of the application of a scope.
    """

    def __init__(
        self,
        dialect: Dialect,
        where: str,
        timeout: float,
        answers: Answers,
        binding: Callable[[bytes], Binding],
    ) -> None:
        self._dialect = dialect
        self._where = where
        self._timeout = timeout
        self._answers = answers
        self._binding = binding
        self.lock: threading.RLock = threading.RLock()
        self._nonces = Nonces()
        self._clocks: dict[bytes, int] = {}  # the latest number that this process has seen
        self._raises = 0
        self._swept: dict[bytes, bytes] = {}

    def lookup(self, scopes: tuple[bytes, ...], checkpoint: int) -> Steps[Standing]:
        """See `RevocationList.lookup`."""
        prefix = scopes[0][:PREFIX_BYTES]
        kept_as = checkpoint_scope(prefix, checkpoint)
        read = (*scopes, kept_as) if checkpoint else scopes
        answers, binding = self._answers, self._binding(prefix)
        asked = answers.asking() if answers.max_staleness else None
        found = yield from self._read(prefix, read)
        if found.kept is None or found.kept != Kept.needed(found.kept, binding, found.now):
            yield from self._alone(prefix, (), _nothing)  # which begins what was missing
            found = yield from self._read(prefix, read)
        if found.kept is None:
            raise RevocationListUnavailable(
                f"The revocation list on {self._where} loses what is written to it."
            )
        standing = found.kept.standing(
            [found.entries.get(scope, ABSENT) for scope in scopes],
            found.now,
            checkpoint=checkpoint,
            kept=found.epoch(kept_as),
            keeps_birth=binding.keeps_birth,
        )
        if asked is not None:
            answers.keep(asked, scopes, checkpoint, standing)
        return standing

    def raise_to(self, scope: bytes, value: int | None = None) -> Steps[int]:
        """Raise to the clock, or to `value`, whatever stands."""

        def work(turn: Turn) -> Steps[int]:
            standing = turn.found.epoch(scope)
            if standing == LAST_EPOCH:
                return standing
            return (yield from self._put(turn, scope, standing, value))

        return (yield from self._change(scope, (scope,), work))

    def compare(
        self, scope: bytes, expected: int, nonce: bytes, value: int | None
    ) -> Steps[int | None]:
        """Raise to the clock, or to `value`, if the epoch is `expected`."""

        def work(turn: Turn) -> Steps[int | None]:
            standing = turn.found.epoch(scope)
            if turn.found.nonces.get(scope) == nonce:
                return standing  # of this very compare, whose answer was lost
            if standing != expected or standing == LAST_EPOCH:
                return None
            return (yield from self._put(turn, scope, standing, value, nonce))

        with self.lock:
            if nonce in self._nonces:
                return self._nonces.answer(nonce)
        answer = yield from self._change(scope, (scope,), work)
        with self.lock:
            return self._nonces.keep(nonce, answer)

    def raise_if_forgotten(self, scope: bytes, witness: Witness, nonce: bytes) -> Steps[int | None]:
        """See `RevocationList.raise_if_forgotten`."""
        prefix = scope[:PREFIX_BYTES]
        kept_as = checkpoint_scope(prefix, witness.checkpoint)

        def work(turn: Turn) -> Steps[int | None]:
            found, everything = turn.found, turn.found.epoch(scope)
            if found.nonces.get(scope) == nonce:
                return everything  # whoever raised must be told so, or nobody says why
            proven = proves(
                witness,
                turn.kept.history,
                everything=everything,
                kept=found.epoch(kept_as),
                now=found.now,
                retention=turn.kept.retention,
            )
            if not proven:
                return None
            floor = max(everything, witness.everything)
            return (yield from self._put(turn, scope, floor, None, nonce))

        return (yield from self._change(scope, (scope, kept_as), work))

    def new_birth(self, prefix: bytes) -> Steps[int]:
        """See `RevocationList.new_birth`."""

        def work(turn: Turn) -> Steps[int]:
            clock = turn.kept.history.clock
            history = History.begun(turn.found.now, keeps_birth=True, clock=clock)
            kept = turn.kept._replace(history=history)
            yield self._dialect.keep(prefix, kept, turn.this_server)
            return history.birth

        try:
            return (yield from self._alone(prefix, (), work))
        finally:
            self._answers.forget()

    def knows(self, prefix: bytes) -> Steps[bool]:
        """See `RevocationList.knows`."""
        return bool((yield KNOWS, (prefix,)))

    def sweep(
        self, prefix: bytes, start: bytes, limit: int
    ) -> Steps[tuple[bytes | None, int, int]]:
        """Look at the next `limit` entries and remove those that have expired.

        Gives the last scope looked at (None at the end), how many, and how many were removed. Locks
        nothing but those, each while it goes.
        """
        found = yield from self._read(prefix, ())
        if found.kept is None:
            return None, 0, 0
        kept = Kept.needed(found.kept, self._binding(prefix), found.now)
        purged = kept.history.purged
        is_noted = 0 <= found.now - purged < _NOTED_FOR
        at = purged if is_noted else found.now
        before = at - kept.retention
        first, end = entry_range(prefix)
        rows = yield NEXT, (max(first, start), end, limit)
        expired = [scope for scope, made in rows if made < before]
        if expired:
            if not is_noted:
                yield from self._write(self._dialect.note_purge(prefix, at))
            yield from self._write(remove(expired, before))
        return (rows[-1][0] if len(rows) == limit else None), len(rows), len(expired)

    def survey(self, prefix: bytes) -> Steps[Survey]:
        """See `RevocationList.survey`."""
        first, end = entry_range(prefix)
        ((entries, made),) = yield COUNT, (first, end, prefix + b"k", prefix + b"l")
        found = yield from self._read(prefix, ())
        ((size,),) = yield self._dialect.size, ()
        if made is None:
            return Survey(0, size, None, None)
        kept = Kept.needed(found.kept, self._binding(prefix), found.now)
        oldest = made / 1_000_000
        return Survey(entries, size, oldest, oldest + kept.retention / 1_000_000)

    def durability(self) -> Steps[str]:
        """See `SQLRevocationList.durability`."""
        ((durability,),) = yield f"SELECT {self._dialect.durability}", ()
        self._check_durable(durability)
        return str(durability)

    def server_time(self) -> Steps[float]:
        """See `SQLRevocationList.server_time`."""
        ((now,),) = yield f"SELECT {self._dialect.now}", ()
        return float(now / 1_000_000)

    # Parts of these.

    def _change(self, scope: bytes, read: tuple[bytes, ...], work: Work[Result]) -> Steps[Result]:
        """A raise. Now and then a few expired entries are removed first."""
        prefix = scope[:PREFIX_BYTES]
        try:
            self._raises += 1
            if self._raises % _SWEEP_EVERY == 1:
                start = self._swept.get(prefix) or prefix + secrets.choice(_KINDS)
                after, _, _ = yield from self.sweep(prefix, start, _SWEPT_AT_ONCE)
                self._swept[prefix] = after or prefix
            return (yield from self._alone(prefix, read, work))
        finally:  # also where it failed or was cancelled: it may have been carried out
            self._answers.revoked(scope)

    def _alone(self, prefix: bytes, scopes: tuple[bytes, ...], work: Work[Result]) -> Steps[Result]:
        """Run `work` in a transaction that is alone for its application."""
        dialect, binding = self._dialect, self._binding(prefix)
        yield dialect.start(self._timeout)
        locked = yield dialect.lock(prefix)
        if not locked:
            yield dialect.begin_history(prefix)
            locked = yield dialect.lock(prefix)
        server, this_server, written_by, durability = locked[0]
        self._check_durable(durability)
        seen = self._clocks.get(prefix, 0)
        found = yield from self._read(prefix, scopes)
        kept = Kept.needed(found.kept, binding, found.now)
        if kept != found.kept:
            yield dialect.keep(prefix, kept, this_server)
        # The latter: this process has seen a later number than the list knows of.
        elsewhere = server != this_server + written_by or kept.history.clock < seen
        result = yield from work(Turn(kept, found, elsewhere, this_server))
        yield COMMIT
        if found.kept is None or found.kept.history.birth != kept.history.birth:
            warn_made_anew(binding, self._where)
        return result

    def _put(
        self,
        turn: Turn,
        scope: bytes,
        standing: int,
        value: int | None,
        nonce: bytes | None = None,
    ) -> Steps[int]:
        """Write an entry under the next number, which is its epoch unless another is given."""
        prefix, dialect = scope[:PREFIX_BYTES], self._dialect
        floor = 0 if value == LAST_EPOCH else standing
        history, replaced = turn.kept.history.raised(
            turn.found.now, floor, elsewhere=turn.elsewhere
        )
        epoch = history.clock if value is None else value
        rows = [(scope, epoch, history.clock, nonce)]
        if replaced is not None:
            kept_as = checkpoint_scope(prefix, replaced.checkpoint)
            rows.append((kept_as, replaced.clock, history.clock, None))
        yield dialect.put(*rows)
        yield dialect.keep(prefix, turn.kept._replace(history=history), turn.this_server)
        self._clocks[prefix] = history.clock
        return epoch

    def _write(self, statement: Statement) -> Steps[None]:
        """Carry out one that writes, by itself, as raises do whatever is set for the role."""
        yield self._dialect.start(self._timeout)
        yield statement
        yield COMMIT

    def _read(self, prefix: bytes, scopes: tuple[bytes, ...]) -> Steps[Found]:
        found = Found.of(prefix, (yield self._dialect.read(prefix, scopes)))
        if found.is_replica:
            raise RevocationListUnavailable(
                f"The revocation list on {self._where} is a replica, or read-only: it may lag "
                "behind. Use the address of the server that is written to."
            )
        if found.kept is not None and found.kept.history.clock > self._clocks.get(prefix, 0):
            self._clocks[prefix] = found.kept.history.clock
        return found

    def _check_durable(self, durability: str) -> None:
        wrong = not_durable(durability)
        if wrong is not None:
            raise RevocationListUnavailable(
                f"The revocation list on {self._where} would lose revocations: {wrong}. They must "
                "be on the disk when a logout returns: synchronous_commit and fsync on, "
                "innodb_flush_log_at_trx_commit 1, tables that are InnoDB."
            )


def _nothing(_: Turn) -> Steps[None]:
    yield from ()
