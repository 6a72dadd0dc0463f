"""One line of `check`."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """What was looked at and what was found.

    Attributes:
        level: "good", "note" (a choice that weakens, or what could not be seen) or "bad".
        what: a word or two.
        text: what is so; for "bad" and "note" also what to change.
    """

    level: str
    what: str
    text: str


def good(what: str, text: str) -> Finding:
    """Nothing to do."""
    return Finding("good", what, text)


def note(what: str, text: str) -> Finding:
    """To be known; may be meant so."""
    return Finding("note", what, text)


def bad(what: str, text: str) -> Finding:
    """To be changed."""
    return Finding("bad", what, text)


def check_clock(before: float, there: float, after: float, clock_skew: float) -> Finding:
    """How far a server's clock is from this machine's.

    Args:
        before, after: this machine's when the server was asked and when it had answered.
        there: the server's.
        clock_skew: seconds that they may differ by.
    """
    off = max(abs(there - (before + after) / 2) - (after - before) / 2, 0.0)
    text = f"{off:.3f} s apart from this machine's"
    if off > clock_skew:
        return bad("clock", f"{text}, clock_skew allows {clock_skew:g} s: set both by NTP")
    return good("clock", text)
