"""NetworkList: what the lists on a server have in common, each of their calls written once.

A list says what each call says to its server (`Talk`) and by which connections (`Server`).
"""

from __future__ import annotations

import secrets
import threading
from abc import abstractmethod
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import ClassVar, Protocol

from .._checks import check_staleness
from .._counting import Timings
from .._forks import watch_forks
from ..errors import InvalidArgument, InvalidSettings
from ..settings import SessionSettings
from ._answers import Answers
from ._steps import Result, Steps
from .base import LAST_EPOCH, RevocationList, Standing, Survey, Witness


class Talk(Protocol):
    """What each call says to the server; see `RevocationList` for what it gives."""

    def lookup(self, scopes: tuple[bytes, ...], checkpoint: int) -> Steps[Standing]:
        """What stands now."""

    def raise_to(self, scope: bytes, value: int | None = None) -> Steps[int]:
        """Raise to the clock, or to `value`."""

    def compare(
        self, scope: bytes, expected: int, nonce: bytes, value: int | None
    ) -> Steps[int | None]:
        """The same if the epoch is `expected`."""

    def raise_if_forgotten(self, scope: bytes, witness: Witness, nonce: bytes) -> Steps[int | None]:
        """Raise everything if that is proven."""

    def new_birth(self, prefix: bytes) -> Steps[int]:
        """Draw a new birth."""

    def knows(self, prefix: bytes) -> Steps[bool]:
        """Whether the application has used the list."""

    def survey(self, prefix: bytes) -> Steps[Survey]:
        """Count what is there."""


class Server(Protocol):
    """The connections of a process to a server, and how steps are carried out over them."""

    lock: threading.RLock

    def run(self, scope: bytes, make: Callable[[], Steps[Result]]) -> Result:
        """Carry out the steps that `make` gives; `scope` is one that they are about."""

    async def arun(self, scope: bytes, make: Callable[[], Steps[Result]]) -> Result:
        """`run`, awaitable."""

    def close(self) -> None:
        """Close this process's idle connections."""

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""


