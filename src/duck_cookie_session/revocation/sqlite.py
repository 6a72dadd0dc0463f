"""SQLiteRevocationList: the default, one file for every process of one machine."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from .._forks import watch_forks
from ..errors import InvalidArgument
from ._counting import (
    clock_scope,
    entry_range,
    first_epoch,
    microseconds,
    next_epoch,
    retention_scope,
    warn_made_anew,
)
from ._sqlite_file import Database, explain, signature
from .base import LAST_EPOCH, PREFIX_BYTES, RevocationList, Survey, is_everything

FILE_NAME = "revocations.sqlite3"

_SWEPT_AT_ONCE = 20
_PURGED_AT_ONCE = 1_000
_REMEMBERED = 16_384  # scopes, about 2 MB
_TRIES = 3

_PUT = "INSERT OR REPLACE INTO epochs (scope, epoch, made) VALUES (?, ?, ?)"
_EPOCH = "(SELECT epoch FROM epochs WHERE scope = ?)"
_MADE = "(SELECT made FROM epochs WHERE scope = ?)"
_NEXT = "SELECT scope, made FROM epochs WHERE scope > ? AND scope < ? ORDER BY scope LIMIT ?"

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
        self._path_text = str(self._path)
        self._clock = clock
        self._busy_timeout = busy_timeout
        # Two connections: lookups never wait for a commit. SQLite tells the reader of every
        # commit by another connection, so of our own writes too.
        self._read_lock = threading.RLock()
        self._reader: Database | None = None
        self._version: tuple[int] | None = None
        self._known: dict[bytes, int] = {}
        self._retained: set[bytes] = set()
        self._write_lock = threading.RLock()
        self._writer: Database | None = None
        self._swept: dict[bytes, bytes] = {}
        watch_forks(self)

    def lookup(self, scopes: Sequence[bytes], *, fresh: bool = True) -> tuple[int, ...]:
        """The epochs that stand now; see `RevocationList.lookup`."""
        with self._read_lock:
            try:
                reader = self._open_reader()
                version = reader.cursor.execute("PRAGMA data_version").fetchone()
                if version != self._version:
                    self._known.clear()
                    self._version = version
                standing: tuple[int | None, ...] = tuple(map(self._known.get, scopes))
                if None not in standing:
                    return standing  # type: ignore[return-value]  # mypy can't see that
                standing = _select(reader, _EPOCH, scopes)
            except (sqlite3.Error, OSError) as error:
                self._drop_reader()
                raise explain(self._path, error) from error
            missing = self._remember(scopes, standing)
        if missing is not None:
            self._make_everything(missing)
            return self.lookup(scopes)
        if scopes and scopes[0][:PREFIX_BYTES] not in self._retained:
            self._keep_retention(scopes[0][:PREFIX_BYTES])
        return tuple([epoch or 0 for epoch in standing])

    def raise_epoch(self, scope: bytes) -> int:
        """Raise to max(standing + 1, the list's clock); see `RevocationList.raise_epoch`."""

        def work(writer: sqlite3.Connection) -> int:
            standing = _epoch_of(writer, scope) or 0
            if standing == LAST_EPOCH:
                return LAST_EPOCH
            return self._put(writer, scope, standing, last=False)

        return self._write(work)

    def compare_and_raise(self, scope: bytes, expected: int, *, last: bool = False) -> int | None:
        """Raise if the epoch is `expected`; see `RevocationList.compare_and_raise`."""

        def work(writer: sqlite3.Connection) -> int | None:
            standing = _epoch_of(writer, scope) or 0
            if standing != expected or standing == LAST_EPOCH:
                return None
            return self._put(writer, scope, standing, last=last)

        return self._write(work)

    def end(self, scope: bytes) -> None:
        """Give a session its last epoch."""

        def work(writer: sqlite3.Connection) -> None:
            standing = _epoch_of(writer, scope) or 0
            if standing != LAST_EPOCH:
                self._put(writer, scope, standing, last=True)

        self._write(work)

    def age(self, scope: bytes) -> float | None:
        """Seconds since the entry was made or last raised; None without it."""
        with self._read_lock:
            try:
                made, last = _select(self._open_reader(), _MADE, (scope, clock_scope(scope)))
            except (sqlite3.Error, OSError) as error:
                self._drop_reader()
                raise explain(self._path, error) from error
        if made is None:
            return None
        return (max(microseconds(self._clock), last or 0, made) - made) / 1_000_000

    def purge(self, progress: Callable[[int], None] | None = None) -> int:
        """Remove entries older than their retention; returns how many.

        In steps of 1,000 entries, so that no other writer waits long.
        """
        looked_at = removed = 0
        for prefix in tuple(self._bindings):
            after: bytes | None = prefix
            while after is not None:
                start = after

                def work(
                    writer: sqlite3.Connection, prefix: bytes = prefix, start: bytes = start
                ) -> tuple[bytes | None, int, int]:
                    return self._sweep(writer, prefix, start, _PURGED_AT_ONCE)

                after, looked, gone = self._write(work)
                looked_at += looked
                removed += gone
                if progress is not None:
                    progress(looked_at)
        return removed

    def survey(self, prefix: bytes) -> Survey:
        """Count what is there for one application; the bytes are those of the files."""
        with self._explained():
            database = Database(self._path, self._busy_timeout)
            with contextlib.closing(database):
                entries, made = database.connection.execute(
                    "SELECT count(*), min(made) FROM epochs WHERE scope > ? AND scope < ?",
                    entry_range(prefix),
                ).fetchone()
                kept = _epoch_of(database.connection, retention_scope(prefix)) or 0
                log = self._path.with_name(FILE_NAME + "-wal")
                size = self._path.stat().st_size + (log.stat().st_size if log.exists() else 0)
        if made is None:
            return Survey(0, size, None, None)
        oldest = made / 1_000_000
        retention = max(kept / 1_000_000, self.binding(prefix).retention)
        return Survey(entries, size, oldest, oldest + retention)

    def save(self) -> None:
        """Nothing to do: every raise was durable when it returned."""

    def close(self) -> None:
        """Close the file once calls under way have ended; the next call opens it again."""
        with self._write_lock:
            self._drop_writer()
        with self._read_lock:
            self._drop_reader()

    def before_fork(self) -> None:
        """Close the file, so that the child inherits nothing of it.

        SQLite must not see a connection carried over a fork: its locks belong to the parent, and
        a child that trusts them loses commits. (sqlite.org/howtocorrupt.html, section 2.6)
        """
        self._write_lock.acquire()
        self._read_lock.acquire()
        self._drop_writer()
        self._drop_reader()

    def after_fork(self) -> None:
        """Go on, in parent and child."""
        self._read_lock.release()
        self._write_lock.release()

    # Reading: called with the read lock held.

    def _open_reader(self) -> Database:
        """The reader, opened anew when the file was removed, replaced or written from outside.

        A checkpoint writes to the file as well, about every 300 raises; opening is cheap enough.
        """
        reader = self._reader
        if reader is None or signature(self._path_text) != reader.seen:
            reader = Database(self._path, self._busy_timeout, replaces=reader)
            self._drop_reader()
            self._reader = reader
        return reader

    def _drop_reader(self) -> None:
        self._known.clear()
        self._retained.clear()
        self._version = None
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _remember(self, scopes: Sequence[bytes], standing: tuple[int | None, ...]) -> bytes | None:
        """Keep what was read; gives `everything` if that is missing."""
        if len(self._known) > _REMEMBERED:
            self._known.clear()
        missing = None
        for scope, epoch in zip(scopes, standing, strict=True):
            if epoch is None and is_everything(scope):
                missing = scope
            else:
                self._known[scope] = epoch or 0
        return missing

    # Writing.

    def _write(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Run `work` in a transaction; what it returns is durable then.

        Where the file was removed or replaced meanwhile, the commit went to a file that nobody
        reads any more: done again in the new one.
        """
        if not self._write_lock.acquire(timeout=self._busy_timeout):
            raise explain(self._path, TimeoutError("another thread is writing"))
        try:
            with self._explained():
                for _ in range(_TRIES):
                    writer = self._open_writer()
                    writer.begin(self._busy_timeout)
                    result = work(writer.connection)
                    writer.connection.execute("COMMIT")
                    if writer.is_current():
                        return result
                raise OSError("the file is being replaced again and again")
        except BaseException:  # Ctrl-C too: no transaction may stay open; raised on
            self._drop_writer()
            raise
        finally:
            self._write_lock.release()

    def _open_writer(self) -> Database:
        writer = self._writer
        if writer is None or not writer.is_current():
            writer = Database(self._path, self._busy_timeout, replaces=writer)
            writer.connection.execute("PRAGMA busy_timeout = 0")  # begin() waits
            self._drop_writer()
            self._writer = writer
        return writer

    def _drop_writer(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _make_everything(self, scope: bytes) -> None:
        binding = self.binding(scope)

        def work(writer: sqlite3.Connection) -> bool:
            if _epoch_of(writer, scope) is not None:
                return False
            now = microseconds(self._clock)
            writer.execute(_PUT, (scope, first_epoch(binding, now), now))
            return True

        if self._write(work):
            warn_made_anew(binding, self._path_text)

    def _put(self, writer: sqlite3.Connection, scope: bytes, standing: int, *, last: bool) -> int:
        clock = clock_scope(scope)
        handed_out = _epoch_of(writer, clock) or 0
        number = next_epoch(microseconds(self._clock), handed_out, 0 if last else standing)
        epoch = LAST_EPOCH if last else number
        writer.execute(_PUT, (scope, epoch, number))
        writer.execute(_PUT, (clock, number, number))
        prefix = scope[:PREFIX_BYTES]
        after, _, _ = self._sweep(writer, prefix, self._swept.get(prefix, prefix), _SWEPT_AT_ONCE)
        self._swept[prefix] = after or prefix
        return epoch

    def _sweep(
        self, writer: sqlite3.Connection, prefix: bytes, after: bytes, limit: int
    ) -> tuple[bytes | None, int, int]:
        """Look at the next `limit` entries and remove the expired ones.

        Returns the last scope looked at (None at the end), how many, and how many were removed.
        """
        first, end = entry_range(prefix)
        rows = writer.execute(_NEXT, (max(first, after), end, limit)).fetchall()
        before = microseconds(self._clock) - self._retention(writer, prefix)
        expired = [(scope,) for scope, made in rows if made < before]
        if expired:
            writer.executemany("DELETE FROM epochs WHERE scope = ?", expired)
        return (rows[-1][0] if len(rows) == limit else None), len(rows), len(expired)

    def _keep_retention(self, prefix: bytes) -> None:
        """Have the file know how long this process needs entries, even if it only ever reads."""
        with self._read_lock:
            try:
                (kept,) = _select(self._open_reader(), _EPOCH, (retention_scope(prefix),))
            except (sqlite3.Error, OSError) as error:
                self._drop_reader()
                raise explain(self._path, error) from error
        if (kept or 0) < int(self.binding(prefix).retention * 1_000_000):
            self._write(lambda writer: self._retention(writer, prefix))
        self._retained.add(prefix)

    def _retention(self, writer: sqlite3.Connection, prefix: bytes) -> int:
        """Microseconds that entries live, of which the longest is kept."""
        own = int(self.binding(prefix).retention * 1_000_000)
        kept = _epoch_of(writer, retention_scope(prefix)) or 0
        if own > kept:
            writer.execute(_PUT, (retention_scope(prefix), own, microseconds(self._clock)))
        return max(own, kept)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise explain(self._path, error) from error


def _epoch_of(connection: sqlite3.Connection, scope: bytes) -> int | None:
    row = connection.execute("SELECT epoch FROM epochs WHERE scope = ?", (scope,)).fetchone()
    return None if row is None else row[0]


def _select(reader: Database, column: str, scopes: Sequence[bytes]) -> tuple[int | None, ...]:
    query = "SELECT " + ", ".join([column] * len(scopes))
    row: tuple[int | None, ...] = reader.cursor.execute(query, scopes).fetchone()
    return row
