"""A clock that tests turn, so that none has to sleep."""

from __future__ import annotations

from dataclasses import dataclass

START = 1_800_000_000.0
DAY = 86_400


@dataclass
class Clock:
    """Seconds since 1970, moved by the test."""

    now: float = START

    def __call__(self) -> float:
        return self.now

    def tick(self, seconds: float) -> None:
        self.now += seconds
