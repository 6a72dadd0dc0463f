"""The revocation list: what every list promises. Public, for others to implement.

A list maps *scopes* to *epochs*. A scope speaks of one session, one subject, one group, one
session's device or everything of one application; an epoch is a whole number from 0 to
`LAST_EPOCH` that only ever rises. A scope without an entry stands at 0.

Scopes are bytes: 8 bytes of prefix (a digest of cookie name and audience, so that applications
which share a list stay apart), one byte of kind, and the rest:

    kind  speaks of    rest
    s     a session    its id, 16 bytes
    u     a subject    SHA-256 of its text, 32 bytes
    g     a group      digest of its name and value, 16 bytes
    b     a device     the id of the session that is bound to it, 16 bytes
    *     everything   nothing; its entry is never purged

For each application a list also keeps its own history. The *birth* is a random number drawn when
the list was made: its identity. A *checkpoint* is a random name for a stretch of that history, and
its *reach* the last number that the list's clock gave out while it was the newest. The birth is the
first checkpoint. A raise makes a new one, in its own transaction and before it draws its number,
when the list's clock differs by `CHECKPOINT_SECONDS` or more, either way, from when the newest was
made, and whenever the server or file may be another than before. What a token carries of all this
shows a list that was put back from a copy that it forgot: see `forgotten`.
"""

from __future__ import annotations

import asyncio
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from .._counting import Timings
from ..settings import SessionSettings

LAST_EPOCH = 2**53 - 1
"""The epoch of an ended session; nothing passes it. It fits a double, so any server can hold it."""

PREFIX_BYTES = 8
CHECKPOINT_SECONDS = 10

MOST_SCOPES = 13
"""Most scopes of one lookup: everything, session, subject, device and four groups of the loaded
token; subject and four groups of the one that is to be sealed."""


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
        """The scope of one session, by the 16 bytes of its id."""
        return self.prefix + b"s" + session_id

    def subject(self, subject: str) -> bytes:
        """The scope of one subject: the list holds a digest, never the subject itself."""
        text = subject.encode("utf-8", "surrogatepass")
        return self.prefix + b"u" + hashlib.sha256(text).digest()

    def group(self, digest: bytes) -> bytes:
        """The scope of one group, by the 16 bytes of digest of its name and value."""
        return self.prefix + b"g" + digest

    def device(self, session_id: bytes) -> bytes:
        """The scope of the device that one session is bound to."""
        return self.prefix + b"b" + session_id


def is_everything(scope: bytes) -> bool:
    """Whether a scope is the `everything` of its application; its entry is never purged."""
    return scope[PREFIX_BYTES:] == b"*"


@dataclass(frozen=True)
class Binding:
    """What a list has to know of an application whose connector uses it.

    Attributes:
        retention: seconds that an entry lives from when it was made.
        keeps_birth: False under `on_lost="accept"`: no birth is drawn and no checkpoint made.
    """

    retention: float
    keeps_birth: bool


@dataclass(slots=True)  # not frozen, as Claims
class Standing:
    """What stands in a list for one application: the answer to a lookup, one atomic read.

    Attributes:
        epochs: of the scopes asked for, in their order; 0 without an entry.
        made: when each of them was made or last raised, microseconds of the list's clock; 0
            without an entry.
        now: the list's time in microseconds since 1970, never behind a number that it gave out.
        birth: the list's identity; 0 where no application that keeps one has used it.
        checkpoint: the newest; the birth at first.
        reach: the last number given out under it; 0 before the first raise.
        asked_reach: the reach of the checkpoint that was asked for; None if the list does not know
            it, 0 if none was asked for.
    """

    epochs: tuple[int, ...]
    made: tuple[int, ...]
    now: int
    birth: int
    checkpoint: int
    reach: int
    asked_reach: int | None


class Witness(NamedTuple):
    """What a token says of the history of the list that it was sealed under.

    Attributes:
        birth: identity of the list; 0 if none was kept.
        checkpoint: the newest at that time; 0 before the first raise.
        reach: its reach at that time, microseconds of the list's clock; 0 before the first raise.
        everything: the epoch of everything at that time.
    """

    birth: int
    checkpoint: int
    reach: int
    everything: int


