"""What a list has to do when its process forks."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Forkable(Protocol):
    """A list that takes part: no lock may be copied while held, no connection used by two."""

    def before_fork(self) -> None:
        """In the parent: finish what is under way and hold everybody off."""

    def after_fork(self) -> None:
        """In parent and child: go on."""


_lists: weakref.WeakSet[Forkable] = weakref.WeakSet()
_held: list[Forkable] = []


def watch_forks(revocation_list: Forkable) -> None:
    """Have a list told of forks for as long as it lives."""
    _lists.add(revocation_list)


def _before() -> None:
    _held.extend(_lists)
    for revocation_list in _held:
        revocation_list.before_fork()


def _after() -> None:
    while _held:
        _held.pop().after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after)
