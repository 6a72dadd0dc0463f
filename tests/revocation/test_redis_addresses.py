"""Addresses of Sentinels and Clusters, with real processes: plain and awaitable, and time-outs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
import redis.asyncio
import redis.sentinel

from duck_cookie_session.cli.redis_checks import check_redis
from duck_cookie_session.errors import InvalidSettings, RevocationListUnavailable
from duck_cookie_session.revocation._redis_address import read_address
from duck_cookie_session.revocation._redis_format import key_of
from duck_cookie_session.revocation.base import LAST_EPOCH, Scopes
from duck_cookie_session.revocation.redis import RedisRevocationList
from tests.helpers import make_settings
from tests.helpers.redis_fleet import Cluster, Sentinels, wait_until
from tests.helpers.redis_server import RedisServer

SETTINGS = make_settings()
SCOPES = Scopes(SETTINGS)
MakeServer = Callable[..., RedisServer]


def session() -> bytes:
    return SCOPES.session(os.urandom(16))


_made: list[RedisRevocationList] = []


@pytest.fixture(autouse=True)
def closing() -> Iterator[None]:
    yield
    while _made:
        _made.pop().close()


def bound(url: str, **arguments: object) -> RedisRevocationList:
    made = RedisRevocationList(url, **{"timeout": 1, **arguments})  # type: ignore[arg-type]
    made.bind(SETTINGS)
    _made.append(made)
    return made


def ends(one: RedisRevocationList, scope: bytes) -> bool:
    """Whether a session can be ended just now."""
    try:
        one.end(scope)
    except RevocationListUnavailable:
        return False
    return True


async def end_at_last(one: RedisRevocationList, scope: bytes) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            return await one.aend(scope)
        except RevocationListUnavailable:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)


async def work_through(one: RedisRevocationList) -> None:
    """Every kind of awaited call."""
    scope = session()
    epoch = await one.araise_epoch(scope)
    assert await one.acompare_and_raise(scope, 0, nonce=os.urandom(16)) is None
    ended = await one.acompare_and_raise(scope, epoch, nonce=os.urandom(16), last=True)
    assert ended == LAST_EPOCH
    assert (await one.alookup((scope, session()))).epochs == (LAST_EPOCH, 0)


def work_through_plain(one: RedisRevocationList) -> None:
    """Every kind of plain call."""
    scope = session()
    epoch = one.raise_epoch(scope)
    assert one.compare_and_raise(scope, 0, nonce=os.urandom(16)) is None
    assert one.compare_and_raise(scope, epoch, nonce=os.urandom(16), last=True) == LAST_EPOCH
    assert one.lookup((scope, session())).epochs == (LAST_EPOCH, 0)
    assert one.knows(SCOPES.prefix)
    assert one.survey(SCOPES.prefix).entries >= 1


# Reading an address


def test_what_an_address_says() -> None:
    found = read_address("rediss+sentinel://u:p%2F@a:1,b,[::1]:3/service/7?sentinel_password=s")
    assert found.hosts == (("a", 1), ("b", 26379), ("::1", 3))
    assert found.service == "service"
    assert found.options == {"username": "u", "password": "p/", "db": 7, "ssl": True}
    assert found.sentinel == {"password": "s", "ssl": True}
    assert found.where == "rediss+sentinel://a:1,b,[::1]:3/service/7"
    found = read_address("redis+cluster://:p@a,b:2?ssl_check_hostname=no")
    assert found.hosts == (("a", 6379), ("b", 2))
    assert found.options == {"password": "p", "ssl_check_hostname": False}
    assert found.where == "redis+cluster://a,b:2"
    assert "p/" not in repr(read_address("redis+sentinel://u:p%2F@a/service"))


@pytest.mark.parametrize(
    "wrong",
    [
        "redis+sentinel://a:secret@h,b",
        "redis+sentinel://a:secret@h/",
        "redis+sentinel://a:secret@/service/0",
        "redis+sentinel://a:secret@h,,b/service/0",
        "redis+sentinel://a:secret@h:port/service/0",
        "redis+sentinel://a:secret@h/service/secret",
        "redis+sentinel://a:secret@h/service/0?secret=1",
        "redis+cluster://a:secret@h/1",
        "redis+cluster://",
    ],
)
def test_addresses_that_can_not_be_read(wrong: str) -> None:
    with pytest.raises(InvalidSettings, match=r"can't be read.*host,host/service/0") as caught:
        RedisRevocationList(wrong)
    assert "secret" not in str(caught.value)


# Ready clients


def no_timeout() -> list[object]:
    pool = redis.ConnectionPool(socket_timeout=None)
    asked = redis.sentinel.Sentinel([("127.0.0.1", 1)])  # type: ignore[no-untyped-call]
    return [
        redis.Redis(connection_pool=pool),
        asked.master_for("service", socket_timeout=None),
        redis.asyncio.Redis(socket_timeout=None),
        redis.asyncio.RedisCluster("127.0.0.1", socket_timeout=None),
    ]


@pytest.mark.parametrize("number", range(4))
def test_a_ready_client_without_a_time_out_is_refused_with_the_line_to_add(number: int) -> None:
    client = no_timeout()[number]
    argument = "client" if number < 2 else "async_client"
    with pytest.raises(InvalidSettings) as caught:
        RedisRevocationList(**{argument: client})  # type: ignore[arg-type]
    assert str(caught.value) == (
        "The client given to RedisRevocationList has no time-out, so that a server which hangs "
        "would hang every request; make it with socket_timeout=0.25, socket_connect_timeout=0.25."
    )


# Sentinel


@pytest.fixture
def sentinels(make_redis_server: MakeServer, tmp_path: Path) -> Iterator[Sentinels]:
    made = Sentinels(make_redis_server, tmp_path)
    yield made
    made.close()


@pytest.mark.slow
def test_behind_sentinels(sentinels: Sentinels) -> None:
    one = bound(sentinels.url)
    scope = session()
    work_through_plain(one)
    one.end(scope)

    async def work() -> None:
        await work_through(one)
        await one.aclose()

    asyncio.run(work())
    sentinels.fail_over()
    wait_until(lambda: ends(one, session()), "no primary after the failover")
    assert one.lookup((scope,)).epochs == (LAST_EPOCH,)


@pytest.mark.slow
def test_behind_sentinels_awaited_through_a_failover(sentinels: Sentinels) -> None:
    one = bound(sentinels.url)

    async def work() -> None:
        scope = session()
        await asyncio.gather(*(work_through(one) for _ in range(100)))
        await one.aend(scope)
        await asyncio.to_thread(sentinels.fail_over)
        await end_at_last(one, session())
        assert (await one.alookup((scope,))).epochs == (LAST_EPOCH,)
        await asyncio.gather(*(work_through(one) for _ in range(100)))
        await one.aclose()

    asyncio.run(work())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["plain", "awaited"])
def test_the_sentinels_are_asked_again_every_second(sentinels: Sentinels, kind: str) -> None:
    """The old primary goes on, and thinks that it is one: its clients leave it all the same."""
    one = bound(sentinels.url)
    replica = sentinels.replicas[0]

    async def work() -> None:
        end = one.aend if kind == "awaited" else lambda scope: asyncio.to_thread(one.end, scope)
        await end(session())
        # What a failover looks like to a client whose old primary was cut off and never told.
        with redis.Redis(port=sentinels.ports[0], socket_timeout=5, protocol=2) as sentinel:
            sentinel.execute_command("SENTINEL", "REMOVE", sentinels.SERVICE)
            with replica.client() as client:
                client.execute_command("REPLICAOF", "NO", "ONE")
            sentinel.execute_command(
                "SENTINEL", "MONITOR", sentinels.SERVICE, "127.0.0.1", replica.port, 2
            )
        for process in sentinels.processes[1:]:
            process.kill()
        await asyncio.sleep(1.1)  # for as long as a server stays verified
        scope = session()
        await end(scope)
        with replica.client() as client:
            assert client.get(key_of(scope)) is not None
        await one.aclose()

    asyncio.run(work())


@pytest.mark.slow
def test_a_sentinel_that_hangs_takes_no_longer_than_the_time_out(sentinels: Sentinels) -> None:
    one = bound(sentinels.url, timeout=0.3)
    sentinels.primary.pause()
    try:
        for call in (lambda: one.lookup((session(),)), lambda: asyncio.run(awaited(one))):
            began = time.monotonic()
            with pytest.raises(RevocationListUnavailable, match=r"redis\+sentinel://"):
                call()
            assert time.monotonic() - began < 3
    finally:
        sentinels.primary.resume()


async def awaited(one: RedisRevocationList) -> None:
    try:
        await one.alookup((session(),))
    finally:
        await one.aclose()


# Cluster


@pytest.fixture
def cluster(make_redis_server: MakeServer) -> Cluster:
    return Cluster(make_redis_server)


# redis-py drops its connections to nodes that left or changed places, and does not close them.
DROPS = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.mark.slow
@DROPS
@pytest.mark.parametrize("replicas", [0, 1])
def test_on_a_cluster(cluster: Cluster, replicas: int) -> None:
    """Through a failover: what one replica has is there afterwards."""
    one = bound(cluster.url, min_replicas=replicas, timeout=10 if replicas else 2)
    scope = session()
    work_through_plain(one)

    async def work() -> None:
        await work_through(one)
        if replicas:
            await asyncio.gather(*(work_through(one) for _ in range(100)))
        await one.aclose()

    asyncio.run(work())
    one.end(scope)
    keeper = cluster.keeper(key_of(scope))
    if replicas:
        other = cluster.replica_of(keeper)
        with other.client() as client:
            client.execute_command("READONLY")
            assert client.get(key_of(scope)) is not None
            return
    wait_until(lambda: cluster.passed_on(keeper), "the replica lags")
    keeper.kill()
    wait_until(lambda: ends(one, session()), "no primary after the failover")
    assert one.lookup((scope,)).epochs == (LAST_EPOCH,)


@pytest.mark.slow
@DROPS
def test_on_a_cluster_that_hangs(cluster: Cluster) -> None:
    one = bound(cluster.url, timeout=0.3)
    scope = session()
    one.lookup((scope,))
    keeper = cluster.keeper(key_of(scope))
    keeper.pause()
    try:
        for call in (lambda: one.lookup((scope,)), lambda: asyncio.run(awaited(one))):
            began = time.monotonic()
            with contextlib.suppress(RevocationListUnavailable):
                call()
            # Some nodes are asked which of them keeps it, besides.
            assert time.monotonic() - began < 3
    finally:
        keeper.resume()


@pytest.mark.slow
@DROPS
def test_a_cluster_whose_nodes_changed_places(cluster: Cluster) -> None:
    one = bound(cluster.url)
    scope = session()
    one.end(scope)

    async def work() -> None:
        await one.aend(session())
        other = cluster.replica_of(cluster.keeper(key_of(scope)))
        with other.client() as client:
            client.execute_command("CLUSTER", "FAILOVER")
            wait_until(lambda: client.info()["role"] == "master", "no failover")
        await end_at_last(one, session())
        await one.aclose()

    asyncio.run(work())
    wait_until(lambda: ends(one, session()), "no primary after the failover")
    assert one.lookup((scope,)).epochs == (LAST_EPOCH,)


# What a user of the servers must be allowed


def rights(kind: str) -> list[str]:
    """As docs/lists-redis.md gives them, with those for `min_replicas`."""
    page = (Path(__file__).parents[2] / "docs" / "lists-redis.md").read_text()
    table = page.partition("| server | rights |\n|---|---|\n")[2].partition("\n\n")[0]
    found = {}
    for line in table.splitlines():
        name, row = line.strip("| ").split(" | ")
        given = " ".join(re.findall(r"`([~+][^`]*)`", row))
        found[name] = given.replace("\\|", "|").split()
    base = found["one, or behind Sentinels"]
    return [*base, *found["Cluster"]] if kind == "Cluster" else found.get(kind, base)


def limit(servers: list[RedisServer], allowed: list[str]) -> None:
    for server in servers:
        with server.client() as client:
            limit_by(client, allowed)


def limit_by(client: redis.Redis, allowed: list[str]) -> None:
    client.execute_command("ACL", "SETUSER", "app", "reset", "on", ">hidden", *allowed)


def work_through_both(url: str, **arguments: object) -> None:
    """Every call, and `check`, which sees all but what CONFIG would show."""
    one = bound(url, **arguments)
    work_through_plain(one)
    found = {one.what: one.text for one in check_redis(url, 60, scope=SCOPES.everything)}
    assert {"role", "durable", "replicas", "eviction", "room", "clock", "latency"} == set(found)
    assert "primary" in found["role"]

    async def work() -> None:
        await work_through(one)
        await one.aclose()

    asyncio.run(work())


def test_the_rights_that_the_documents_give_on_one_server(make_redis_server: MakeServer) -> None:
    server = make_redis_server()
    limit([server], rights("one"))
    work_through_both(server.url.replace("//", "//app:hidden@"))


@pytest.mark.slow
def test_the_rights_that_the_documents_give_behind_sentinels(sentinels: Sentinels) -> None:
    limit(sentinels.servers, rights("one"))
    for port in sentinels.ports:
        with redis.Redis(port=port, socket_timeout=5, protocol=2) as client:
            limit_by(client, rights("the Sentinels themselves"))
            client.execute_command("ACL", "SETUSER", "default", "-sentinel")
    url = sentinels.url.replace("//", "//app:hidden@")
    asked = "?sentinel_username=app&sentinel_password=hidden"
    work_through_both(url + asked, min_replicas=1)
    with pytest.raises(RevocationListUnavailable):
        bound(url).lookup((session(),))


@pytest.mark.slow
def test_the_rights_that_the_documents_give_on_a_cluster(cluster: Cluster) -> None:
    limit(cluster.servers, rights("Cluster"))
    work_through_both(cluster.url.replace("//", "//app:hidden@"), min_replicas=1)
