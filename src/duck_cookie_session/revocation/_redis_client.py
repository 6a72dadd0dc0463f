"""Connections to a Redis server: one pool for each process, one for each event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from enum import Enum, auto
from functools import partial
from typing import Any, NamedTuple

try:
    import redis as redis
except ImportError as _missing:  # pragma: no cover  # the tests have it
    raise ImportError(
        'RedisRevocationList needs redis-py: pip install "duck-cookie-session[redis]"'
    ) from _missing

from redis.exceptions import AskError, MovedError, RedisClusterException, RedisError
from redis.exceptions import ConnectionError as NotConnected
from redis.exceptions import NoScriptError as NoScriptError

from .._counting import Histogram
from ..errors import InvalidArgument, RevocationListUnavailable
from ._redis_address import (
    CONNECTIONS,
    Address,
    check_client,
    is_cluster,
    pools_of,
    read_address,
    timeout_of,
)
from ._redis_format import key_of
from ._steps import PerLoop, Result, Steps, acarry_out, carry_out
from ._turns import NoAnswer, Turns

RIGHTS = "INFO, MGET, GET, SET, TIME, SCAN, EVAL, EVALSHA and WAIT on keys that begin with dcs2"
"""What a user of the server must be allowed, as messages and documents say it."""
_KEYLESS = frozenset({"INFO", "TIME", "SCAN"})
_ANYWHERE: dict[str, Any] = {}
# ValueError: somebody else wrote under our keys
_FAILURES = (RedisError, RedisClusterException, OSError, ValueError)
# Seconds before the time-out when WAIT ends, and at least this part of it: a server looks at its
# clock ten times a second, so the answer may come a tenth later than asked for.
_IN_TIME = 0.15
_AT_LEAST = 0.4


class Locate(Enum):
    """Steps that no server answers."""

    PRIMARY = auto()
    """Ask the Sentinels, if there are any, which server is the primary."""
    NODES = auto()
    """Ask a Cluster, if it is one, which nodes keep what."""


class Replicated(NamedTuple):
    """A command that changes something, and then a WAIT on the same connection.

    Its reply is a list of both replies.
    """

    command: Sequence[Any]
    replicas: int


Command = Sequence[Any] | Locate | Replicated


class Connections:
    """Clients made from an address, or ready ones, and how they carry out steps.

    Args:
        url: the address; None with ready clients.
        client, async_client: ready clients; never closed here.
        timeout: seconds for connecting, and for each answer.
        on_error: called when the server could not be asked.
        waited: how long tasks waited for their turn.

    Raises:
        InvalidSettings: the address can't be read, or a ready client won't do.
    """

    def __init__(
        self,
        url: str | None,
        client: Any,
        async_client: Any,
        timeout: float,
        on_error: Callable[[], None],
        waited: Histogram,
    ) -> None:
        for given in (client, async_client):
            check_client(given)
        self._address: Address | None = None if url is None else read_address(url)
        self.lock: threading.RLock = threading.RLock()
        self._given = client
        self._given_async = async_client
        self._timeout = timeout
        self._on_error = on_error
        self._waited = waited
        self._client: Any = None
        self._async_clients: PerLoop[tuple[Any, Turns]] = PerLoop()

    @property
    def where(self) -> str:
        """The server as messages show it: without a password."""
        return "the given client's server" if self._address is None else self._address.where

    def close(self) -> None:
        """Close this process's idle connections; calls under way end as they would have."""
        with self.lock:
            client, self._client = self._client, None
        if client is not None:
            for pool in pools_of(client):
                pool.disconnect(inuse_connections=False)

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        client, _ = self._async_clients.pop() or (None, None)
        if client is None or client is self._given_async:
            return
        if is_cluster(client):
            await client.aclose()
        else:
            for pool in pools_of(client):
                await pool.disconnect()

    def run(self, scope: bytes, make: Callable[[], Steps[Result]]) -> Result:
        """Carry out the steps that `make` gives; `scope` says for which node of a Cluster.

        Raises:
            RevocationListUnavailable: the server can't be asked.
        """
        try:
            send = partial(self._ask, self._connected(), scope)
            return carry_out(make(), send, (NoScriptError,))
        except _FAILURES as error:
            self._on_error()
            raise self._unavailable(error) from error

    async def arun(self, scope: bytes, make: Callable[[], Steps[Result]]) -> Result:
        """`run`, awaitable."""
        if self._given_async is None and self._given is not None:
            return await asyncio.to_thread(self.run, scope, make)
        client, turns = self._connected_async()
        try:
            async with turns:
                send = partial(self._ask_in_turn, client, turns, scope)
                return await acarry_out(make(), send, (NoScriptError,))
        except NoAnswer as error:
            raise self._unavailable(error) from error
        except _FAILURES as error:
            self._on_error()
            raise self._unavailable(error) from error

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
                    self._client = self._known_address().connect(self._timeout)
        return self._client

    def _connected_async(self) -> tuple[Any, Turns]:
        """The client of the running event loop, and the turns that its tasks take."""
        found = self._async_clients.get()
        if found is None:
            with self.lock:
                client, places = self._given_async, CONNECTIONS
                if client is None:
                    # Tasks may ask by the thousand: they take turns.
                    client = self._known_address().connect_async(self._timeout)
                else:
                    own = getattr(client, "connection_pool", None)
                    places = min(places, getattr(own, "max_connections", places))
                found = client, Turns(places, self._timeout, self._waited)
                self._async_clients.put(found)
        return found

    def _known_address(self) -> Address:
        if self._address is None:
            raise InvalidArgument(
                "RedisRevocationList was given only async_client=: give client= too for calls "
                "that are not awaited."
            )
        return self._address

    def _ask(self, client: Any, scope: bytes, command: Command) -> Any:
        """Carry out one step."""
        if isinstance(command, Replicated):
            return self._replicate(client, command, scope)
        if isinstance(command, Locate):
            if command is Locate.NODES and is_cluster(client):
                client.nodes_manager.initialize()
            elif command is Locate.PRIMARY and _knows_sentinels(client):
                client.connection_pool.get_master_address()
            return None
        return client.execute_command(*command, **_node(client, command, scope))

    async def _ask_in_turn(self, client: Any, turns: Turns, scope: bytes, command: Command) -> Any:
        reply = await self._ask_async(client, scope, command)
        turns.answered()
        return reply

    async def _ask_async(self, client: Any, scope: bytes, command: Command) -> Any:
        """`_ask`, awaitable."""
        if isinstance(command, Replicated):
            return await self._replicate_async(client, command, scope)
        if isinstance(command, Locate):
            if is_cluster(client):
                await client.initialize()
                if command is Locate.NODES:
                    await client.nodes_manager.initialize()
            elif command is Locate.PRIMARY and _knows_sentinels(client):
                await client.connection_pool.get_master_address()
            return None
        try:
            return await client.execute_command(*command, **_node(client, command, scope))
        except AttributeError as error:
            if not is_cluster(client):
                raise
            # redis-py's: one task learns of the nodes anew and closes what another writes to.
            raise NotConnected("another task closed the connection during this call") from error

    def _replicate(self, client: Any, step: Replicated, scope: bytes) -> list[Any]:
        """A command and WAIT, written in one go, so that no other connection gets in between."""
        for last in (False, True):
            one = client
            if is_cluster(client):
                one = client.get_redis_connection(client.get_node_from_key(key_of(scope)))
            pipe = one.pipeline(transaction=False)
            for command in (step.command, self._wait(client, step)):
                pipe.execute_command(*command)
            replies: list[Any] = pipe.execute(raise_on_error=False)
            if not isinstance(replies[0], (MovedError, AskError)) or last:
                break
            client.nodes_manager.initialize()
        return _good(replies)

    async def _replicate_async(self, client: Any, step: Replicated, scope: bytes) -> list[Any]:
        """`_replicate`, awaitable."""
        commands = [step.command, self._wait(client, step)]
        if not is_cluster(client):
            pipe = client.pipeline(transaction=False)
            for command in commands:
                pipe.execute_command(*command)
            return _good(await pipe.execute(raise_on_error=False))
        await client.initialize()
        for last in (False, True):
            node = client.get_node_from_key(key_of(scope))
            try:
                replies = await _write_both(node, commands)
            except NotConnected:
                if last:
                    raise
            else:
                if not isinstance(replies[0], (MovedError, AskError)) or last:
                    break
            await client.nodes_manager.initialize()
        return _good(replies)

    def _wait(self, client: Any, step: Replicated) -> tuple[str, int, int]:
        given = client is self._given or client is self._given_async
        timeout = (timeout_of(client) if given else None) or self._timeout
        seconds = max(timeout - _IN_TIME, timeout * _AT_LEAST)
        return "WAIT", step.replicas, max(1, int(seconds * 1_000))


async def _write_both(node: Any, commands: Sequence[Sequence[Any]]) -> list[Any]:
    """Commands on one connection to a node of a Cluster; their replies, errors among them."""
    connection = node.acquire_connection()
    try:
        await connection.connect()
        await connection.send_packed_command(connection.pack_commands(commands))
        replies = []
        for _ in commands:
            try:
                replies.append(await connection.read_response())
            except (NotConnected, TimeoutError, OSError):
                raise
            except RedisError as error:
                replies.append(error)
        return replies
    except BaseException:  # cancelled, too: an answer that is not read would be taken for another
        await connection.disconnect(nowait=True)
        raise
    finally:
        node.release(connection)


def _good(replies: list[Any]) -> list[Any]:
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return replies


def _knows_sentinels(client: Any) -> bool:
    return hasattr(getattr(client, "connection_pool", None), "get_master_address")


def _node(client: Any, command: Sequence[Any], scope: bytes) -> dict[str, Any]:
    """On a Cluster, the node for commands that name no key: the one that keeps this scope."""
    if command[0] not in _KEYLESS or not hasattr(client, "get_node_from_key"):
        return _ANYWHERE
    return {"target_nodes": client.get_node_from_key(key_of(scope))}
