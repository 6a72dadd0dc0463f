"""What one connector has done since it was made, counted."""

from __future__ import annotations

import threading
from collections import Counter

from .errors import TokenRefused

COUNTED = (
    "issued",  # tokens of new sessions and of saved ones
    "reissued",  # of those, the same data under a newer expiry or secret
    "read",  # sessions read
    "read_from_cache",  # of those, tokens that were verified before and kept in memory
    "revoked",  # sessions, subjects or everything
    "unreachable",  # questions that the revocation list did not answer
)


class Stats:
    """Counters, safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()

    def count(self, name: str) -> None:
        """Count one of `COUNTED`."""
        with self._lock:
            self._counts[name] += 1

    def count_refused(self, reason: str) -> None:
        """Count a refused token by its reason, one of `TokenRefused.REASONS`."""
        with self._lock:
            self._refused[reason] += 1

    def as_dict(self) -> dict[str, int | dict[str, int]]:
        """All counters by name, zeros too; under "refused" a dict by reason."""
        with self._lock:
            counts: dict[str, int | dict[str, int]] = {n: self._counts[n] for n in COUNTED}
            counts["refused"] = {r: self._refused[r] for r in TokenRefused.REASONS}
            return counts
