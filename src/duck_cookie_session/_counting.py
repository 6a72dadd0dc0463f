"""Numbers that many threads add to. Without a lock, which a fork might copy while it is held."""

from __future__ import annotations

import itertools
from bisect import bisect_left

BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Seconds by which a `Histogram` sorts."""


class Tally:
    """A number that is counted up; one step is one call into C, so none is lost."""

    __slots__ = ("_steps", "add")

    def __init__(self) -> None:
        self._steps = itertools.count()
        self.add = self._steps.__next__

    def value(self) -> int:
        """Steps so far."""
        return int(repr(self._steps)[len("count(") : -1])  # the only way to look without a step


class Histogram:
    """How many things took how long."""

    __slots__ = ("_tallies", "_total")

    def __init__(self) -> None:
        self._tallies = [Tally() for _ in (*BOUNDS, "longer")]
        self._total = 0.0

    def add(self, seconds: float) -> None:
        """Count one that took so long."""
        self._tallies[bisect_left(BOUNDS, seconds)].add()
        self._total += seconds  # of two threads at once one might be lost: here it does no harm

    def as_dict(self) -> dict[str, float]:
        """How many took that many seconds at most ("+Inf": all), and the "sum" of the seconds."""
        counts = itertools.accumulate(tally.value() for tally in self._tallies)
        found: dict[str, float] = dict(zip((*map(repr, BOUNDS), "+Inf"), counts, strict=True))
        return {**found, "sum": self._total}


class Timings:
    """How long a revocation list took.

    Attributes:
        asked: each question, from the call to the answer or the error.
        waited: for a connection, where none was free at once; a part of the former.
    """

    def __init__(self) -> None:
        self.asked: Histogram = Histogram()
        self.waited: Histogram = Histogram()
