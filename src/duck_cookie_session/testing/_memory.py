"""A memory list of which a process may have many."""

from __future__ import annotations

from ..revocation.memory import MemoryRevocationList


class MemoryListForTests(MemoryRevocationList):
    """A memory list that a test suite may open as often as it wants.

    Of MemoryRevocationList a process may have one open: a second would not know what the first
    revoked. In tests that is what is wanted, and nowhere else: never serve with it.
    `duck-cookie-session check` calls it not durable, as it does every list in memory.
    """

    one_per_process = False
