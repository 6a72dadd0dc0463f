"""What has to be done when a process forks, by whatever holds locks or connections."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol


class Forkable(Protocol):
    """What takes part: no lock may be copied while held, no connection used by two."""

    def before_fork(self) -> None:
        """In the parent: finish what is under way and hold everybody off."""

    def after_fork(self) -> None:
        """In parent and child: go on."""


_watched: weakref.WeakSet[Forkable] = weakref.WeakSet()
_held: list[Forkable] = []
_forking = threading.Lock()  # of two threads that fork at once, one waits


def watch_forks(forkable: Forkable) -> None:
    """Have an object told of forks for as long as it lives."""
    with _forking:  # never while a fork goes through what is watched
        _watched.add(forkable)


def _before() -> None:
    _forking.acquire()
    _held.extend(_watched)
    for forkable in _held:
        forkable.before_fork()


def _after() -> None:
    if not _forking.locked():
        return  # a server that forks by itself may tell only of the child, as uWSGI does
    while _held:
        _held.pop().after_fork()
    _forking.release()


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after)
