"""What the file of SQLiteRevocationList holds, read and written: entries, histories, the mark.

Three tables: `epochs`, one row an entry; `histories`, one row an application; `mark`, one row.
Every function is given a connection; those that write are called within a transaction.

The mark is a random number, drawn anew just before the log is emptied into the file. Until that
happens again the log does not hold its page, but it holds that of `histories`, where it stands as
well. So where the two differ, another file was put under the log.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from ._history import Entry, History, Kept, entry_range, random_name

FORMAT = 2
"""`PRAGMA user_version` of the file: the tables below."""

# Without a rowid a table is its own index; an entry takes 40 to 60 bytes.
TABLES = (
    """
CREATE TABLE epochs (
    scope BLOB PRIMARY KEY,  -- as in base.py, or prefix, "k" and the name of a replaced checkpoint
    epoch INTEGER NOT NULL,  -- of a checkpoint: its reach
    made INTEGER NOT NULL    -- microseconds since 1970
) WITHOUT ROWID
""",
    """
CREATE TABLE histories (
    prefix BLOB PRIMARY KEY,
    birth INTEGER NOT NULL,       -- 0: none is kept
    checkpoint INTEGER NOT NULL,  -- the newest
    made INTEGER NOT NULL,        -- when that was made, microseconds since 1970
    clock INTEGER NOT NULL,       -- the last number given out
    purged INTEGER NOT NULL,      -- when a purge last removed something, microseconds since 1970
    retention INTEGER NOT NULL,   -- microseconds that entries live: the longest of any process
    mark INTEGER NOT NULL         -- that of the file when this was written
) WITHOUT ROWID
""",
    "CREATE TABLE mark (mark INTEGER NOT NULL)",
)

_PUT = "INSERT OR REPLACE INTO epochs (scope, epoch, made) VALUES (?, ?, ?)"
_PUT_HISTORY = (
    "INSERT OR REPLACE INTO histories "
    "(prefix, birth, checkpoint, made, clock, purged, retention, mark) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, coalesce((SELECT mark FROM mark), 0))"
)
_NEXT = "SELECT scope, made FROM epochs WHERE scope > ? AND scope < ? ORDER BY scope LIMIT ?"


def read(
    cursor: sqlite3.Cursor, prefix: bytes, scopes: Sequence[bytes]
) -> tuple[Kept | None, dict[bytes, Entry]]:
    """The history of an application and the entries that are there: one atomic read."""
    marks = ", ".join("?" * len(scopes))
    rows = cursor.execute(
        f"SELECT scope, epoch, made, 0, 0, 0, 0 FROM epochs WHERE scope IN ({marks}) "  # noqa: S608  # marks only
        "UNION ALL SELECT prefix, birth, checkpoint, made, clock, purged, retention FROM histories "
        "WHERE prefix = ?",
        (*scopes, prefix),
    ).fetchall()
    kept, entries = None, {}
    for key, first, second, *rest in rows:
        if key == prefix:
            *more, retention = rest
            kept = Kept(History(first, second, *more), retention)
        else:
            entries[key] = (first, second)
    return kept, entries


def epoch_of(connection: sqlite3.Connection, scope: bytes) -> int:
    """The epoch of a scope; 0 without an entry."""
    row = connection.execute("SELECT epoch FROM epochs WHERE scope = ?", (scope,)).fetchone()
    return 0 if row is None else int(row[0])


def put(connection: sqlite3.Connection, scope: bytes, epoch: int, made: int) -> None:
    """Write an entry."""
    connection.execute(_PUT, (scope, epoch, made))


def kept_of(connection: sqlite3.Connection, prefix: bytes) -> Kept | None:
    """What the file keeps of an application; None where no process has used it yet."""
    kept, _ = read(connection.cursor(), prefix, ())
    return kept


def keep(connection: sqlite3.Connection, prefix: bytes, kept: Kept) -> None:
    """Write what the file keeps of an application."""
    connection.execute(_PUT_HISTORY, (prefix, *kept.history, kept.retention))


def draw_mark(connection: sqlite3.Connection) -> None:
    """Give the file another mark."""
    mark = random_name()
    connection.execute("DELETE FROM mark")
    connection.execute("INSERT INTO mark (mark) VALUES (?)", (mark,))
    connection.execute("UPDATE histories SET mark = ?", (mark,))


def marks_differ(connection: sqlite3.Connection) -> bool:
    """Whether the log was written for another file than it lies beside."""
    query = "SELECT 1 FROM histories WHERE mark != coalesce((SELECT mark FROM mark), 0) LIMIT 1"
    return connection.execute(query).fetchone() is not None


def sweep(
    connection: sqlite3.Connection, prefix: bytes, after: bytes, limit: int, before: int
) -> tuple[bytes | None, int, int]:
    """Look at the next `limit` entries and remove those made earlier than `before`.

    Returns:
        The last scope looked at (None at the end), how many, and how many were removed.
    """
    first, end = entry_range(prefix)
    rows = connection.execute(_NEXT, (max(first, after), end, limit)).fetchall()
    expired = [(scope,) for scope, made in rows if made < before]
    if expired:
        connection.executemany("DELETE FROM epochs WHERE scope = ?", expired)
    return (rows[-1][0] if len(rows) == limit else None), len(rows), len(expired)


def count(connection: sqlite3.Connection, prefix: bytes) -> tuple[int, int | None]:
    """How many entries an application has, checkpoints aside, and when the oldest was made."""
    entries, oldest = connection.execute(
        "SELECT count(*), min(made) FROM epochs WHERE scope > ? AND scope < ? "
        "AND substr(scope, 9, 1) != x'6b'",
        entry_range(prefix),
    ).fetchone()
    return entries, oldest
