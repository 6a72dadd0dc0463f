"""A bounded memory of tokens that were verified, so that the next read need not decrypt.

It belongs to one key ring and goes with it. What it gives is checked for expiry and revocation
like a token that was just opened.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from .._forks import watch_forks

Value = TypeVar("Value")


class TokenCache(Generic[Value]):
    """Token text to what was verified of it; the oldest entry leaves first. Thread-safe.

    Args:
        size: most entries; 0 keeps none.
    """

    __slots__ = ("__weakref__", "_entries", "_lock", "_size", "get")

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: OrderedDict[str, Value] = OrderedDict()
        self._lock = threading.Lock()
        watch_forks(self)
        # One lookup in a dict needs no lock; bound here, it costs no second call.
        self.get: Callable[[str], Value | None] = self._entries.get

    def put(self, token: str, value: Value) -> None:
        """Keep a token; where there is no room the one kept longest goes."""
        if not self._size:
            return
        with self._lock:
            self._entries[token] = value
            if len(self._entries) > self._size:
                self._entries.popitem(last=False)

    def discard(self, token: str) -> None:
        """Forget a token that was refused."""
        with self._lock:
            self._entries.pop(token, None)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()

    def before_fork(self) -> None:
        """Hold off other threads, so that the child gets no lock that nobody releases."""
        self._lock.acquire()

    def after_fork(self) -> None:
        """Go on, in parent and child."""
        self._lock.release()

    def __len__(self) -> int:
        return len(self._entries)
