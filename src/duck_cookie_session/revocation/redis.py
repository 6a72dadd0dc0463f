"""RedisRevocationList: one list for many nodes, on a Redis or Valkey server.

`_redis_steps` says what each call asks the server, `_redis_format` what is kept there,
`_redis_scripts` how it is changed, `_redis_client` by which connection, `_answers` what a node may
reuse.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, cast

from .._checks import MOST_REPLICAS
from .._forks import watch_forks
from ..errors import InvalidSettings
from ..settings import SessionSettings
from ._answers import Answers
from ._redis_client import Connections
from ._redis_steps import Asking
from .base import LAST_EPOCH, RevocationList, Standing, Survey, Witness


class RedisRevocationList(RevocationList):
    """A list on Redis (6 or newer) or Valkey, for any number of nodes.

    On one server, behind Sentinels, or on a Cluster, where one of its nodes keeps it.

    A check is one round trip. A raise is one script in the server, by the server's clock. How
    much of it a crash of the server loses is for the server's settings to say (`appendonly`,
    `appendfsync`); a list that was lost whole is noticed.

    Safe for threads, forks and event loops: each process, and each event loop, has connections of
    its own. Before its loop ends, a program calls `aclose()`.

    Once a second, and after any error, the server is asked whether it is a primary, whether it may
    evict entries and how many replicas it has, and Sentinels are asked which server it is; where
    that will not do, `RevocationListUnavailable` says what to change.

    Args:
        url: redis://, rediss:// or unix://; redis+sentinel://host,host/service/0,
            redis+cluster://host,host, and rediss+ of both; without it, and without a client, the
            setting SESSION_REVOCATION_URL.
        client: a ready client instead, with time-outs and retries of its own; one without a
            time-out is refused. It stays open at `close()`.
        async_client: the same of redis.asyncio, for one event loop. Without it, awaitable calls
            run `client` in threads.
        max_staleness: seconds that lookups which allow it may reuse an answer; None takes the
            setting. Weakens: a revocation made on another node is seen that much later.
        allow_eviction: accept a server that may evict entries, with a warning. Weakens: what it
            evicts are revocations, so sessions that were ended come back.
        timeout: seconds that connecting may take, and each answer. Tasks that wait for a free
            connection wait until it is their turn, while others are being answered.
        min_replicas: how many replicas must have a change before the call returns; None takes the
            setting. A primary that reports fewer is not believed for reads either. Where fewer
            confirm it in time, `RevocationListUnavailable`: the outcome is not known.
        clock: seconds, never going back; what `max_staleness` is measured by.
    """

    persistent = True
    local = False

    def __init__(
        self,
        url: str | None = None,
        *,
        client: Any = None,
        async_client: Any = None,
        max_staleness: float | None = None,
        allow_eviction: bool = False,
        timeout: float = 0.25,
        min_replicas: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        if max_staleness is not None and not 0 <= max_staleness <= 3600:
            raise InvalidSettings(
                f"max_staleness is {max_staleness!r}; allowed: a number of seconds from 0 to 3,600."
            )
        if min_replicas is not None and (
            isinstance(min_replicas, bool)
            or not isinstance(min_replicas, int)
            or not 0 <= min_replicas <= MOST_REPLICAS
        ):
            raise InvalidSettings(
                f"min_replicas is {min_replicas!r}; allowed: a whole number from 0 to "
                f"{MOST_REPLICAS}."
            )
        self.timeout: float = timeout
        self._max_staleness = max_staleness
        self._min_replicas = min_replicas
        self._answers = Answers(clock)
        self._asking = Asking(self._bindings, self._answers, clock, allow_eviction=allow_eviction)
        self._server = Connections(url, client, async_client, timeout, self._asking.forget)
        watch_forks(self)

    def bind(self, settings: SessionSettings) -> None:
        """Tell the list of an application; see `RevocationList.bind`.

        Raises:
            InvalidSettings: there is no address, or one that can't be read.
        """
        if self._server.need_address:
            if settings.revocation_url is None:
                raise InvalidSettings(
                    "RedisRevocationList has no server: set SESSION_REVOCATION_URL "
                    "(revocation_url), as in redis://localhost:6379/0, or give url= or client=."
                )
            self._server.take_address(settings.revocation_url)
        wanted = settings.max_staleness if self._max_staleness is None else self._max_staleness
        bound_before = self._answers.max_staleness if self._bindings else wanted
        self._answers.max_staleness = min(wanted, bound_before)
        self._asking.where = self._server.where
        wanted_replicas = (
            settings.min_replicas if self._min_replicas is None else self._min_replicas
        )
        self._asking.min_replicas = max(self._asking.min_replicas, wanted_replicas)
        super().bind(settings)

    # The calls, plain and awaitable.

    def lookup(
        self, scopes: Sequence[bytes], *, checkpoint: int = 0, fresh: bool = True
    ) -> Standing:
        """What stands now; see `RevocationList.lookup`."""
        if not fresh and self._answers.max_staleness:
            reused = self._answers.reuse(scopes, checkpoint)
            if reused is not None:
                return reused
        return self._server.run(scopes[0], self._asking.lookup(scopes, checkpoint))

    async def alookup(
        self, scopes: Sequence[bytes], *, checkpoint: int = 0, fresh: bool = True
    ) -> Standing:
        """`lookup`, awaitable."""
        if not fresh and self._answers.max_staleness:
            reused = self._answers.reuse(scopes, checkpoint)
            if reused is not None:
                return reused
        return await self._server.arun(scopes[0], self._asking.lookup(scopes, checkpoint))

    def raise_epoch(self, scope: bytes) -> int:
        """Raise to max(standing + 1, the server's clock); see `RevocationList.raise_epoch`."""
        return cast(int, self._server.run(scope, self._asking.raise_to(scope)))

    async def araise_epoch(self, scope: bytes) -> int:
        """`raise_epoch`, awaitable."""
        return cast(int, await self._server.arun(scope, self._asking.raise_to(scope)))

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

        The server keeps the answer for a minute, so that it is the same for every node.
        """
        steps = self._asking.raise_to(
            scope, LAST_EPOCH if last else value, expected=expected, nonce=nonce
        )
        return self._server.run(scope, steps)

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
        steps = self._asking.raise_to(
            scope, LAST_EPOCH if last else value, expected=expected, nonce=nonce
        )
        return await self._server.arun(scope, steps)

    def end(self, scope: bytes) -> None:
        """Give a session or a group its last epoch."""
        self._server.run(scope, self._asking.raise_to(scope, LAST_EPOCH))

    async def aend(self, scope: bytes) -> None:
        """`end`, awaitable."""
        await self._server.arun(scope, self._asking.raise_to(scope, LAST_EPOCH))

    def raise_if_forgotten(self, scope: bytes, witness: Witness) -> int | None:
        """Raise everything if a token proves that the list forgot."""
        return self._server.run(scope, self._asking.raise_if_forgotten(scope, witness))

    async def araise_if_forgotten(self, scope: bytes, witness: Witness) -> int | None:
        """`raise_if_forgotten`, awaitable."""
        return await self._server.arun(scope, self._asking.raise_if_forgotten(scope, witness))

    def new_birth(self, prefix: bytes) -> int:
        """Draw a new birth for one application; see `RevocationList.new_birth`."""
        return cast(int, self._server.run(prefix, self._asking.new_birth(prefix)))

    def purge(self, progress: Callable[[int], None] | None = None) -> int:
        """Nothing to do: the server drops entries when they expire. Gives 0."""
        return 0

    async def apurge(self) -> int:
        """`purge`, awaitable."""
        return 0

    def knows(self, prefix: bytes) -> bool:
        """Whether any process has used this list for an application; makes nothing."""
        return self._server.run(prefix, self._asking.knows(prefix))

    def survey(self, prefix: bytes) -> Survey:
        """Count what is there for one application; the bytes are all that the server uses."""
        return self._server.run(prefix, self._asking.survey(prefix))

    def save(self) -> None:
        """Nothing to do: when it writes to disk is for the server's settings to say."""

    async def asave(self) -> None:
        """`save`, awaitable."""

    def close(self) -> None:
        """Close this process's connections; those of event loops are for `aclose()`."""
        self._server.close()
        self._asking.forget()
        self._answers.forget()

    async def aclose(self) -> None:
        """Close the connections of the running event loop, and those of `close()`."""
        await self._server.aclose()
        self.close()

    def before_fork(self) -> None:
        """Hold off other threads, so that no lock is copied while held."""
        self._server.lock.acquire()
        self._answers.lock.acquire()

    def after_fork(self) -> None:
        """Go on, in parent and child; redis-py gives the child connections of its own."""
        self._answers.lock.release()
        self._server.lock.release()
