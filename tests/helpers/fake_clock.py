"""A clock in a file: of lists that take one, and of servers that libfaketime gives it to."""

from __future__ import annotations

import glob
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class FileClock:
    """The machine's clock, moved by what a file says; every process that has the path sees it."""

    path: Path

    def __call__(self) -> float:
        return time.time() + self.moved()

    def moved(self) -> float:
        return float(self.path.read_text("ascii")) if self.path.exists() else 0.0

    def move(self, seconds: float) -> None:
        """Move it, forth or back; nobody ever sees half a number."""
        new = self.path.with_suffix(".new")
        new.write_text(f"{self.moved() + seconds:+.3f}", "ascii")
        new.rename(self.path)

    def environment(self) -> dict[str, str]:
        """What makes a program go by it."""
        library = faketime()
        assert library is not None, "no libfaketime: apt-get install faketime"
        if not self.path.exists():
            self.move(0)
        return {
            "LD_PRELOAD": library,
            "FAKETIME_TIMESTAMP_FILE": str(self.path),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }


def faketime() -> str | None:
    """The path of libfaketime, or None."""
    found = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")  # noqa: PTH207  # an absolute pattern
    return found[0] if found else None
