"""What a step of the tour says when it sees something else than it should."""

from __future__ import annotations


class Unexpected(Exception):
    """A step saw something else than it should have."""


def expect(holds: bool, what: str) -> None:
    """Raise `Unexpected` with what was seen, unless it holds."""
    if not holds:
        raise Unexpected(what)
