"""Room in the log of SQLiteRevocationList's file, so that a raise is on the disk sooner.

A log that grows with each commit makes the file system note each time how long it is now, and the
commit waits for that as well. So the log gets zeros at its end now and then, to be written over.
To SQLite what follows the last frame means nothing, and a log of zeros is none
(https://sqlite.org/fileformat2.html#the_write_ahead_log).
"""

from __future__ import annotations

import contextlib
import os
from typing import BinaryIO

_HEADER, _FRAME = 32, 24  # bytes before all frames, and before the page in each
_PAGE = slice(8, 12)  # in the header: bytes of a page
_LOG, _OF_LOG = slice(16, 24), slice(8, 16)  # which log it is: in the header, and in each frame
_FREE = 32_768  # bytes that are to be free
_ADDED = 524_288  # bytes added at most; at first about as many as there are


def make_room(path: str, log: tuple[int, int]) -> None:
    """Add zeros to a log that is nearly full. Called while nobody else may write to it.

    Args:
        path: of the log.
        log: its inode and device; another one is left alone.
    """
    # On a full disk the log just grows as before, and the commit reports the error.
    with contextlib.suppress(OSError), open(path, "r+b", buffering=0) as file:  # noqa: PTH123  # a text
        found = os.fstat(file.fileno())
        if (found.st_ino, found.st_dev) == log and _reaches(file, found.st_size - _FREE):
            file.seek(found.st_size)
            file.write(bytes(min(found.st_size + _FREE, _ADDED)))


def is_empty(path: str) -> bool:
    """Whether there is no log, or none that SQLite would read."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123  # a text
            return not any(file.read(_HEADER))
    except FileNotFoundError:
        return True


def reaches(path: str, size: int) -> bool:
    """Whether a log has this many bytes, zeros after its last frame aside; no if unreadable."""
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123  # a text
            return _reaches(file, size)
    except OSError:  # removed, or no descriptor left; the next raise asks again
        return False


def _reaches(file: BinaryIO, size: int) -> bool:
    header = file.read(_HEADER)
    frame = _FRAME + int.from_bytes(header[_PAGE], "big")
    frames = -(-(size - _HEADER) // frame)
    if frames <= 0 or not any(header):
        return frames <= 0
    file.seek(_HEADER + (frames - 1) * frame)
    return file.read(_FRAME)[_OF_LOG] == header[_LOG]
