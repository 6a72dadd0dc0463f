"""Which node of a Cluster the Redis list asks, and what its awaited calls wait for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
import redis.asyncio

from duck_cookie_session.errors import RevocationListUnavailable
from duck_cookie_session.revocation._redis_format import key_of
from duck_cookie_session.revocation.base import LAST_EPOCH, Scopes, Witness
from duck_cookie_session.revocation.redis import RedisRevocationList
from tests.helpers import make_settings
from tests.helpers.redis_server import RedisServer

SETTINGS = make_settings()
SCOPES = Scopes(SETTINGS)
SCOPE = SCOPES.session(b"x" * 16)
OTHER = SCOPES.session(b"y" * 16)
NONCE = b"n" * 16
WITNESS = Witness(1, 2, 3, 4)

MakeList = Callable[..., RedisRevocationList]


# Which node of a Cluster is asked


class Routed:
    """A client as that of a Cluster: it has to be told the node of a command without a key."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.routed: list[tuple[str, Any]] = []

    def get_node_from_key(self, key: bytes) -> bytes:
        return key

    def execute_command(self, *command: Any, target_nodes: Any = None) -> Any:
        self.routed.append((command[0], target_nodes))
        return self.client.execute_command(*command)


PLAIN: dict[str, tuple[Callable[[RedisRevocationList], Any], bytes]] = {
    "lookup": (lambda one: one.lookup((SCOPE, OTHER)), SCOPE),
    "raise_epoch": (lambda one: one.raise_epoch(SCOPE), SCOPE),
    "compare_and_raise": (lambda one: one.compare_and_raise(SCOPE, 0, nonce=NONCE), SCOPE),
    "end": (lambda one: one.end(SCOPE), SCOPE),
    "raise_if_forgotten": (
        lambda one: one.raise_if_forgotten(SCOPES.everything, WITNESS),
        SCOPES.everything,
    ),
    "new_birth": (lambda one: one.new_birth(SCOPES.prefix), SCOPES.prefix),
    "knows": (lambda one: one.knows(SCOPES.prefix), SCOPES.prefix),
    "survey": (lambda one: one.survey(SCOPES.prefix), SCOPES.prefix),
}
AWAITED: dict[str, Callable[[RedisRevocationList], Any]] = {
    "lookup": lambda one: one.alookup((SCOPE, OTHER)),
    "raise_epoch": lambda one: one.araise_epoch(SCOPE),
    "compare_and_raise": lambda one: one.acompare_and_raise(SCOPE, 0, nonce=NONCE),
    "end": lambda one: one.aend(SCOPE),
    "raise_if_forgotten": lambda one: one.araise_if_forgotten(SCOPES.everything, WITNESS),
}


def check_routes(routed: list[tuple[str, Any]], scope: bytes) -> None:
    assert routed[0] == ("INFO", key_of(scope))
    for command, node in routed:
        assert node == (key_of(scope) if command in ("INFO", "TIME", "SCAN") else None)


@pytest.mark.parametrize("call", PLAIN)
def test_the_node_that_keeps_the_scope(
    make_redis_list: MakeList, bare_redis: redis.Redis, call: str
) -> None:
    client = Routed(bare_redis)
    make, scope = PLAIN[call]
    make(make_redis_list(client=client))
    check_routes(client.routed, scope)


@pytest.mark.parametrize("call", AWAITED)
def test_the_node_that_keeps_the_scope_awaited_in_a_thread(
    make_redis_list: MakeList, bare_redis: redis.Redis, call: str
) -> None:
    client = Routed(bare_redis)
    asyncio.run(AWAITED[call](make_redis_list(client=client)))
    check_routes(client.routed, PLAIN[call][1])


@pytest.mark.parametrize("call", AWAITED)
def test_the_node_that_keeps_the_scope_awaited(
    make_redis_list: MakeList, bare_redis: redis.Redis, redis_server: RedisServer, call: str
) -> None:
    async def work() -> Routed:
        client = Routed(redis.asyncio.Redis(port=redis_server.port, protocol=2))
        unused = Routed(bare_redis)
        await AWAITED[call](make_redis_list(client=unused, async_client=client))
        assert unused.routed == []
        await client.client.aclose()
        return client

    check_routes(asyncio.run(work()).routed, PLAIN[call][1])


