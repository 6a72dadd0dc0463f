"""What one connector has done since it was made, counted."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable

from .._forks import watch_forks
from ..errors import TokenRefused

COUNTED = (
    "issued",  # tokens handed out
    "reissued",  # of those, the same data under a newer expiry, secret or epoch
    "read",  # sessions read
    "read_from_cache",  # tokens that were verified before and kept in memory
    "revoked",  # sessions, subjects or everything
    "unreachable",  # questions that the revocation list did not answer
)


class _Tally:
    """A number that many threads count up; one step is one call into C, so none is lost."""

    __slots__ = ("_looks", "_steps", "add")

    def __init__(self) -> None:
        self._steps = itertools.count()
        self._looks = 0
        self.add = self._steps.__next__

    def value(self) -> int:
        """Steps so far; looking is a step too, which is taken off. One look at a time."""
        value = next(self._steps) - self._looks
        self._looks += 1
        return value


class Stats:
    """Counters, safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = {name: _Tally() for name in COUNTED}
        self._refused = {reason: _Tally() for reason in TokenRefused.REASONS}
        self.count_read: Callable[[], int] = self._counts["read"].add
        self.count_cached: Callable[[], int] = self._counts["read_from_cache"].add
        watch_forks(self)

    def count(self, name: str) -> None:
        """Count one of `COUNTED`."""
        self._counts[name].add()

    def count_refused(self, reason: str) -> None:
        """Count a refused token by its reason, one of `TokenRefused.REASONS`."""
        self._refused[reason].add()

    def as_dict(self) -> dict[str, int | dict[str, int]]:
        """All counters by name, zeros too; under "refused" a dict by reason."""
        with self._lock:
            counts: dict[str, int | dict[str, int]] = {
                name: tally.value() for name, tally in self._counts.items()
            }
            counts["refused"] = {name: tally.value() for name, tally in self._refused.items()}
            return counts

    def before_fork(self) -> None:
        """Hold off other threads, so that the child gets no lock that nobody releases."""
        self._lock.acquire()

    def after_fork(self) -> None:
        """Go on, in parent and child."""
        self._lock.release()
