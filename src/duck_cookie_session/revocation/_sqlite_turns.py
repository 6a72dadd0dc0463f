"""Turns of those who write to SQLiteRevocationList's file: threads and processes, first come first.

SQLite keeps no queue. Whoever waits for its lock asks again after a while, and whoever has just
committed asks at once, so a few processes that write without a pause keep the others out.

Here a writer holds an `flock` on a file of its own from before it asks for SQLite's lock until it
has that. So one asks at a time, and the others stand in the kernel's queue, which forgets killed
processes. Nothing but fairness hangs on it: where a turn can't be had (Windows, a file system
without `flock`, somebody stopped in the queue), a writer asks SQLite without one.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from types import TracebackType

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # the way to say that a module is not there


_GIVE_WAY = 0.001  # seconds; about as long as a write


class Turn:
    """One turn, from its beginning to `end()`; empty if no turn could be had."""

    __slots__ = ("_descriptor",)

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    def end(self) -> None:
        """Let the next one ask."""
        if self._descriptor is not None:
            _let_go(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Turn:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()


class Queue:
    """Where the writers of one list object line up with all others of its file.

    Args:
        path: a file that serves for nothing else; made when it is needed, for its owner only.
        patience: seconds after which a writer goes without a turn.
    """

    def __init__(self, path: str, patience: float) -> None:
        self._path = path
        self._patience = patience
        self._late: threading.Thread | None = None
        self._others = False

    def turn(self) -> Turn:
        """Wait for a turn, as long as patience lasts; raises nothing."""
        if fcntl is None or (self._late is not None and self._late.is_alive()):
            return Turn(None)  # our waiter is still stuck in line; one is enough
        if self._others:
            time.sleep(_GIVE_WAY)
        try:
            # Never the descriptor of another: each waits for itself, other threads too.
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError:  # opening the list comes next, and says what is wrong
            return Turn(None)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return Turn(descriptor if self._stand_in_line(descriptor) else None)
        except OSError:
            os.close(descriptor)
            return Turn(None)
        return Turn(descriptor)

    def look(self) -> None:
        """After a write: see whether others are in line. If so they go first next time.

        Whoever has just written is on the processor, and would be there before them.
        """
        try:
            with alone(self._path) as is_alone:
                self._others = not is_alone
        except OSError:
            self._others = False  # as in `turn`, there are no turns then

    def _stand_in_line(self, descriptor: int) -> bool:
        """Wait in a thread, because `flock` knows no time-out; False closes the descriptor."""
        had: Future[None] = Future()
        waiting = threading.Thread(target=_wait, args=(descriptor, had), daemon=True)
        try:
            waiting.start()
            had.result(self._patience)
        except RuntimeError:  # no more threads, or the interpreter is ending
            os.close(descriptor)
            return False
        except TimeoutError:
            if had.cancel():
                self._late = waiting
                return False
        except OSError:
            os.close(descriptor)
            return False
        except BaseException:  # Ctrl-C: nobody else could let go; raised on
            if not had.cancel():
                _let_go(descriptor)
            raise
        return True


def _wait(descriptor: int, had: Future[None]) -> None:
    """Wait for the lock; where nobody wants it any more by then, let go of it."""
    failed = None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        failed = error
    if not had.set_running_or_notify_cancel():
        _let_go(descriptor)
    elif failed is not None:
        had.set_exception(failed)
    else:
        had.set_result(None)


@contextlib.contextmanager
def alone(path: str) -> Iterator[bool]:
    """Whether nobody else holds this file or folder, by a turn or in such a block.

    It waits for nobody, and holds it while the block lasts. Always True on Windows.

    Raises:
        OSError: it can't be opened or locked.
    """
    if fcntl is None:
        yield True
        return
    descriptor, is_alone = os.open(path, os.O_RDONLY), True
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            is_alone = False
        yield is_alone
    finally:
        _let_go(descriptor)


def _let_go(descriptor: int) -> None:
    """Unlock and close. Closing alone would leave it locked while a forked child has a copy."""
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)
