"""The file of SQLiteRevocationList: opened, made anew where it was lost, its errors explained.

The file, its `-wal` and its `-shm` belong together: whoever moves or removes one does so with all
three. Where only the file itself is gone, what is left of the other two is removed, because a new
file must not be read with an old log.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from ..errors import RevocationListUnavailable
from ._sqlite_rows import FORMAT, TABLES

try:
    import fcntl
except ImportError:  # Windows: there a file that is open can't be removed either
    fcntl = None  # type: ignore[assignment]  # the way to say that a module is not there

_RETRY = 0.001  # seconds between two tries for a lock

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

    __slots__ = ("_log", "connection", "cursor", "path", "raised", "seen")

    def __init__(self, path: Path, busy_timeout: float, replaces: Database | None = None) -> None:
        self.path: str = str(path)
        self.raised: set[bytes] = set()  # applications that a raise was made for here
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone_in(path.parent, busy_timeout):
            if not path.exists() or path.stat().st_size == 0:
                _make_anew(path)
            elif replaces is not None:
                replaces._leave_no_log()
            self.connection: sqlite3.Connection = sqlite3.connect(
                path.as_uri() + "?mode=rw",
                uri=True,
                timeout=busy_timeout,
                isolation_level=None,
                check_same_thread=False,
            )
            try:
                _prepare(self.connection)
                self.cursor: sqlite3.Cursor = self.connection.cursor()
                self.seen: Signature | None = signature(self.path)
                self._log = signature(self.path + "-wal")
            except BaseException:  # Ctrl-C too: nobody else could close it; raised on
                self.connection.close()
                raise

    def begin(self, busy_timeout: float) -> None:
        """Begin a transaction that writes.

        SQLite's own way to wait sleeps longer each time, up to a tenth of a second: among
        processes that write without a pause the latest comer then waits for seconds.
        """
        deadline = time.monotonic() + busy_timeout
        while True:
            try:
                self.connection.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
            time.sleep(_RETRY)

    def is_current(self) -> bool:
        """Whether the path still leads to the file that is open, not emptied meanwhile."""
        found = signature(self.path)
        return (
            found is not None
            and self.seen is not None
            and found[:2] == self.seen[:2]
            and found[2] > 0
        )

    def close(self) -> None:
        """Close it; what SQLite still complains of then was reported where it happened."""
        with contextlib.suppress(sqlite3.Error):
            self.connection.close()

    def _leave_no_log(self) -> None:
        """Remove the log of this file if another one took its place beside it."""
        log = signature(self.path + "-wal")
        if not self.is_current() and log and self._log and log[:2] == self._log[:2]:
            for suffix in ("-wal", "-shm"):
                Path(self.path + suffix).unlink(missing_ok=True)


def explain(path: Path, error: Exception) -> RevocationListUnavailable:
    """What is wrong with the file and what to do, for whoever runs the server."""
    text = f"{type(error).__name__}: {error}".lower()
    fitting = [advice for words, advice in _ADVICE if any(word in text for word in words)]
    advice = fitting[0] if fitting else "the error above says why"
    return RevocationListUnavailable(
        f"The revocation list {path} can't be used ({error}): {advice}."
    )


_ADVICE = (
    (("locked", "busy", "timeouterror"), "another program holds it; wait, or close that program"),
    (("full", "no space", "quota", "file too large"), "make room on its disk"),
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


def _make_anew(path: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # a commit is on the disk when it returns
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > FORMAT:
        raise sqlite3.DatabaseError(f"made by a newer version, format {version}")
    if version < FORMAT:
        if connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
            raise sqlite3.DatabaseError(f"not a database of this version, format {version}")
        for table in TABLES:
            connection.execute(table)
        connection.execute(f"PRAGMA user_version = {FORMAT}")
    connection.execute("SELECT scope, epoch, made FROM epochs LIMIT 1").fetchone()
    connection.execute("SELECT birth, checkpoint, clock FROM histories LIMIT 1").fetchone()


@contextlib.contextmanager
def _alone_in(folder: Path, timeout: float) -> Iterator[None]:
    """Let one process at a time open or make the file; the lock goes with a killed process."""
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        deadline = time.monotonic() + timeout
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TimeoutError("another process is opening it") from None
                time.sleep(_RETRY)
        yield
    finally:
        os.close(descriptor)
