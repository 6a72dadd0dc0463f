"""What the commands print: text that can't drive a terminal, times, JSON; and their exit codes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

GOOD = 0
FOUND = 1
"""Something is refused or to be changed: what was asked is answered, and the answer is no."""
USAGE = 2
"""Wrong arguments or settings; nothing was done."""
UNREACHABLE = 3
"""The revocation list could not be asked; nothing is known to have been changed."""


class UsageError(Exception):
    """A command can't be carried out as it was given; the text says what to do."""


def shown(value: object) -> str:
    """Text for a terminal: control characters, and anything else without a glyph, as escapes."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in str(value)
    )


def moment(seconds: float | None) -> str | None:
    """A time as text in UTC, to the second: 2026-11-22T14:33:00Z."""
    if seconds is None:
        return None
    try:
        at = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):  # beyond the year 9999
        return f"{seconds:.0f} seconds after 1970"
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def duration(seconds: float) -> str:
    """Seconds as text, in the largest unit that fits: 36 hours, 30 days."""
    for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.4g} {unit}"
    return f"{seconds:.4g} seconds"


def say(line: str) -> None:
    """A line to standard output."""
    print(line, flush=True)


def say_json(data: Any) -> None:
    """Data to standard output, for programs; all of it ASCII."""
    print(json.dumps(data, indent=2), flush=True)


def table(rows: Iterable[tuple[str, object]]) -> None:
    """Names and values, one a line; rows whose value is None are left out."""
    kept = [(name, value) for name, value in rows if value is not None]
    width = max((len(name) for name, _ in kept), default=0)
    for name, value in kept:
        say(f"{name:<{width}}  {shown(value)}")


def complain(text: str) -> None:
    """A text to standard error."""
    lines = "\n".join(shown(line) for line in text.split("\n"))
    print(f"duck-cookie-session: {lines}", file=sys.stderr, flush=True)