# Awaited calls


def test_awaited_lookups_reuse_an_answer_only_where_that_will_do(make_redis_list: MakeList) -> None:
    one, other = make_redis_list(max_staleness=60), make_redis_list()

    async def work() -> list[int]:
        found = [*(await one.alookup((SCOPE,))).epochs]
        await other.aend(SCOPE)
        found += (await one.alookup((SCOPE,), fresh=False)).epochs
        found += (await one.alookup((SCOPE,))).epochs
        await one.aclose()
        await other.aclose()
        return found

    assert asyncio.run(work()) == [0, 0, LAST_EPOCH]


def test_awaited_lookups_ask_where_nothing_may_be_reused(make_redis_list: MakeList) -> None:
    one, other = make_redis_list(), make_redis_list()

    async def work() -> list[int]:
        found = [*(await one.alookup((SCOPE,), fresh=False)).epochs]
        await other.aend(SCOPE)
        found += (await one.alookup((SCOPE,), fresh=False)).epochs
        await one.aclose()
        await other.aclose()
        return found

    assert asyncio.run(work()) == [0, LAST_EPOCH]


def test_awaited_compare_and_raise(make_redis_list: MakeList) -> None:
    one = make_redis_list()

    async def work() -> None:
        epoch = await one.acompare_and_raise(SCOPE, 0, nonce=b"1" * 16)
        assert epoch is not None
        assert 0 < epoch < LAST_EPOCH
        assert await one.acompare_and_raise(SCOPE, 0, nonce=b"2" * 16) is None
        ended = await one.acompare_and_raise(SCOPE, epoch, nonce=b"3" * 16, last=True)
        assert ended == LAST_EPOCH
        await one.aclose()

    asyncio.run(work())


def test_awaited_calls_wait_no_longer_than_the_time_out(
    make_redis_list: MakeList, redis_server: RedisServer
) -> None:
    """More tasks than connections, and a server that does not answer."""
    one = RedisRevocationList(redis_server.url, timeout=0.2)
    one.bind(SETTINGS)

    async def work() -> None:
        await one.alookup((SCOPE,))
        redis_server.pause()
        started = time.monotonic()
        try:
            answers = await asyncio.gather(
                *(one.alookup((SCOPE,)) for _ in range(200)), return_exceptions=True
            )
        finally:
            redis_server.resume()
        assert time.monotonic() - started < 5
        assert all(isinstance(answer, RevocationListUnavailable) for answer in answers)
        await one.aclose()

    asyncio.run(work())


@pytest.mark.slow
def test_a_thousand_tasks_on_a_healthy_server_are_all_answered(
    redis_server: RedisServer, bare_redis: redis.Redis
) -> None:
    """Waiting for a connection is no error, and ends nothing of what is known of the server."""
    one = RedisRevocationList(redis_server.url, timeout=1)  # this machine may be busy
    one.bind(SETTINGS)

    async def look(times: int) -> None:
        for _ in range(times):
            await one.alookup((SCOPES.everything, SCOPE))

    async def work() -> None:
        await look(1)
        before = bare_redis.info("commandstats")["cmdstat_info"]["calls"]
        began = time.monotonic()
        await asyncio.gather(*(look(10) for _ in range(1_000)))
        took = time.monotonic() - began
        assert bare_redis.info("clients")["connected_clients"] <= 64 + 1
        asked = bare_redis.info("commandstats")["cmdstat_info"]["calls"] - before - 2
        await one.aclose()
        # Once a second and by whoever asks in that moment.
        assert asked <= 64 * (took + 1)

    asyncio.run(work())
    one.close()


def test_a_ready_client_with_few_connections_is_shared_fairly(
    make_redis_list: MakeList, redis_server: RedisServer
) -> None:
    async def work() -> None:
        pool = redis.asyncio.ConnectionPool(
            port=redis_server.port, max_connections=2, protocol=2, socket_timeout=5
        )
        client = redis.asyncio.Redis(connection_pool=pool)
        one = make_redis_list(async_client=client)
        found = await asyncio.gather(*(one.alookup((SCOPE,)) for _ in range(200)))
        assert {standing.epochs for standing in found} == {(0,)}
        await one.aclose()
        assert await client.ping()  # it stays open
        await client.aclose()
        await pool.disconnect()

    asyncio.run(work())
