"""SQLiteRevocationList: the default, one file for every process of one machine."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from .._counting import Timings
from .._forks import watch_forks
from ..errors import InvalidArgument
from ..settings import SessionSettings
from ._history import (
    ABSENT,
    History,
    Kept,
    Nonces,
    checkpoint_scope,
    microseconds,
    proves,
    warn_made_anew,
)
from ._sqlite_connections import Readers, Writer
from ._sqlite_file import Database, explain
from ._sqlite_rows import (
    count,
    epoch_of,
    keep,
    kept_of,
    put,
    read,
    sweep,
)
from .base import LAST_EPOCH, PREFIX_BYTES, RevocationList, Standing, Survey, Witness

FILE_NAME = "revocations.sqlite3"

_SWEPT_AT_ONCE = 20
_PURGED_AT_ONCE = 1_000
_PAUSE = 0.003  # seconds: whoever waits for its turn looks every millisecond

Result = TypeVar("Result")


class SQLiteRevocationList(RevocationList):
    """A list in the file `revocations.sqlite3` of a folder, made if missing, for its owner only.

    Safe for any number of threads and processes of one machine; not over a network file system.
    A raise is on the disk when it returns, whatever happens to the process or the machine after.
    A lookup costs a few microseconds while nobody raises anything. An entry takes about 60 bytes.

    Expired entries are removed a few at each raise. The file does not shrink; its room is used
    again.

    Args:
        directory: the folder.
        clock: seconds since 1970.
        busy_timeout: seconds to wait for other writers before `RevocationListUnavailable`.
    """

    local = True

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        clock: Callable[[], float] = time.time,
        busy_timeout: float = 5.0,
    ) -> None:
        super().__init__()
        if not isinstance(directory, (str, os.PathLike)) or not os.fspath(directory):
            raise InvalidArgument(
                f"SQLiteRevocationList takes the path of a folder, not {directory!r}; under Duck "
                "it is the setting SESSION_DIR."
            )
        self._path = Path(directory).absolute() / FILE_NAME
        self._clock = clock
        self._busy_timeout = busy_timeout
        self._readers = Readers(self._path, busy_timeout)
        self.timings: Timings = Timings()  # of raises; a lookup is a matter of microseconds
        self._writer = Writer(self._path, busy_timeout, self.timings.asked)
        self._swept: dict[bytes, bytes] = {}
        self._nonces = Nonces()
        watch_forks(self)

    def bind(self, settings: SessionSettings) -> None:
        """Also asks the file anew, which may lack something now; see `RevocationList.bind`."""
        super().bind(settings)
        self._readers.forget()

    def lookup(
        self, scopes: Sequence[bytes], *, checkpoint: int = 0, fresh: bool = True
    ) -> Standing:
        """What stands now; see `RevocationList.lookup`."""
        scopes = tuple(scopes)
        found = self._readers.read(self._find, scopes, checkpoint)
        if found is None:
            self._begin(scopes[0][:PREFIX_BYTES])
            found = self._readers.read(self._find, scopes, checkpoint)
            if found is None:
                raise explain(self._path, OSError("the file was replaced just now"))
        return _later(found, int(self._clock() * 1_000_000))

    def raise_epoch(self, scope: bytes) -> int:
        """Raise to max(standing + 1, the list's clock); see `RevocationList.raise_epoch`."""

        def work(writer: Database) -> int:
            standing = epoch_of(writer.connection, scope)
            return standing if standing == LAST_EPOCH else self._put(writer, scope, standing)

        return self._writer.write(work)

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

        def work(writer: Database) -> int | None:
            if nonce in self._nonces:
                return self._nonces.answer(nonce)
            standing = epoch_of(writer.connection, scope)
            if standing != expected or standing == LAST_EPOCH:
                return None
            return self._put(writer, scope, standing, LAST_EPOCH if last else value)

        return self._nonces.keep(nonce, self._writer.write(work))

    def end(self, scope: bytes) -> None:
        """Give a session or a group its last epoch."""

        def work(writer: Database) -> None:
            standing = epoch_of(writer.connection, scope)
            if standing != LAST_EPOCH:
                self._put(writer, scope, standing, LAST_EPOCH)

        self._writer.write(work)

    def raise_if_forgotten(self, scope: bytes, witness: Witness) -> int | None:
        """Raise everything if a token proves that the list forgot."""
        prefix = scope[:PREFIX_BYTES]

        def work(writer: Database) -> int | None:
            kept = self._kept_in(writer, prefix)
            everything = epoch_of(writer.connection, scope)
            proven = proves(
                witness,
                kept.history,
                everything=everything,
                kept=epoch_of(writer.connection, checkpoint_scope(prefix, witness.checkpoint)),
                now=microseconds(self._clock),
                retention=kept.retention,
            )
            return self._put(writer, scope, max(everything, witness.everything)) if proven else None

        return self._writer.write(work)

    def new_birth(self, prefix: bytes) -> int:
        """Draw a new birth for one application; see `RevocationList.new_birth`."""

        def work(writer: Database) -> int:
            kept, now = self._kept_in(writer, prefix), microseconds(self._clock)
            history = History.begun(now, keeps_birth=True, clock=kept.history.clock)
            keep(writer.connection, prefix, kept._replace(history=history))
            return history.birth

        return self._writer.write(work)

    def purge(self, progress: Callable[[int], None] | None = None) -> int:
        """Remove entries older than their retention; returns how many.

        In steps of 1,000 entries with a pause after each, so that no other writer waits long.
        """
        looked_at = removed = 0
        for prefix in tuple(self._bindings):
            after: bytes | None = prefix
            while after is not None:
                start = after

                def work(
                    writer: Database, prefix: bytes = prefix, start: bytes = start
                ) -> tuple[bytes | None, int, int]:
                    kept, now = self._kept_in(writer, prefix), microseconds(self._clock)
                    before = now - kept.retention
                    swept = sweep(writer.connection, prefix, start, _PURGED_AT_ONCE, before)
                    if swept[-1]:
                        history = kept.history._replace(purged=max(now, kept.history.purged))
                        keep(writer.connection, prefix, kept._replace(history=history))
                    return swept

                after, looked, gone = self._writer.write(work, tidy=True)
                looked_at += looked
                removed += gone
                if progress is not None:
                    progress(looked_at)
                if after is not None:
                    time.sleep(_PAUSE)
        return removed

    def knows(self, prefix: bytes) -> bool:
        """Whether the application has used the list in this file, if there is one."""
        try:
            if not self._path.exists():
                return False
            with contextlib.closing(Database(self._path, self._busy_timeout)) as database:
                return kept_of(database.connection, prefix) is not None
        except (sqlite3.Error, OSError) as error:
            raise explain(self._path, error) from error

    def survey(self, prefix: bytes) -> Survey:
        """Count what is there for one application; the bytes are those of the files."""
        try:
            with contextlib.closing(Database(self._path, self._busy_timeout)) as database:
                entries, made = count(database.connection, prefix)
                kept = kept_of(database.connection, prefix)
                log = self._path.with_name(FILE_NAME + "-wal")
                size = self._path.stat().st_size + (log.stat().st_size if log.exists() else 0)
        except (sqlite3.Error, OSError) as error:
            raise explain(self._path, error) from error
        if made is None:
            return Survey(0, size, None, None)
        oldest, own = made / 1_000_000, self.binding(prefix).retention
        retention = own if kept is None else max(own, kept.retention / 1_000_000)
        return Survey(entries, size, oldest, oldest + retention)

    def save(self) -> None:
        """Nothing to do: every raise was durable when it returned."""

    def close(self) -> None:
        """Close the file once calls under way have ended; the next call opens it again."""
        self._writer.close()
        self._readers.close()

    def before_fork(self) -> None:
        """Close the file, so that the child inherits nothing of it."""
        self._writer.hold()
        self._readers.hold()

    def after_fork(self) -> None:
        """Go on, in parent and child."""
        self._readers.release()
        self._writer.release()

    def _find(
        self, cursor: sqlite3.Cursor, scopes: tuple[bytes, ...], checkpoint: int
    ) -> Standing | None:
        """What stands in the file, its time being the latest that was given out or purged at.

        None where the file does not know yet what this process needs of it.
        """
        prefix = scopes[0][:PREFIX_BYTES]
        of_checkpoint = checkpoint_scope(prefix, checkpoint)
        asked = (*scopes, of_checkpoint) if checkpoint else scopes
        kept, entries = read(cursor, prefix, asked)
        keeps_birth = self.binding(prefix).keeps_birth
        if kept is None or kept.retention < self._retention(prefix):
            return None
        if keeps_birth and not kept.history.birth:
            return None
        found = [entries.get(scope, ABSENT) for scope in scopes]
        kept_reach, _ = entries.get(of_checkpoint, ABSENT)
        return kept.standing(
            found, 0, checkpoint=checkpoint, kept=kept_reach, keeps_birth=keeps_birth
        )

    def _begin(self, prefix: bytes) -> None:
        """Have the file know the application, and how long this process needs its entries."""

        def work(writer: Database) -> bool:
            before, kept = kept_of(writer.connection, prefix), self._kept_in(writer, prefix)
            if kept != before:
                keep(writer.connection, prefix, kept)
            return before is None or before.history.birth != kept.history.birth

        if self._writer.write(work):
            warn_made_anew(self.binding(prefix), str(self._path))

    def _kept_in(self, writer: Database, prefix: bytes) -> Kept:
        """What the file keeps of an application, and what this process needs it to keep."""
        return Kept.needed(
            kept_of(writer.connection, prefix), self.binding(prefix), microseconds(self._clock)
        )

    def _retention(self, prefix: bytes) -> int:
        return int(self.binding(prefix).retention * 1_000_000)

    def _put(self, writer: Database, scope: bytes, standing: int, epoch: int | None = None) -> int:
        """Write an entry under the next number, which is its epoch unless another is given."""
        prefix = scope[:PREFIX_BYTES]
        kept, now = self._kept_in(writer, prefix), microseconds(self._clock)
        floor = 0 if epoch == LAST_EPOCH else standing
        # A file that was just opened may be another than before, or an older state of it.
        elsewhere = prefix not in writer.raised
        history, replaced = kept.history.raised(now, floor, elsewhere=elsewhere)
        if replaced is not None:
            scope_of_replaced = checkpoint_scope(prefix, replaced.checkpoint)
            put(writer.connection, scope_of_replaced, replaced.clock, history.clock)
        epoch = history.clock if epoch is None else epoch
        put(writer.connection, scope, epoch, history.clock)
        keep(writer.connection, prefix, kept._replace(history=history))
        writer.raised.add(prefix)
        start = self._swept.get(prefix, prefix)
        after, _, _ = sweep(writer.connection, prefix, start, _SWEPT_AT_ONCE, now - kept.retention)
        self._swept[prefix] = after or prefix
        return epoch


def _later(standing: Standing, now: int) -> Standing:
    """What stands, at a later time in microseconds; an earlier one changes nothing."""
    return Standing(
        standing.epochs,
        standing.made,
        now if now > standing.now else standing.now,
        standing.birth,
        standing.checkpoint,
        standing.reach,
        standing.asked_reach,
    )
