"""A clock that a test sets."""

from __future__ import annotations


class Clock:
    """Seconds since 1970, moved by the test and by nothing else.

    Args:
        now: where it stands at first, some day in 2027.
    """

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now: float = now

    def __call__(self) -> float:
        return self.now

    def tick(self, seconds: float) -> None:
        """Move it on, or back where the number is negative."""
        self.now += seconds
