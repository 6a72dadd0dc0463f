"""The connections of SQLiteRevocationList: a few read and remember, one writes.

So lookups never wait for a commit, nor threads that look something up for each other. SQLite tells
a reader of every commit by another connection, so of our own writes too.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from .._counting import Histogram
from ._sqlite_file import Database, explain, signature
from ._sqlite_turns import Queue
from .base import Standing

_READERS = 4  # more threads at once wait for the interpreter's lock anyway
_REMEMBERED = 4_096  # answers of one reader, about 3 MB
_TRIES = 3
_PATIENCE = 1.0  # seconds to wait for a turn; at most half of the time-out

Result = TypeVar("Result")

Find = Callable[[sqlite3.Cursor, tuple[bytes, ...], int], Standing | None]
"""Looks up scopes and a checkpoint; None is not remembered."""

_abandoned: list[Database] = []  # closed by a child, they would disturb the parent


class _Connection:
    """One connection, opened when it is needed, and the lock of whoever uses it.

    Args:
        path: the file.
        busy_timeout: seconds to wait for others.
    """

    def __init__(self, path: Path, busy_timeout: float) -> None:
        self._path = path
        self._path_text = str(path)
        self._busy_timeout = busy_timeout
        self._database: Database | None = None
        self._pid = os.getpid()
        self._lock = self._held = threading.RLock()
        self._locks: dict[int, threading.RLock] = {}

    def close(self) -> None:
        """Close it once calls under way have ended; the next call opens it again."""
        with self._own_lock():
            self._drop()

    def hold(self) -> None:
        """Close it and let nobody open it until `release`.

        SQLite must not see a connection carried over a fork: its locks belong to the parent, and
        a child that trusts them loses commits. (sqlite.org/howtocorrupt.html, section 2.6)
        """
        self._held = self._own_lock()
        self._held.acquire()
        self._drop()

    def release(self) -> None:
        """Go on."""
        self._held.release()

    def _own_lock(self) -> threading.RLock:
        """The lock, for `with`; in a child forked without Python's hooks another one."""
        if os.getpid() != self._pid:
            self._begin_in_child()
        return self._lock

    def _begin_in_child(self) -> None:
        """Leave the parent's connection alone, and its lock, which a thread of it may hold."""
        pid = os.getpid()
        with self._locks.setdefault(pid, threading.RLock()):
            if pid == self._pid:
                return
            if self._database is not None:
                _abandoned.append(self._database)
                self._database = None
            self._drop()
            self._lock, self._pid = self._locks[pid], pid

    def _current(self) -> Database:
        """The connection, opened anew where the file was removed, replaced or written to.

        It is written to as well when its log is emptied, about every 2,000 raises; opening is cheap
        enough. Called with the lock held.
        """
        database = self._database
        if database is None or signature(self._path_text) != database.seen:
            opened = self._open(database)
            self._drop()
            database = self._database = opened
        return database

    def _open(self, replaces: Database | None) -> Database:
        return Database(self._path, self._busy_timeout, replaces)

    def _drop(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None


class Reader(_Connection):
    """Reads, and remembers whole answers until somebody commits."""

    def __init__(self, path: Path, busy_timeout: float) -> None:
        super().__init__(path, busy_timeout)
        self.known: dict[tuple[tuple[bytes, ...], int], Standing] = {}
        self._version: tuple[int] | None = None

    def read(self, find: Find, scopes: tuple[bytes, ...], checkpoint: int) -> Standing | None:
        """What `find` finds in the file as it is now, or found there before the same scopes.

        Raises:
            RevocationListUnavailable: the file can't be read.
        """
        with self._own_lock():
            try:
                reader = self._current()
                version = reader.cursor.execute("PRAGMA data_version").fetchone()
                if version != self._version:
                    self.known.clear()
                    self._version = version
                found = self.known.get((scopes, checkpoint))
                if found is not None:
                    return found
                found = find(reader.cursor, scopes, checkpoint)
            except (sqlite3.Error, OSError) as error:
                self._drop()
                raise explain(self._path, error) from error
            if found is not None:
                if len(self.known) >= _REMEMBERED:
                    self.known.clear()
                self.known[scopes, checkpoint] = found
        return found

    def forget(self) -> None:
        """Ask the file again: what is asked of it has changed."""
        with self._own_lock():
            self.known.clear()

    def _drop(self) -> None:
        self.known.clear()
        self._version = None
        super()._drop()


class Readers:
    """Readers for many threads: each takes one that is idle, the one that was used last.

    All are here from the beginning, so that a fork can hold off whoever would open one.
    """

    def __init__(self, path: Path, busy_timeout: float) -> None:
        self._all = [Reader(path, busy_timeout) for _ in range(_READERS)]
        self._idle = self._all[:]
        self._pid = os.getpid()

    def read(self, find: Find, scopes: tuple[bytes, ...], checkpoint: int) -> Standing | None:
        """See `Reader.read`."""
        try:
            reader = self._idle.pop()
        except IndexError:  # all in use
            return self._all[0].read(find, scopes, checkpoint)
        try:
            return reader.read(find, scopes, checkpoint)
        finally:
            self._idle.append(reader)

    def forget(self) -> None:
        """Ask the file again: what is asked of it has changed."""
        for reader in self._all:
            reader.forget()

    def close(self) -> None:
        """Close them; see `Reader.close`."""
        for reader in self._all:
            reader.close()

    def hold(self) -> None:
        """Close them and let nobody open one until `release`; see `Reader.hold`."""
        for reader in self._all:
            reader.hold()

    def release(self) -> None:
        """Go on."""
        for reader in self._all:
            reader.release()
        if os.getpid() != self._pid:
            # Threads that had taken one are not in the child, to give it back.
            self._idle, self._pid = self._all[:], os.getpid()


class Writer(_Connection):
    """Writes, a transaction at a time, in turn with all other writers.

    Args:
        took: how long each write took.
    """

    def __init__(self, path: Path, busy_timeout: float, took: Histogram) -> None:
        super().__init__(path, busy_timeout)
        self._took = took
        self._queue = Queue(f"{path}-turn", min(_PATIENCE, busy_timeout / 2))

    def write(self, work: Callable[[Database], Result], *, tidy: bool = False) -> Result:
        """Run `work` in a transaction; what it returns is durable then.

        Where the file was removed or replaced meanwhile, the commit went to a file that nobody
        reads any more: done again in the new one.

        Args:
            work: what is done; again, if need be.
            tidy: empty the log early, so that others need not.

        Raises:
            RevocationListUnavailable: nothing was written.
        """
        began = time.monotonic()
        try:
            return self._write(work, began + self._busy_timeout, tidy=tidy)
        finally:
            self._took.add(time.monotonic() - began)

    def _write(self, work: Callable[[Database], Result], deadline: float, *, tidy: bool) -> Result:
        with self._queue.turn() as turn:
            lock = self._own_lock()
            if not lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
                raise explain(self._path, TimeoutError("another thread is writing"))
            try:
                for _ in range(_TRIES):
                    writer = self._current()
                    writer.begin(deadline)
                    turn.end()
                    result = work(writer)
                    writer.make_room()
                    writer.connection.execute("COMMIT")
                    self._queue.look()
                    if writer.is_current():
                        writer.empty_log(self._busy_timeout, early=tidy)
                        return result
                raise OSError("the file is being replaced again and again")
            except (sqlite3.Error, OSError) as error:
                self._drop()
                raise explain(self._path, error) from error
            except BaseException:  # Ctrl-C too: no transaction may stay open; raised on
                self._drop()
                raise
            finally:
                lock.release()

    def _open(self, replaces: Database | None) -> Database:
        return Database(self._path, self._busy_timeout, replaces, writes=True)