class NetworkList(RevocationList):
    """A list on a server, for any number of nodes.

    Args:
        max_staleness: seconds that lookups which allow it may reuse an answer; None takes the
            setting.
        clock: seconds, never going back; what `max_staleness` is measured by.

    Raises:
        InvalidSettings: `max_staleness` is no number of seconds from 0 to 3,600.
    """

    persistent = True
    local = False

    timings: Timings
    _talk: Talk
    _no_address: ClassVar[str]
    """What `bind` says where there is neither an address nor a setting."""

    def __init__(self, max_staleness: float | None, clock: Callable[[], float]) -> None:
        super().__init__()
        if max_staleness is not None:
            max_staleness = check_staleness("max_staleness", max_staleness)
        self.timings = Timings()
        self._max_staleness = max_staleness
        self._answers = Answers(clock)
        self._server: Server | None = None
        self._held: list[threading.RLock] = []
        watch_forks(self)

    def bind(self, settings: SessionSettings) -> None:
        """Tell the list of an application; see `RevocationList.bind`.

        Raises:
            InvalidSettings: there is no address, or one that can't be read.
        """
        if self._server is None:
            if settings.revocation_url is None:
                raise InvalidSettings(f"{type(self).__name__} has no {self._no_address}")
            self._reach(settings.revocation_url)
        wanted = settings.max_staleness if self._max_staleness is None else self._max_staleness
        bound_before = self._answers.max_staleness if self._bindings else wanted
        self._answers.max_staleness = min(wanted, bound_before)
        super().bind(settings)

    # The calls, plain and awaitable.

    def lookup(
        self, scopes: Sequence[bytes], *, checkpoint: int = 0, fresh: bool = True
    ) -> Standing:
        """What stands now; see `RevocationList.lookup`."""
        reused = None if fresh else self._reused(scopes, checkpoint)
        if reused is not None:
            return reused
        return self._ask(scopes[0], lambda: self._talk.lookup(tuple(scopes), checkpoint))

    async def alookup(
        self, scopes: Sequence[bytes], *, checkpoint: int = 0, fresh: bool = True
    ) -> Standing:
        """`lookup`, awaitable."""
        reused = None if fresh else self._reused(scopes, checkpoint)
        if reused is not None:
            return reused
        return await self._aask(scopes[0], lambda: self._talk.lookup(tuple(scopes), checkpoint))

    def raise_epoch(self, scope: bytes) -> int:
        """Raise to max(standing + 1, the server's clock); see `RevocationList.raise_epoch`."""
        return self._ask(scope, lambda: self._talk.raise_to(scope))

    async def araise_epoch(self, scope: bytes) -> int:
        """`raise_epoch`, awaitable."""
        return await self._aask(scope, lambda: self._talk.raise_to(scope))

    def compare_and_raise(
        self,
        scope: bytes,
        expected: int,
        *,
        nonce: bytes,
        last: bool = False,
        value: int | None = None,
    ) -> int | None:
        """Raise if the epoch is `expected`; see `RevocationList.compare_and_raise`.

        The server keeps the nonce, so that the answer is the same for every node.
        """
        value = LAST_EPOCH if last else value
        return self._ask(scope, lambda: self._talk.compare(scope, expected, nonce, value))

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
        value = LAST_EPOCH if last else value
        return await self._aask(scope, lambda: self._talk.compare(scope, expected, nonce, value))

    def end(self, scope: bytes) -> None:
        """Give a session or a group its last epoch."""
        self._ask(scope, lambda: self._talk.raise_to(scope, LAST_EPOCH))

    async def aend(self, scope: bytes) -> None:
        """`end`, awaitable."""
        await self._aask(scope, lambda: self._talk.raise_to(scope, LAST_EPOCH))

    def raise_if_forgotten(self, scope: bytes, witness: Witness) -> int | None:
        """Raise everything if a token proves that the list forgot."""
        return self._ask(scope, self._forgotten(scope, witness))

    async def araise_if_forgotten(self, scope: bytes, witness: Witness) -> int | None:
        """`raise_if_forgotten`, awaitable."""
        return await self._aask(scope, self._forgotten(scope, witness))

    def new_birth(self, prefix: bytes) -> int:
        """Draw a new birth for one application; see `RevocationList.new_birth`."""
        return self._ask(prefix, lambda: self._talk.new_birth(prefix))

    def knows(self, prefix: bytes) -> bool:
        """Whether any process has used this list for an application; makes nothing."""
        return self._ask(prefix, lambda: self._talk.knows(prefix))

    def survey(self, prefix: bytes) -> Survey:
        """Count what is there for one application; the bytes are all that the server keeps."""
        return self._reached.run(prefix, lambda: self._talk.survey(prefix))

    def save(self) -> None:
        """Nothing to do: when it is on the disk is for the server's settings to say."""

    async def asave(self) -> None:
        """`save`, awaitable."""

    def close(self) -> None:
        """Close this process's connections; those of event loops are for `aclose()`."""
        if self._server is not None:
            self._server.close()
        self._answers.forget()

    async def aclose(self) -> None:
        """Close the connections of the running event loop, and those of `close()`."""
        if self._server is not None:
            await self._server.aclose()
        self.close()

    def before_fork(self) -> None:
        """Hold off other threads, so that no lock is copied while held."""
        self._held = self._locks()
        for lock in self._held:
            lock.acquire()

    def after_fork(self) -> None:
        """Go on, in parent and child, which makes connections of its own."""
        while self._held:
            self._held.pop().release()

    # Parts of these.

    @abstractmethod
    def _reach(self, url: str) -> None:
        """Set `_server` by an address."""

    @property
    def _reached(self) -> Server:
        if self._server is None:
            raise InvalidArgument(
                f"{type(self).__name__} has no address until it is bound: give url=."
            )
        return self._server

    def _locks(self) -> list[threading.RLock]:
        """What no fork may copy while it is held."""
        server = [] if self._server is None else [self._server.lock]
        return [self._answers.lock, *server]

    def _reused(self, scopes: Sequence[bytes], checkpoint: int) -> Standing | None:
        return self._answers.reuse(scopes, checkpoint) if self._answers.max_staleness else None

    def _forgotten(self, scope: bytes, witness: Witness) -> Callable[[], Steps[int | None]]:
        # A nonce of its own: whoever raised must be told so, or nobody logs why all were ended.
        nonce = secrets.token_bytes(16)
        return lambda: self._talk.raise_if_forgotten(scope, witness, nonce)

    def _ask(self, scope: bytes, make: Callable[[], Steps[Result]]) -> Result:
        began = perf_counter()
        try:
            return self._reached.run(scope, make)
        finally:
            self.timings.asked.add(perf_counter() - began)

    async def _aask(self, scope: bytes, make: Callable[[], Steps[Result]]) -> Result:
        began = perf_counter()
        try:
            return await self._reached.arun(scope, make)
        finally:
            self.timings.asked.add(perf_counter() - began)
