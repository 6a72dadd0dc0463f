"""The file of SQLiteRevocationList: opened, made anew where it was lost, its errors explained.

The file, its log (`-wal`) and its `-shm` belong together: whoever moves or removes one does so with
all three. Where only the file itself is gone, or another one lies in its place, what is left of the
other two is removed, because a file must not be read with the log of another.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from .._log import logger
from ..errors import RevocationListUnavailable
from ._sqlite_log import is_empty, make_room, reaches
from ._sqlite_rows import FORMAT, TABLES, draw_mark, is_repacked, marks_differ
from ._sqlite_turns import alone

_RETRY = 0.001  # seconds between two tries for a lock
_OFTEN = 0.000_2  # the same, for SQLite's lock
_WRITTEN_WITHIN = 0.2  # seconds from when a file is emptied, if it is to be written over
_LONG_LOG = 16_000_000  # bytes; a raise writes about 8,000
_EARLY = 4  # whoever tidies does it when the log is a fourth of that
_EMPTYING_TRIES = 50

_REPACKED = (
    "The file %s was put under the log of another one, as when a copy made by VACUUM is written "
    "over it in place, or was itself repacked: what it holds can't be told, so a new list is made, "
    "which ends every session."
)

Signature = tuple[int, int, int, int]


def signature(path: str) -> Signature | None:
    """What tells that the file is still the one that was opened and untouched from outside.

    None where it was removed.
    """
    try:
        found = os.stat(path)  # noqa: PTH116  # Path.stat() doubles the cost, paid at each lookup
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_dev, found.st_size, found.st_mtime_ns


class Database:
    """One connection to the list's file, and what the file was when it was opened.

    The file is made first (mode 0600, its folder 0700) if it is missing or empty.

    Args:
        path: the file.
        busy_timeout: seconds to wait for others.
        replaces: the connection that has turned out to be to another file, or an older state.

    Raises:
        OSError, sqlite3.Error: for `explain` to explain.
    """

    __slots__ = ("_log", "_try_at", "connection", "cursor", "path", "raised", "seen")

    def __init__(
        self,
        path: Path,
        busy_timeout: float,
        replaces: Database | None = None,
        *,
        writes: bool = False,
    ) -> None:
        self.path: str = str(path)
        self.raised: set[bytes] = set()  # applications that a raise was made for here
        self._try_at = _LONG_LOG
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone_in(path.parent, busy_timeout):
            if _is_lost(path):
                _make_anew(path)
            elif replaces is not None:
                replaces._leave_no_log()
            self.connection: sqlite3.Connection = _connect(path, busy_timeout)
            try:
                if marks_differ(self.connection):
                    _leave_foreign_log(path)
                    self.connection.close()
                    self.connection = _connect(path, busy_timeout)
                elif not is_empty(self.path + "-wal") and self._is_repacked(path):
                    self.connection.close()
                    logger.warning(_REPACKED, path)
                    _make_anew(path)
                    self.connection = _connect(path, busy_timeout)
                _check_tables(self.connection)
                self.cursor: sqlite3.Cursor = self.connection.cursor()
                self._log = signature(self.path + "-wal")
                if writes:
                    self.connection.execute("PRAGMA wal_autocheckpoint = 0")  # see empty_log()
                    self.connection.execute("PRAGMA busy_timeout = 0")  # begin() waits
                    if self._log is None or self._log[2] == 0:
                        self._empty_log(busy_timeout)
                        self._log = signature(self.path + "-wal")
                self.seen: Signature | None = signature(self.path)
            except BaseException:  # Ctrl-C too: nobody else could close it; raised on
                self.connection.close()
                raise

    def begin(self, deadline: float) -> None:
        """Begin a transaction that writes.

        SQLite's own way to wait sleeps longer each time, up to a tenth of a second. Whoever has its
        turn is alone in asking, as a rule, and may ask often.

        Args:
            deadline: when to give up, by the monotonic clock; asked once in any case.
        """
        while True:
            try:
                self.connection.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
            time.sleep(_OFTEN)

    def make_room(self) -> None:
        """Within a transaction: have its commit write over what is there, which is faster."""
        if self._log is not None:
            make_room(self.path + "-wal", self._log[:2])

    def is_current(self) -> bool:
        """Whether the paths still lead to the file and log that are open, not emptied meanwhile."""
        found, log = signature(self.path), signature(self.path + "-wal")
        if found is None or self.seen is None or found[:2] != self.seen[:2] or not found[2]:
            return False
        return log is not None and self._log is not None and log[:2] == self._log[:2]

    def empty_log(self, busy_timeout: float, *, early: bool = False) -> None:
        """Write a log that has become long into the file, which gets another mark.

        What was committed stays, and stays durable, whatever happens here. One process does it, and
        whoever else finds the log long meanwhile goes on.
        """
        if not reaches(self.path + "-wal", self._try_at // _EARLY if early else self._try_at):
            return
        try:
            with alone(self.path + "-wal") as is_alone:  # a lock that SQLite does not know of
                if not is_alone:
                    return
                self._try_at += _LONG_LOG
                self._empty_log(busy_timeout)
                self._try_at = _LONG_LOG
        except (sqlite3.Error, OSError):  # tried again later; a full disk is met by raises
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")  # or nobody else could write
        self.raised.clear()  # the file may have become another meanwhile
        self.seen = signature(self.path)

    def _empty_log(self, busy_timeout: float) -> None:
        """Draw a mark, then have SQLite empty the log, first as much as holds up nobody."""
        self.begin(time.monotonic() + busy_timeout)
        draw_mark(self.connection, _schema_cookie(Path(self.path)))
        self.connection.execute("COMMIT")
        self.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        for _ in range(_EMPTYING_TRIES):
            (busy, _, _) = self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not busy:
                return
            time.sleep(_RETRY)

    def close(self) -> None:
        """Close it; what SQLite still complains of then was reported where it happened."""
        with contextlib.suppress(sqlite3.Error):
            self.connection.close()

    def _is_repacked(self, path: Path) -> bool:
        """Whether it is, as long as nobody empties the log meanwhile."""
        while is_repacked(self.connection, cookie := _schema_cookie(path)):
            if cookie == _schema_cookie(path):
                return True
        return False

    def _leave_no_log(self) -> None:
        """Remove the log of this file if another one took its place beside it."""
        log = signature(self.path + "-wal")
        if not self.is_current() and log and self._log and log[:2] == self._log[:2]:
            for suffix in ("-wal", "-shm"):
                Path(self.path + suffix).unlink(missing_ok=True)


def explain(path: Path, error: Exception) -> RevocationListUnavailable:
    """What is wrong with the file and what to do, for whoever runs the server."""
    # Of the system's errors without the path, whose folders may have any name.
    said = getattr(error, "strerror", None) or error
    text = f"{type(error).__name__}: {said}".lower()
    fitting = [advice for words, advice in _ADVICE if any(word in text for word in words)]
    advice = fitting[0] if fitting else "the error above says why"
    return RevocationListUnavailable(
        f"The revocation list {path} can't be used ({error}): {advice}."
    )


_ADVICE = (
    (("locked", "busy", "timeouterror"), "another program holds it; wait, or close that program"),
    (("full", "no space", "quota", "file too large"), "make room on its disk"),
    (
        ("no such file",),
        "its folder (SESSION_DIR), or the file in it, can't be made there; choose a folder on a "
        "disk of this machine",
    ),
    (
        ("not a database", "malformed", "corrupt", "no such", "newer version"),
        "move it away together with its -wal and -shm files; a new list is then made, which ends "
        "every session",
    ),
    (
        ("readonly", "read-only", "permission", "not permitted"),
        "let the user of this process write to the file and its folder",
    ),
    (
        ("file exists", "not a directory", "is a directory"),
        "the path of its folder (SESSION_DIR) must lead to a folder, and the file must be a file",
    ),
    (("unable to open", "disk i/o"), "check that the folder is there, writable, and its disk well"),
)


def _is_lost(path: Path) -> bool:
    """Whether the file is gone, or empty and stays so.

    `cp` empties a file before it writes over it. A log beside it tells such a file from a new one.
    """
    deadline = time.monotonic() + _WRITTEN_WITHIN
    while True:
        found, log = signature(str(path)), signature(f"{path}-wal")
        if found is None:
            return True
        if found[2]:
            return False
        if log is None or not log[2] or time.monotonic() > deadline:
            return True
        time.sleep(_RETRY)


def _make_anew(path: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _leave_foreign_log(path: Path) -> None:
    """Part a file that was written over in place from the log of what it was before.

    Put under a name of its own and back, it is another file to whoever has the old one open, and
    SQLite does not write the log of one that was moved away.
    """
    content = path.read_bytes()
    page = int.from_bytes(content[16:18], "big")
    if int.from_bytes(content[28:32], "big") * (page if page > 1 else 65_536) > len(content):
        raise OSError("it is being written over")
    logger.warning(
        "The file %s was put under the log of another one, as when a copy is written over it in "
        "place: the copy is used and the log removed.",
        path,
    )
    own = path.with_name(path.name + "-copy")
    own.unlink(missing_ok=True)
    with os.fdopen(os.open(own, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    own.replace(path)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _connect(path: Path, busy_timeout: float) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path.as_uri() + "?mode=rw",
        uri=True,
        timeout=busy_timeout,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        _prepare(connection, path)
    except BaseException:  # Ctrl-C too: nobody else could close it; raised on
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # a commit is on the disk when it returns
    if _version(connection) < FORMAT:
        connection.execute("BEGIN IMMEDIATE")  # of one that is killed here nothing is left
        if _version(connection) < FORMAT:
            _make_tables(connection, path)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    if _version(connection) > FORMAT:
        raise sqlite3.DatabaseError(f"made by a newer version, format {_version(connection)}")


def _check_tables(connection: sqlite3.Connection) -> None:
    """Raise sqlite3.DatabaseError where they can't be read. Not under the log of another file."""
    connection.execute("SELECT scope, epoch, made FROM epochs LIMIT 1").fetchone()
    connection.execute("SELECT birth, checkpoint, clock, mark FROM histories LIMIT 1").fetchone()


