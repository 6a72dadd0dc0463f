"""What the file of SQLiteRevocationList holds, read and written: entries, histories, the mark.

Three tables: `epochs`, one row an entry; `histories`, one row an application; `mark`, a few rows.
Every function is given a connection; those that write are called within a transaction.

The mark is a random number, drawn anew just before the log is emptied into the file. Until that
happens again the log does not hold its page, but it holds that of `histories`, where it stands as
well. So where the two differ, another file was put under the log.

A copy made by VACUUM holds the same rows, the mark among them, on other pages. SQLite gives such a
copy another schema cookie (https://sqlite.org/fileformat2.html#schema_cookie): with each mark that
cookie is drawn too, and `mark` keeps which ones the file may have until the log is emptied.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Sequence

from ._history import Entry, History, Kept, entry_range, random_name

FORMAT = 3
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
    """
CREATE TABLE mark (
    mark INTEGER NOT NULL,   -- of the newest row; 0 in the others
    cookie INTEGER NOT NULL  -- a schema cookie that the file may have
)
""",
)

_BACKED_UP = 1
"""The schema cookie of a copy that SQLite's backup has made, page by page, of whatever file."""

_PUT = "INSERT OR REPLACE INTO epochs (scope, epoch, made) VALUES (?, ?, ?)"
_PUT_HISTORY = (
    "INSERT OR REPLACE INTO histories "
    "(prefix, birth, checkpoint, made, clock, purged, retention, mark) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, coalesce((SELECT max(mark) FROM mark), 0))"
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


def draw_mark(connection: sqlite3.Connection, in_file: int) -> None:
    """Give the file another mark and schema cookie.

    Args:
        in_file: the schema cookie of the file itself, without its log. Until the log is emptied it
            may be replaced by any that was drawn since, as checkpoints are made.
    """
    mark, cookie = random_name(), secrets.randbelow(2**31 - 3) + 2
    (standing,) = connection.execute("PRAGMA schema_version").fetchone()
    known = [one for (one,) in connection.execute("SELECT cookie FROM mark ORDER BY rowid")]
    since = known[known.index(in_file) :] if in_file in known else [in_file]
    connection.execute("DELETE FROM mark")
    rows = [(0, one) for one in (*since, standing)]
    connection.executemany("INSERT INTO mark (mark, cookie) VALUES (?, ?)", [*rows, (mark, cookie)])
    connection.execute("UPDATE histories SET mark = ?", (mark,))
    connection.execute(f"PRAGMA schema_version = {cookie}")


def marks_differ(connection: sqlite3.Connection) -> bool:
    """Whether the log was written for another file than it lies beside."""
    newest = "coalesce((SELECT max(mark) FROM mark), 0)"
    query = f"SELECT 1 FROM histories WHERE mark != {newest} LIMIT 1"  # noqa: S608  # text of ours
    return connection.execute(query).fetchone() is not None


def is_repacked(connection: sqlite3.Connection, in_file: int) -> bool:
    """Whether the file holds what it should on other pages than the log was written for."""
    query = "SELECT 1 FROM mark WHERE cookie = ?"
    return in_file != _BACKED_UP and connection.execute(query, (in_file,)).fetchone() is None


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
