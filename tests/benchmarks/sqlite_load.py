"""The SQLite list under load: `python -m tests.benchmarks.sqlite_load [FOLDER]` prints figures.

How long a logout takes while 8 processes log out without a pause, and one beside a purge of half a
million entries. "Bare" is the least that SQLite can do: 8 processes that each put 16 bytes into a
table, a transaction each, with a log and synchronous=FULL, in turn as the list's writers are.
FOLDER lies on the disk that is to be measured (default: that of temporary files).
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from duck_cookie_session import SessionSettings, SQLiteRevocationList
from duck_cookie_session.revocation._sqlite_turns import Queue
from duck_cookie_session.revocation.base import Scopes
from duck_cookie_session.revocation.sqlite import FILE_NAME

PROCESSES, LOGOUTS = 8, 400
ENTRIES = 500_000
SETTINGS = SessionSettings(secret_keys="a secret of forty characters, used in tests")
SCOPES = Scopes(SETTINGS)


def main(folder: str | None) -> None:
    """Measure all, and say how busy the machine is beside."""
    print("load", *(f"{one:.1f}" for one in os.getloadavg()), flush=True)
    for what, measured in (
        (f"bare, {PROCESSES} processes", bare),
        (f"a logout, {PROCESSES} processes", many),
        (f"a logout, beside a purge of {ENTRIES:,}", beside_purge),
    ):
        with tempfile.TemporaryDirectory(dir=folder) as made:
            print(shown(what, measured(made)), flush=True)


def shown(what: str, seconds: list[float]) -> str:
    """A line of percentiles in milliseconds."""
    ordered = sorted(seconds)
    at = {
        name: ordered[min(int(part * len(ordered)), len(ordered) - 1)] * 1_000
        for name, part in (("p50", 0.5), ("p99", 0.99), ("longest", 1))
    }
    figures = ", ".join(f"{name} {value:.1f} ms" for name, value in at.items())
    return f"{what}: {figures} ({len(ordered):,} times)"


def open_list(folder: str) -> SQLiteRevocationList:
    """A list as a server has it."""
    made = SQLiteRevocationList(folder)
    made.bind(SETTINGS)
    return made


def log_out(the_list: SQLiteRevocationList) -> float:
    """Seconds that one takes."""
    scope = SCOPES.session(os.urandom(16))
    start = time.perf_counter()
    the_list.end(scope)
    return time.perf_counter() - start


def one_of_many(folder: str) -> list[float]:
    """What one process measures."""
    the_list = open_list(folder)
    log_out(the_list)
    seconds = [log_out(the_list) for _ in range(LOGOUTS)]
    the_list.close()
    return seconds


def many(folder: str) -> list[float]:
    """Logouts of processes that do nothing else."""
    open_list(folder).end(SCOPES.everything)
    return in_processes(one_of_many, folder)


def in_processes(work: Callable[[str], list[float]], folder: str) -> list[float]:
    """What processes measure that do the same at the same time."""
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        return [seconds for some in pool.map(work, [folder] * PROCESSES, 1) for seconds in some]


def bare(folder: str) -> list[float]:
    """Transactions of processes that do nothing else."""
    with contextlib.closing(bare_file(folder)) as file:
        file.execute("CREATE TABLE entries (name BLOB PRIMARY KEY) WITHOUT ROWID")
    return in_processes(one_bare, folder)


def bare_file(folder: str) -> sqlite3.Connection:
    """A file of SQLite, and nothing else."""
    file = sqlite3.connect(Path(folder) / "bare", isolation_level=None, timeout=60)
    file.execute("PRAGMA journal_mode = WAL")
    file.execute("PRAGMA synchronous = FULL")
    return file


def one_bare(folder: str) -> list[float]:
    """What one process measures."""
    queue = Queue(str(Path(folder) / "turn"), 60)
    seconds = []
    with contextlib.closing(bare_file(folder)) as file:
        for _ in range(LOGOUTS):
            start = time.perf_counter()
            with queue.turn():
                file.execute("BEGIN IMMEDIATE")
            file.execute("INSERT INTO entries VALUES (?)", (os.urandom(16),))
            file.execute("COMMIT")
            queue.look()
            seconds.append(time.perf_counter() - start)
    return seconds


def beside_purge(folder: str) -> list[float]:
    """Logouts of one process while a thread of another list purges."""
    the_list = open_list(folder)
    the_list.end(SCOPES.everything)
    the_list.close()
    raw = sqlite3.connect(Path(folder) / FILE_NAME, isolation_level=None)
    raw.execute("BEGIN")
    raw.executemany(
        "INSERT INTO epochs VALUES (?, 1, 1)",
        ((SCOPES.session(os.urandom(16)),) for _ in range(ENTRIES)),
    )
    raw.execute("COMMIT")
    raw.close()
    purging = multiprocessing.get_context("spawn").Process(target=purge, args=(folder,))
    log_out(the_list)
    purging.start()
    seconds = []
    while purging.is_alive():
        seconds.append(log_out(the_list))
        time.sleep(0.002)
    return seconds


def purge(folder: str) -> None:
    """Remove what has expired."""
    removed = open_list(folder).purge()
    assert removed > ENTRIES / 2, removed


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
