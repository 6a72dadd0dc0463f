"""What `check` looks at in a SQLite list."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ..revocation.sqlite import FILE_NAME
from .findings import Finding, bad, good, note

VOLATILE = {"tmpfs", "ramfs", "devtmpfs"}
NETWORK = {"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "fuse.glusterfs", "ceph", "afs"}
MOUNTS = Path("/proc/self/mounts")
ROOM = 100 * 1024 * 1024
"""Free bytes below which the disk counts as nearly full."""


def check_sqlite(directory: str) -> Iterator[Finding]:
    """Whether the file is sound and private, what it lies on, and the room there is.

    Args:
        directory: folder of the file, which is there.
    """
    path = Path(directory).absolute() / FILE_NAME
    yield _check_file(path)
    yield _check_owner(path)
    yield _check_durable(file_system(path, MOUNTS))
    free = shutil.disk_usage(path.parent).free
    if free < ROOM:
        yield bad("room", f"{free:,} bytes free on the disk of {path.parent}: make room")
    else:
        yield good("room", f"{free / 1e9:,.1f} GB free on its disk")


def check_place(path: Path) -> Iterator[Finding]:
    """Whether the first node can make the file, and what it would lie on.

    Args:
        path: where it would be.
    """
    there = next(parent for parent in path.parents if parent.exists())
    try:
        # Tried, because what is allowed need not be possible, as in /proc. Nothing is left of it.
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        why = error.strerror
        yield bad("list", f"there is none at {path}, and none can be made in {there} ({why})")
        return
    yield note(
        "list",
        f"none yet at {path}: the first node that answers makes it. If nodes run already, "
        "SESSION_DIR is not the folder that they use",
    )
    yield _check_durable(file_system(there, MOUNTS))


def _check_file(path: Path) -> Finding:
    with contextlib.closing(sqlite3.connect(path.as_uri() + "?mode=rw", uri=True)) as connection:
        try:
            (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.Error as error:
            answer = str(error)
    if answer == "ok":
        return good("file", f"{path}, sound")
    return bad("file", f"{path} is damaged ({answer}): move it away with its -wal and -shm")


def _check_owner(path: Path) -> Finding:
    found = path.stat()
    if found.st_mode & 0o077:
        return bad("access", f"{path} is open to other users: chmod 600")
    if hasattr(os, "getuid") and found.st_uid != os.getuid():
        return note("access", f"{path} belongs to user {found.st_uid}, you are {os.getuid()}")
    return good("access", "for its owner only")


def _check_durable(kind: str | None) -> Finding:
    if kind in VOLATILE:
        return bad("durable", f"on {kind}: a restart of the machine loses it and ends all sessions")
    if kind in NETWORK:
        return bad("durable", f"on {kind}: SQLite needs a local disk; use Redis for many machines")
    return good("durable", f"synchronous=FULL, on {kind or 'a file system of unknown kind'}")


def file_system(path: Path, mounts: Path) -> str | None:
    """The type of the file system that a path lies on; None where the system does not tell.

    Args:
        mounts: the kernel's list, /proc/self/mounts.
    """
    try:
        lines = mounts.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return None
    real, best, kind = path.resolve(), "", None
    for line in lines:
        _, point, found, *_ = line.split(" ")
        point = point.replace("\\040", " ")
        if real.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, found
    return kind
