"""Connections to a Redis server: one pool for each process, one for each event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

try:
    import redis
    import redis.asyncio
except ImportError as _missing:  # pragma: no cover  # the tests have it
    raise ImportError(
        'RedisRevocationList needs redis-py: pip install "duck-cookie-session[redis]"'
    ) from _missing

from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as NotConnected
from redis.exceptions import NoScriptError as NoScriptError
from redis.exceptions import RedisError
from redis.retry import Retry

from ..errors import InvalidArgument, InvalidSettings, RevocationListUnavailable
from ._redis_format import key_of
from ._turns import NoAnswer, Turns

_CONNECTIONS = 64
_THREADS = 10_000
RIGHTS = "INFO, MGET, GET, SET, TIME, SCAN, EVAL and EVALSHA on keys that begin with dcs2"
"""What a user of the server must be allowed, as messages and documents say it."""
_KEYLESS = frozenset({"INFO", "TIME", "SCAN"})
_ANYWHERE: dict[str, Any] = {}
_FAILURES = (RedisError, OSError, ValueError)  # ValueError: somebody else wrote under our keys

Command = Sequence[Any]
Result = TypeVar("Result")
Steps = Generator[Command, Any, Result]
"""A talk with the server: yields commands, is sent the replies, returns the result. Written once,
carried out by either kind of client."""


class Connections:
    """Clients made from an address, or ready ones, and how they carry out steps.

    Args:
        url: the address; None with ready clients.
        client, async_client: ready clients; never closed here.
        timeout: seconds for connecting, and for each answer.
        on_error: called when the server could not be asked.
    """

    def __init__(
        self,
        url: str | None,
        client: Any,
        async_client: Any,
        timeout: float,
        on_error: Callable[[], None],
    ) -> None:
        if url is not None:
            check_url(url)
        for given in (client, async_client):
            if getattr(given, "read_from_replicas", False) or getattr(
                given, "load_balancing_strategy", None
            ):
                raise InvalidSettings(
                    "The client given to RedisRevocationList reads from replicas, which lag "
                    "behind; make it without read_from_replicas and load_balancing_strategy."
                )
        self.url = url
        self.lock: threading.RLock = threading.RLock()
        self._given = client
        self._given_async = async_client
        self._timeout = timeout
        self._on_error = on_error
        self._client: Any = None
        self._async_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[Any, Turns]] = (
            WeakKeyDictionary()
        )

    @property
    def need_address(self) -> bool:
        """Whether neither an address nor a ready client is known yet."""
        return self.url is None and self._given is None and self._given_async is None

    @property
    def where(self) -> str:
        """The server as messages show it: without a password."""
        if self.url is None:
            return "the given client's server"
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def close(self) -> None:
        """Close this process's idle connections; calls under way end as they would have."""
        with self.lock:
            client, self._client = self._client, None
        if client is not None:
            client.connection_pool.disconnect(inuse_connections=False)

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        client, _ = self._async_clients.pop(asyncio.get_running_loop(), (None, None))
        if client is not None and client is not self._given_async:
            await client.connection_pool.disconnect()

    def run(self, scope: bytes, steps: Steps[Result]) -> Result:
        """Carry out steps; `scope` says which node of a Cluster they are for.

        Raises:
            RevocationListUnavailable: the server can't be asked.
        """
        client = self._connected()
        try:
            command = next(steps)
            while True:
                try:
                    reply = client.execute_command(*command, **_node(client, command, scope))
                except NoScriptError as error:
                    command = steps.throw(error)
                else:
                    command = steps.send(reply)
        except StopIteration as done:
            result: Result = done.value
            return result
        except _FAILURES as error:
            self._on_error()
            raise self._unavailable(error) from error
        finally:
            steps.close()

    async def arun(self, scope: bytes, steps: Steps[Result]) -> Result:
        """`run`, awaitable."""
        if self._given_async is None and self._given is not None:
            return await asyncio.to_thread(self.run, scope, steps)
        client, turns = self._connected_async()
        try:
            await turns.take()
        except NoAnswer as error:
            steps.close()
            raise self._unavailable(error) from error
        try:
            command = next(steps)
            while True:
                try:
                    reply = await client.execute_command(*command, **_node(client, command, scope))
                except NoScriptError as error:
                    command = steps.throw(error)
                else:
                    turns.answered()
                    command = steps.send(reply)
        except StopIteration as done:
            result: Result = done.value
            return result
        except _FAILURES as error:
            self._on_error()
            raise self._unavailable(error) from error
        finally:
            turns.give_back()
            steps.close()

    def _unavailable(self, error: Exception) -> RevocationListUnavailable:
        return RevocationListUnavailable(
            f"The revocation list on {self.where} can't be asked "
            f"({type(error).__name__}: {error}). Check that the server runs, is reachable from "
            f"here, has memory left, and lets this user run {RIGHTS}."
        )

    def _connected(self) -> Any:
        if self._given is not None:
            return self._given
        if self._client is None:
            with self.lock:
                if self._client is None:
                    # As many connections as threads ask at once.
                    pool = redis.ConnectionPool.from_url(
                        self._address(), max_connections=_THREADS, **self._options(Retry)
                    )
                    self._client = redis.Redis(connection_pool=pool)
        return self._client

    def _connected_async(self) -> tuple[Any, Turns]:
        """The client of the running event loop, and the turns that its tasks take."""
        loop = asyncio.get_running_loop()
        found = self._async_clients.get(loop)
        if found is None:
            with self.lock:
                for other in [other for other in self._async_clients if other.is_closed()]:
                    del self._async_clients[other]  # its connections keep it from being collected
                client, places = self._given_async, _CONNECTIONS
                if client is None:
                    # Tasks may ask by the thousand: they take turns.
                    pool = redis.asyncio.ConnectionPool.from_url(
                        self._address(), max_connections=places, **self._options(AsyncRetry)
                    )
                    client = redis.asyncio.Redis(connection_pool=pool)
                else:
                    own = getattr(client, "connection_pool", None)
                    places = min(places, getattr(own, "max_connections", places))
                found = self._async_clients[loop] = client, Turns(places, self._timeout)
        return found

    def _address(self) -> str:
        if self.url is None:
            raise InvalidArgument(
                "RedisRevocationList was given only async_client=: give client= too for calls "
                "that are not awaited."
            )
        return self.url

    def _options(self, retry: Any) -> dict[str, Any]:
        return {
            "socket_timeout": self._timeout,
            "socket_connect_timeout": self._timeout,
            # Once, for a connection that the server had dropped; a time-out is not tried again.
            "retry": retry(NoBackoff(), 1, (NotConnected,)),
            "protocol": 2,  # needs no greeting
        }


def check_url(url: str) -> None:
    """Refuse an address of another kind; it is not shown, as it may hold a password."""
    if not isinstance(url, str) or not url.startswith(("redis://", "rediss://", "unix://")):
        raise InvalidSettings(
            "url (SESSION_REVOCATION_URL) has another scheme; allowed: redis://, rediss://, unix://."
        )
    try:
        redis.ConnectionPool.from_url(url).make_connection()  # which connects to nothing yet
    except (ValueError, TypeError):
        raise InvalidSettings(
            "url (SESSION_REVOCATION_URL) can't be read: its port is a number, its options are "
            "those of redis-py, and in a password / ? # @ are written %2F %3F %23 %40."
        ) from None


def _node(client: Any, command: Command, scope: bytes) -> dict[str, Any]:
    """On a Cluster, the node for commands that name no key: the one that keeps this scope."""
    if command[0] not in _KEYLESS or not hasattr(client, "get_node_from_key"):
        return _ANYWHERE
    return {"target_nodes": client.get_node_from_key(key_of(scope))}