def forgotten(
    witness: Witness, *, everything: int, birth: int, asked_reach: int | None, oldest: int
) -> bool:
    """Whether a token proves that the list forgot a part of its own history.

    Args:
        witness: what the token says.
        everything: the epoch that stands for everything.
        birth: the list's own.
        asked_reach: the reach of the token's checkpoint in the list; None if it is not known.
        oldest: entries made before this number, in microseconds, may be gone by their age.
    """
    if witness.birth != birth or witness.everything < everything:
        return False  # of another list, or refused alone
    if witness.everything > everything:
        return True
    if not witness.checkpoint or witness.reach < oldest:
        return False
    return asked_reach is None or witness.reach > asked_reach


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
    at run time. The awaitable twins (`alookup`, ...) don't block the event loop; the ones here run
    the plain method in a thread, or at once where it takes microseconds.
    """

    persistent: ClassVar[bool] = True
    """Whether entries outlive the process. Only one list that is not may serve it ..."""
    one_per_process: ClassVar[bool] = True
    """... but where this is False, which is for tests."""

    local: ClassVar[bool] = False
    """Whether `lookup` stays on this machine (no network), so an event loop may wait for it."""

    timings: Timings | None = None
    """How long its questions take; None: it does not say."""

    def __init__(self) -> None:
        self._bindings: dict[bytes, Binding] = {}

    def bind(self, settings: SessionSettings) -> None:
        """Tell the list of an application; called once by each connector, before anything else.

        Bound twice under the same cookie name and audience, the more careful values count.
        """
        prefix = Scopes(settings).prefix
        new = Binding(settings.absolute_age + settings.clock_skew, settings.on_lost == "refuse")
        old = self._bindings.get(prefix, new)
        self._bindings[prefix] = Binding(
            max(old.retention, new.retention), old.keeps_birth or new.keeps_birth
        )

    def binding(self, scope: bytes) -> Binding:
        """The binding of the application that a scope belongs to."""
        return self._bindings[scope[:PREFIX_BYTES]]

    @abstractmethod
    def lookup(
        self, scopes: Sequence[bytes], *, checkpoint: int = 0, fresh: bool = True
    ) -> Standing:
        """What stands now: one atomic read.

        A list that has no birth yet draws one first, and logs a warning: new and lost look alike.

        Args:
            scopes: 1 to `MOST_SCOPES`, of one application.
            checkpoint: the one whose reach is asked for; 0 for none.
            fresh: False lets a list answer with what it learned at most `max_staleness` ago.
        """

    @abstractmethod
    def raise_epoch(self, scope: bytes) -> int:
        """Raise atomically to max(standing + 1, the list's clock in microseconds).

        Durable when it returns. The list's clock never hands out a number twice or a smaller one,
        even if the machine's clock is set back. Returns the new epoch.
        """

    @abstractmethod
    def compare_and_raise(
        self,
        scope: bytes,
        expected: int,
        *,
        nonce: bytes,
        last: bool = False,
        value: int | None = None,
    ) -> int | None:
        """Raise only if the epoch is still `expected`, else change nothing and return None.

        Args:
            nonce: 16 random bytes, drawn for this one compare. Carried out again with the same
                nonce, as by a connection that lost the answer, it gives the same answer.
            last: raise to `LAST_EPOCH` instead of the clock.
            value: for the scope of a device: the epoch that the entry gets instead, 1 to
                `LAST_EPOCH` - 1.
        """

    @abstractmethod
    def end(self, scope: bytes) -> None:
        """Give a session or a group its last epoch. Idempotent; the first end's time is kept."""

    @abstractmethod
    def raise_if_forgotten(self, scope: bytes, witness: Witness) -> int | None:
        """Raise everything if a token proves that the list forgot, judged in one transaction.

        Raised above what the list and the token hold, so that nothing sealed before counts.

        Args:
            scope: `everything` of the application.
            witness: what the token says.

        Returns:
            The new epoch; None where by now nothing is proven, as after another node did this.
        """

    @abstractmethod
    def new_birth(self, prefix: bytes) -> int:
        """Draw a new birth for one application, and return it.

        It is the first checkpoint of a new history: whatever was sealed before is refused by this
        list, alone. For a copy that is to live beside the original. Entries and clock stay.

        Args:
            prefix: the application's, bound to this list.
        """

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
    def knows(self, prefix: bytes) -> bool:
        """Whether any process has used this list for an application; makes nothing."""

    @abstractmethod
    def survey(self, prefix: bytes) -> Survey:
        """Count what is there for one application; slow on a large list."""

    @abstractmethod
    def save(self) -> None:
        """Write out whatever is not yet durable."""

    @abstractmethod
    def close(self) -> None:
        """Let go of files and connections. Idempotent; the next call opens them again."""

    async def alookup(
        self, scopes: Sequence[bytes], *, checkpoint: int = 0, fresh: bool = True
    ) -> Standing:
        """`lookup`, awaitable."""
        if self.local:
            return self.lookup(scopes, checkpoint=checkpoint, fresh=fresh)
        return await asyncio.to_thread(self.lookup, scopes, checkpoint=checkpoint, fresh=fresh)

    async def araise_epoch(self, scope: bytes) -> int:
        """`raise_epoch`, awaitable."""
        return await asyncio.to_thread(self.raise_epoch, scope)

    async def acompare_and_raise(
        self,
        scope: bytes,
        expected: int,
        *,
        nonce: bytes,
        last: bool = False,
        value: int | None = None,
    ) -> int | None:
        """`compare_and_raise`, awaitable."""
        return await asyncio.to_thread(
            self.compare_and_raise, scope, expected, nonce=nonce, last=last, value=value
        )

    async def aend(self, scope: bytes) -> None:
        """`end`, awaitable."""
        await asyncio.to_thread(self.end, scope)

    async def araise_if_forgotten(self, scope: bytes, witness: Witness) -> int | None:
        """`raise_if_forgotten`, awaitable."""
        return await asyncio.to_thread(self.raise_if_forgotten, scope, witness)

    async def apurge(self) -> int:
        """`purge`, awaitable."""
        return await asyncio.to_thread(self.purge)

    async def asave(self) -> None:
        """`save`, awaitable."""
        await asyncio.to_thread(self.save)

    async def aclose(self) -> None:
        """`close`, awaitable."""
        await asyncio.to_thread(self.close)