def _make_tables(connection: sqlite3.Connection, path: Path) -> None:
    if connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
        version = _version(connection)
        raise sqlite3.DatabaseError(f"not a database of this version, format {version}")
    for table in TABLES:
        connection.execute(table)
    draw_mark(connection, _schema_cookie(path))
    connection.execute(f"PRAGMA user_version = {FORMAT}")


def _schema_cookie(path: Path) -> int:
    """The one in the file itself, without its log."""
    # SQLite reads it: a file of ours that is opened beside it and closed drops the process's locks.
    address = path.as_uri() + "?mode=ro&immutable=1"
    with contextlib.closing(sqlite3.connect(address, uri=True)) as alone:
        # While a log is emptied, the first page may speak of others that are still to be written,
        # which SQLite takes for damage unless told this.
        alone.execute("PRAGMA writable_schema = ON")
        return int(alone.execute("PRAGMA schema_version").fetchone()[0])


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


@contextlib.contextmanager
def _alone_in(folder: Path, timeout: float) -> Iterator[None]:
    """Let one process at a time open or make the file; the lock goes with a killed process."""
    deadline = time.monotonic() + timeout
    while True:
        with alone(str(folder)) as is_alone:
            if is_alone:
                yield
                return
        if time.monotonic() > deadline:
            raise TimeoutError("another process is opening it")
        time.sleep(_RETRY)
