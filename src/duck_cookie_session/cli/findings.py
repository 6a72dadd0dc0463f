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
