"""A bounded memory of tokens that were verified, so that the next read need not decrypt.

It belongs to one key ring and goes with it. What it gives is checked for expiry and revocation
like a token that was just opened.
"""

from __future__ import annotations

from typing import Generic, TypeVar

Value = TypeVar("Value")


class TokenCache(Generic[Value]):
    """Token text to what was verified of it. Safe for threads and forks: it has no lock.

    Two generations: new tokens go into the young one; once that holds half of what may be kept, it
    becomes the old one, and what was the old one is forgotten.

    Args:
        most: entries kept at most; 0 keeps none.
        most_bytes: bytes kept at most, by what `put` is told.
    """

    __slots__ = ("_most_bytes", "_most_entries", "_old", "_young", "_young_bytes")

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most_entries = -(-most // 2)
        self._most_bytes = most_bytes // 2
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._old: dict[str, Value] = {}
        self._young: dict[str, Value] = {}
        self._young_bytes = 0

    def get(self, token: str) -> Value | None:
        """What was verified of a token; None if it is not kept."""
        value = self._young.get(token)
        return self._old.get(token) if value is None else value

    def put(self, token: str, value: Value, size: int) -> None:
        """Keep a token.

        Args:
            size: bytes that it takes.
        """
        # Two threads here at once may count wrong or lose an entry, which costs a decryption.
        self._young_bytes += size
        if len(self._young) >= self._most_entries or self._young_bytes > self._most_bytes:
            if size > self._most_bytes or not self._most_entries:
                self._young_bytes -= size
                return
            self._old, self._young, self._young_bytes = self._young, {}, size
        self._young[token] = value

    def discard(self, token: str) -> None:
        """Forget a token that was refused."""
        self._young.pop(token, None)
        self._old.pop(token, None)

    def __len__(self) -> int:
        return len(self._old) + len(self._young)
