"""min_replicas: what was acknowledged is kept, and a primary that was cut off is not believed."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import redis

from duck_cookie_session.errors import InvalidSettings, RevocationListUnavailable
from duck_cookie_session.revocation.base import LAST_EPOCH, Scopes
from duck_cookie_session.revocation.redis import RedisRevocationList
from tests.helpers import make_settings
from tests.helpers.redis_fleet import AT_ONCE, Link, wait_for_replica, wait_until
from tests.helpers.redis_server import RedisServer

SETTINGS = make_settings(min_replicas=1)
SCOPES = Scopes(SETTINGS)

MakeServer = Callable[..., RedisServer]


def session() -> bytes:
    return SCOPES.session(os.urandom(16))


def bound(url: str, **arguments: object) -> RedisRevocationList:
    made = RedisRevocationList(url, **{"timeout": 2, **arguments})  # type: ignore[arg-type]
    made.bind(SETTINGS)
    return made


@pytest.fixture
def primary(make_redis_server: MakeServer) -> RedisServer:
    return make_redis_server(*AT_ONCE)


@pytest.fixture
def link(primary: RedisServer) -> Iterator[Link]:
    made = Link(primary.port)
    yield made
    made.close()


@pytest.fixture
def replica(make_redis_server: MakeServer, link: Link, primary: RedisServer) -> RedisServer:
    made = make_redis_server("--replicaof", "127.0.0.1", str(link.port))
    wait_for_replica(made)
    with primary.client() as client:
        wait_until(lambda: client.info()["slave0"]["state"] == "online", "no replica")
    return made


def stands(server: RedisServer, scope: bytes) -> bool:
    """Whether a server has an entry for a scope."""
    from duck_cookie_session.revocation._redis_format import key_of

    with server.client() as client:
        return client.get(key_of(scope)) is not None


def test_a_change_that_returned_is_on_the_replica(
    primary: RedisServer, replica: RedisServer
) -> None:
    one = bound(primary.url)
    for _ in range(50):
        scope = session()
        one.end(scope)
        assert stands(replica, scope)
    scope = session()
    epoch = one.raise_epoch(scope)
    assert one.compare_and_raise(scope, epoch, nonce=os.urandom(16), last=True) == LAST_EPOCH
    assert one.lookup((scope,)).epochs == (LAST_EPOCH,)
    one.close()


def test_awaited_too(primary: RedisServer, replica: RedisServer) -> None:
    one = bound(primary.url)

    async def work() -> None:
        for _ in range(50):
            scope = session()
            await one.aend(scope)
            assert stands(replica, scope)
        scope = session()
        epoch = await one.araise_epoch(scope)
        nonce = os.urandom(16)
        ended = await one.acompare_and_raise(scope, epoch, nonce=nonce, last=True)
        assert ended == LAST_EPOCH
        await one.aclose()

    asyncio.run(work())


def test_what_is_ended_already_waits_too(
    primary: RedisServer, replica: RedisServer, link: Link
) -> None:
    """One that somebody else made and that no replica has: nor does the next call return."""
    scope = session()
    careless = RedisRevocationList(primary.url, timeout=2, min_replicas=0)
    careless.bind(make_settings())
    careful = bound(primary.url, timeout=0.5)
    careful.lookup((scope,))
    link.cut()
    careless.end(scope)
    with pytest.raises(RevocationListUnavailable, match="not known"):
        careful.end(scope)
    careless.close()
    careful.close()


def test_a_wait_that_times_out_says_that_the_outcome_is_not_known(
    primary: RedisServer, replica: RedisServer
) -> None:
    one = bound(primary.url, timeout=0.3)
    scope = session()
    one.lookup((scope,))
    replica.pause()
    try:
        with pytest.raises(RevocationListUnavailable) as caught:
            one.end(scope)

        async def awaited() -> None:
            with pytest.raises(RevocationListUnavailable, match="min_replicas"):
                await one.aend(scope)
            await one.aclose()

        asyncio.run(awaited())
    finally:
        replica.resume()
    assert str(caught.value) == (
        "Only 0 of the 1 replicas that min_replicas (SESSION_MIN_REPLICAS) asks for confirmed in "
        f"time a change to the revocation list ({primary.url}). What came of it is not known: the "
        "primary has it, and may keep it or lose it to another primary. Repeat a logout until it "
        "returns."
    )
    # The primary has it, so here it came to pass.
    wait_until(lambda: stands(replica, scope), "it was not passed on")
    one.end(scope)
    one.close()


def test_a_primary_without_its_replicas_is_not_believed(primary: RedisServer) -> None:
    one = bound(primary.url)
    for call in (lambda: one.lookup((session(),)), lambda: one.end(session())):
        with pytest.raises(RevocationListUnavailable) as caught:
            call()
        assert str(caught.value) == (
            f"The primary of the revocation list ({primary.url}) has 0 replicas that keep up, "
            "min_replicas (SESSION_MIN_REPLICAS) asks for 1: it may be cut off from the others, "
            "which may have another primary by now. Bring the replicas back, or lower min_replicas."
        )


@pytest.mark.slow
def test_in_a_split_nothing_acknowledged_is_lost_and_what_is_stale_ends_in_five_seconds(
    primary: RedisServer, replica: RedisServer, link: Link
) -> None:
    """Node A is on the side of the old primary, node B on that of the replica, now the primary."""
    sessions = [session() for _ in range(500)]
    a = bound(primary.url, timeout=0.5)
    acknowledged: list[bytes] = []
    a.lookup(sessions[:1])
    cut_after = 30

    def log_out() -> None:
        for number, scope in enumerate(sessions):
            if number == cut_after:
                link.cut()
            try:
                a.end(scope)
                acknowledged.append(scope)
            except RevocationListUnavailable:
                pass

    thread = threading.Thread(target=log_out)
    thread.start()
    wait_until(lambda: len(acknowledged) >= cut_after, "no logouts")
    thread.join(timeout=120)
    assert not thread.is_alive()
    # As a Sentinel does on the other side.
    with replica.client() as client:
        client.execute_command("REPLICAOF", "NO", "ONE")
    lost = [scope for scope in acknowledged if not stands(replica, scope)]
    print(f"{len(sessions)} logouts, {len(acknowledged)} acknowledged, {len(lost)} lost")
    assert cut_after <= len(acknowledged) < len(sessions)
    assert lost == []
    a.close()


@pytest.mark.slow
def test_a_primary_that_is_cut_off_is_believed_for_five_seconds_at_most(
    primary: RedisServer, replica: RedisServer, link: Link
) -> None:
    a = bound(primary.url, timeout=1)
    scope = session()
    a.lookup((scope,))
    link.cut()
    began, last = time.monotonic(), 0.0
    while time.monotonic() - began < 8:
        try:
            a.lookup((scope,))
            last = time.monotonic() - began
        except RevocationListUnavailable:
            pass
        time.sleep(0.01)
    print(f"believed for {last:.2f} s after the cut")
    assert last < 5
    link.mend()

    def believed_again() -> bool:
        try:
            return bool(a.lookup((scope,)))
        except RevocationListUnavailable:
            return False

    wait_until(believed_again, "the replica is back, and it is still not believed")
    a.close()


@pytest.mark.parametrize("wrong", [-1, 101, 1.5, True, "1"])
def test_how_many_replicas(wrong: object) -> None:
    with pytest.raises(InvalidSettings, match="0 to 100"):
        RedisRevocationList("redis://h", min_replicas=wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidSettings, match="SESSION_MIN_REPLICAS"):
        make_settings(min_replicas=wrong)


def test_of_two_applications_the_more_careful_number_counts(primary: RedisServer) -> None:
    for order in ((0, 1), (1, 0)):
        one = RedisRevocationList(primary.url, timeout=2)
        for number in order:
            one.bind(make_settings(audience=str(number), min_replicas=number))
        scope = Scopes(make_settings(audience="0")).session(bytes(16))
        with pytest.raises(RevocationListUnavailable, match="asks for 1"):
            one.lookup((scope,))
        one.close()


def test_the_argument_counts_more_than_the_setting(primary: RedisServer) -> None:
    one = RedisRevocationList(primary.url, timeout=2, min_replicas=0)
    one.bind(SETTINGS)
    assert one.lookup((session(),)).epochs == (0,)
    one.close()


def test_a_ready_client_waits_for_replicas_too(primary: RedisServer, replica: RedisServer) -> None:
    with redis.Redis(port=primary.port, socket_timeout=2, protocol=2) as client:
        one = RedisRevocationList(client=client)
        one.bind(SETTINGS)
        scope = session()
        one.end(scope)
        assert stands(replica, scope)
