"""RedisRevocationList: one list for many nodes, on a Redis or Valkey server.

`_network` has the calls, `_redis_steps` says what each asks the server, `_redis_format` what is
kept there, `_redis_scripts` how it is changed, `_redis_client` by which connection, `_answers` what
a node may reuse.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from .._checks import MOST_REPLICAS
from ..errors import InvalidSettings
from ..settings import SessionSettings
from ._network import NetworkList
from ._redis_client import Connections
from ._redis_steps import Asking


class RedisRevocationList(NetworkList):
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

    _no_address = (
        "server: set SESSION_REVOCATION_URL (revocation_url), as in redis://localhost:6379/0, or "
        "give url= or client=."
    )

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
        super().__init__(max_staleness, clock)
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
        self._min_replicas = min_replicas
        self._talk: Asking = Asking(
            self._bindings, self._answers, clock, allow_eviction=allow_eviction
        )
        self._clients = client, async_client
        if url is not None or client is not None or async_client is not None:
            self._reach(url)

    def bind(self, settings: SessionSettings) -> None:
        """Tell the list of an application; see `RevocationList.bind`.

        Raises:
            InvalidSettings: there is no address, or one that can't be read.
        """
        super().bind(settings)
        wanted = settings.min_replicas if self._min_replicas is None else self._min_replicas
        self._talk.min_replicas = max(self._talk.min_replicas, wanted)

    def purge(self, progress: Callable[[int], None] | None = None) -> int:
        """Nothing to do: the server drops entries when they expire. Gives 0."""
        return 0

    async def apurge(self) -> int:
        """`purge`, awaitable."""
        return 0

    def close(self) -> None:
        """Close this process's connections; those of event loops are for `aclose()`."""
        super().close()
        self._talk.forget()

    def _reach(self, url: str | None) -> None:
        server = Connections(
            url, *self._clients, self.timeout, self._talk.forget, self.timings.waited
        )
        self._server, self._talk.where = server, server.where
