"""The revocation list: what every list promises. Public, for others to implement.

A list maps *scopes* to *epochs*. A scope speaks of one session, one subject or everything of one
application; an epoch is a whole number from 0 to `LAST_EPOCH` that only ever rises. A scope
without an entry stands at 0. `everything` always has an entry: the time at which the list was
made, in microseconds of the list's own clock, so that a list which was lost and made anew differs
from what any older token carries.

Scopes are bytes: 8 bytes of prefix (a digest of cookie name and audience, so that applications
which share a list stay apart), one byte of kind, then the session id (16 bytes), the SHA-256 of
the subject's text (32 bytes), or nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from ..settings import SessionSettings

LAST_EPOCH = 2**53 - 1
"""The epoch of an ended session; nothing passes it. It fits a double, so any server can hold it."""

PREFIX_BYTES = 8


class Scopes:
    """Builds the scopes of one application.

    Args:
        settings: `cookie_name` and `audience` make the prefix.
    """

    __slots__ = ("everything", "prefix")

    def __init__(self, settings: SessionSettings) -> None:
        digest = hashlib.sha256(settings.application).digest()
        self.prefix: bytes = digest[:PREFIX_BYTES]
        self.everything: bytes = self.prefix + b"*"

    def session(self, session_id: bytes) -> bytes:
        """The scope of one session.

        Args:
            session_id: 16 bytes.
        """
        return self.prefix + b"s" + session_id

    def subject(self, subject: str) -> bytes:
        """The scope of one subject: the list holds a digest, never the subject itself."""
        text = subject.encode("utf-8", "surrogatepass")
        return self.prefix + b"u" + hashlib.sha256(text).digest()


def is_everything(scope: bytes) -> bool:
    """Whether a scope is the `everything` of its application; its entry is never purged."""
    return scope[PREFIX_BYTES:] == b"*"


@dataclass(frozen=True)
class Binding:
    """What a list has to know of an application whose connector uses it.

    Attributes:
        retention: seconds that an entry lives from when it was made.
        first_epoch_zero: `on_lost="accept"`: a missing `everything` starts at 0, not at now.
    """

    retention: float
    first_epoch_zero: bool


@dataclass(frozen=True)
class Survey:
    """What a list holds for one application, as `revocations` of the command line prints it.

    Attributes:
        entries: number of entries, `everything` not counted.
        bytes: bytes that the whole list takes (file, or memory of the server); None if unknown.
        oldest: when the oldest entry was made, seconds since 1970; None without entries.
        next_expiry: when the next entry may go, seconds since 1970; None without entries.
    """

    entries: int
    bytes: int | None
    oldest: float | None
    next_expiry: float | None


class RevocationList(ABC):
    """Base of all lists. Safe for many threads; an implementation says how many processes.

    Every method raises `RevocationListUnavailable` when the list can't be asked, and nothing else
    for anything that happens at run time. The awaitable twins (`alookup`, ...) do the same without
    blocking the event loop; the ones here run the plain method in a thread, or at once where that
    is a matter of microseconds.
    """

    persistent: ClassVar[bool] = True
    """Whether entries outlive the process. Of a non-persistent list one object serves a process."""

    local: ClassVar[bool] = False
    """Whether `lookup` stays on this machine (no network), so an event loop may wait for it."""

    def __init__(self) -> None:
        self._bindings: dict[bytes, Binding] = {}

    def bind(self, settings: SessionSettings) -> None:
        """Tell the list of an application; called once by each connector, before anything else.

        Bound twice under the same cookie name and audience, the more careful values count.
        """
        prefix = Scopes(settings).prefix
        new = Binding(settings.absolute_age + settings.clock_skew, settings.on_lost == "accept")
        old = self._bindings.get(prefix, new)
        self._bindings[prefix] = Binding(
            max(old.retention, new.retention), old.first_epoch_zero and new.first_epoch_zero
        )

    def binding(self, scope: bytes) -> Binding:
        """The binding of the application that a scope belongs to."""
        return self._bindings[scope[:PREFIX_BYTES]]

    @abstractmethod
    def lookup(self, scopes: Sequence[bytes], *, fresh: bool = True) -> tuple[int, ...]:
        """The epochs that stand now, in the order of `scopes`: one atomic read.

        A missing `everything` is made first, and a warning logged.

        Args:
            scopes: up to four.
            fresh: False lets a list answer with what it learned at most `max_staleness` ago.
        """

    @abstractmethod
    def raise_epoch(self, scope: bytes) -> int:
        """Raise atomically to max(standing + 1, the list's clock in microseconds).

        Durable when it returns. The list's clock never hands out a number twice or a smaller one,
        even if the machine's clock is set back. Returns the new epoch.
        """

    @abstractmethod
    def compare_and_raise(self, scope: bytes, expected: int, *, last: bool = False) -> int | None:
        """Raise only if the epoch is still `expected`, else change nothing and return None.

        Args:
            last: raise to `LAST_EPOCH` instead of the clock.
        """

    @abstractmethod
    def end(self, scope: bytes) -> None:
        """Give a session its last epoch. Idempotent; the time of the first end is kept."""

    @abstractmethod
    def age(self, scope: bytes) -> float | None:
        """Seconds since the entry was made or last raised, by the list's clock; None without it."""

    @abstractmethod
    def purge(self, progress: Callable[[int], None] | None = None) -> int:
        """Remove entries older than their retention, of the bound applications.

        Lists do so by themselves as they go; this does all of it now.

        Args:
            progress: called now and then with the number of entries looked at.

        Returns:
            How many entries were removed.
        """

    @abstractmethod
    def survey(self, prefix: bytes) -> Survey:
        """Count what is there for one application; slow on a large list."""

    @abstractmethod
    def save(self) -> None:
        """Write out whatever is not yet durable."""

    @abstractmethod
    def close(self) -> None:
        """Let go of files and connections. Idempotent; the next call opens them again."""

    async def alookup(self, scopes: Sequence[bytes], *, fresh: bool = True) -> tuple[int, ...]:
        """`lookup`, awaitable."""
        if self.local:
            return self.lookup(scopes, fresh=fresh)
        return await asyncio.to_thread(self.lookup, scopes, fresh=fresh)

    async def araise_epoch(self, scope: bytes) -> int:
        """`raise_epoch`, awaitable."""
        return await asyncio.to_thread(self.raise_epoch, scope)

    async def acompare_and_raise(
        self, scope: bytes, expected: int, *, last: bool = False
    ) -> int | None:
        """`compare_and_raise`, awaitable."""
        return await asyncio.to_thread(self.compare_and_raise, scope, expected, last=last)

    async def aend(self, scope: bytes) -> None:
        """`end`, awaitable."""
        await asyncio.to_thread(self.end, scope)

    async def aage(self, scope: bytes) -> float | None:
        """`age`, awaitable."""
        if self.local:
            return self.age(scope)
        return await asyncio.to_thread(self.age, scope)

    async def apurge(self) -> int:
        """`purge`, awaitable."""
        return await asyncio.to_thread(self.purge)

    async def asave(self) -> None:
        """`save`, awaitable."""
        await asyncio.to_thread(self.save)

    async def aclose(self) -> None:
        """`close`, awaitable."""
        await asyncio.to_thread(self.close)
