"""The Redis list to the last unit, as `test_exactly.py` for the others; against a real server."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
import redis.asyncio

from duck_cookie_session.errors import InvalidArgument, InvalidSettings, RevocationListUnavailable
from duck_cookie_session.revocation._answers import Answers
from duck_cookie_session.revocation._redis_format import key_of, script_keys
from duck_cookie_session.revocation.base import LAST_EPOCH, Scopes
from duck_cookie_session.revocation.redis import RedisRevocationList
from tests.helpers import make_settings
from tests.helpers.redis_server import WHY_NOT, RedisServer, redis_binary

pytestmark = pytest.mark.skipif(redis_binary() is None, reason=WHY_NOT)

SETTINGS = make_settings()
SCOPES = Scopes(SETTINGS)
SCOPE = SCOPES.session(b"x" * 16)
OTHER = SCOPES.session(b"y" * 16)
TIMEOUT = 10


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    made = RedisServer(tmp_path_factory.mktemp("redis"))
    made.start()
    yield made
    made.kill()


@pytest.fixture
def bare(server: RedisServer) -> Iterator[redis.Redis]:
    with server.client() as client:
        client.flushall()
        yield client


MakeList = Callable[..., RedisRevocationList]


@pytest.fixture
def make_list(server: RedisServer, bare: redis.Redis) -> Iterator[MakeList]:
    made = []

    def make(**arguments: Any) -> RedisRevocationList:
        if "client" not in arguments and "async_client" not in arguments:
            arguments["url"] = server.url
        made.append(RedisRevocationList(timeout=TIMEOUT, **arguments))
        made[-1].bind(SETTINGS)
        return made[-1]

    yield make
    for one in made:
        one.close()


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
    "compare_and_raise": (lambda one: one.compare_and_raise(SCOPE, 0), SCOPE),
    "end": (lambda one: one.end(SCOPE), SCOPE),
    "age": (lambda one: one.age(SCOPE), SCOPE),
    "survey": (lambda one: one.survey(SCOPES.prefix), SCOPES.prefix),
}
AWAITED: dict[str, Callable[[RedisRevocationList], Any]] = {
    "lookup": lambda one: one.alookup((SCOPE, OTHER)),
    "raise_epoch": lambda one: one.araise_epoch(SCOPE),
    "compare_and_raise": lambda one: one.acompare_and_raise(SCOPE, 0),
    "end": lambda one: one.aend(SCOPE),
    "age": lambda one: one.aage(SCOPE),
}


def check_routes(routed: list[tuple[str, Any]], scope: bytes) -> None:
    assert routed[0] == ("INFO", key_of(scope))
    for command, node in routed:
        assert node == (key_of(scope) if command in ("INFO", "SCAN") else None)


@pytest.mark.parametrize("call", PLAIN)
def test_the_node_that_keeps_the_scope(make_list: MakeList, bare: redis.Redis, call: str) -> None:
    client = Routed(bare)
    make, scope = PLAIN[call]
    make(make_list(client=client))
    check_routes(client.routed, scope)


@pytest.mark.parametrize("call", AWAITED)
def test_the_node_that_keeps_the_scope_awaited_in_a_thread(
    make_list: MakeList, bare: redis.Redis, call: str
) -> None:
    client = Routed(bare)
    asyncio.run(AWAITED[call](make_list(client=client)))
    check_routes(client.routed, SCOPE)


@pytest.mark.parametrize("call", AWAITED)
def test_the_node_that_keeps_the_scope_awaited(
    make_list: MakeList, bare: redis.Redis, server: RedisServer, call: str
) -> None:
    async def work() -> Routed:
        client = Routed(redis.asyncio.Redis(port=server.port, protocol=2))
        unused = Routed(bare)
        await AWAITED[call](make_list(client=unused, async_client=client))
        assert unused.routed == []
        await client.client.aclose()
        return client

    check_routes(asyncio.run(work()).routed, SCOPE)


# Awaited calls


def test_awaited_lookups_reuse_an_answer_only_where_that_will_do(make_list: MakeList) -> None:
    one, other = make_list(max_staleness=60), make_list()

    async def work() -> list[int]:
        found = [(await one.alookup((SCOPE,)))[0]]
        await other.aend(SCOPE)
        found += await one.alookup((SCOPE,), fresh=False)
        found += await one.alookup((SCOPE,))
        await one.aclose()
        await other.aclose()
        return found

    assert asyncio.run(work()) == [0, 0, LAST_EPOCH]


def test_awaited_lookups_ask_where_nothing_may_be_reused(make_list: MakeList) -> None:
    one, other = make_list(), make_list()

    async def work() -> list[int]:
        found = [(await one.alookup((SCOPE,), fresh=False))[0]]
        await other.aend(SCOPE)
        found += await one.alookup((SCOPE,), fresh=False)
        await one.aclose()
        await other.aclose()
        return found

    assert asyncio.run(work()) == [0, LAST_EPOCH]


def test_awaited_compare_and_raise(make_list: MakeList) -> None:
    one = make_list()

    async def work() -> None:
        epoch = await one.acompare_and_raise(SCOPE, 0)
        assert epoch is not None
        assert 0 < epoch < LAST_EPOCH
        assert await one.acompare_and_raise(SCOPE, 0) is None
        assert await one.acompare_and_raise(SCOPE, epoch, last=True) == LAST_EPOCH
        await one.aclose()

    asyncio.run(work())


def test_awaited_calls_wait_no_longer_than_the_time_out(
    make_list: MakeList, server: RedisServer
) -> None:
    """More tasks than connections, and a server that does not answer."""
    one = RedisRevocationList(server.url, timeout=0.2)
    one.bind(SETTINGS)

    async def work() -> None:
        await one.alookup((SCOPE,))
        server.pause()
        started = time.monotonic()
        try:
            answers = await asyncio.gather(
                *(one.alookup((SCOPE,)) for _ in range(200)), return_exceptions=True
            )
        finally:
            server.resume()
        assert time.monotonic() - started < 5
        assert all(isinstance(answer, RevocationListUnavailable) for answer in answers)
        await one.aclose()

    asyncio.run(work())


# What is told


def test_a_survey_of_nothing_tells_the_memory(make_list: MakeList) -> None:
    survey = make_list().survey(SCOPES.prefix)
    assert (survey.entries, survey.oldest) == (0, None)
    assert survey.bytes is not None
    assert survey.bytes > 0


def test_times_of_entries(make_list: MakeList, bare: redis.Redis) -> None:
    the_list = make_list()
    the_list.end(SCOPE)
    survey = the_list.survey(SCOPES.prefix)
    assert survey.oldest == pytest.approx(time.time(), abs=120)
    assert survey.next_expiry == (survey.oldest or 0) + SETTINGS.absolute_age + SETTINGS.clock_skew
    ago = int((time.time() - 10_000_000) * 1_000_000)
    bare.set(key_of(SCOPE), str(-ago))
    assert the_list.age(SCOPE) == pytest.approx(10_000_000, abs=5)
    assert bare.get(script_keys(SCOPE)[1])


def test_the_warning_names_the_server_and_not_its_password(
    server: RedisServer, bare: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    bare.acl_setuser("node", enabled=True, passwords=["+hidden"], keys=["*"], commands=["+@all"])
    the_list = RedisRevocationList(
        server.url.replace("redis://", "redis://node:hidden@"), timeout=TIMEOUT
    )
    the_list.bind(SETTINGS)
    with caplog.at_level(logging.WARNING):
        the_list.lookup((SCOPES.everything,))
    the_list.close()
    bare.acl_deluser("node")
    (message,) = (record.getMessage() for record in caplog.records)
    assert message.startswith(f"The revocation list in redis://127.0.0.1:{server.port}/0 is new")
    assert "hidden" not in message


def test_eviction_is_refused_or_warned_of_in_these_words(
    make_list: MakeList, bare: redis.Redis, server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    where = f"redis://127.0.0.1:{server.port}/0"
    what = (
        f"The server of the revocation list ({where}) may evict entries "
        "(maxmemory-policy allkeys-lru), which would bring ended sessions back"
    )
    bare.config_set("maxmemory", "64mb")
    bare.config_set("maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(RevocationListUnavailable) as caught:
            make_list().end(SCOPE)
        accepted = make_list(allow_eviction=True)
        with caplog.at_level(logging.WARNING):
            accepted.end(SCOPE)
            accepted.close()
            accepted.end(SCOPE)
    finally:
        bare.config_set("maxmemory-policy", "noeviction")
        bare.config_set("maxmemory", "0")
    assert str(caught.value) == (
        f"{what}: set maxmemory-policy to noeviction, or give the list a server of its own. "
        "RedisRevocationList(allow_eviction=True) accepts the risk."
    )
    messages = [record.getMessage() for record in caplog.records]
    assert messages == [f"{what}; allow_eviction=True accepts it."]


def test_a_server_that_is_away_is_told_in_these_words(server: RedisServer) -> None:
    the_list = RedisRevocationList("redis://user:hidden@127.0.0.1:1/3", timeout=0.2)
    the_list.bind(SETTINGS)

    def told(error: RevocationListUnavailable) -> str:
        text = str(error)
        assert "hidden" not in text
        start, _, rest = text.partition("ConnectionError: ")
        return start + rest[rest.index("). Check") :]

    expected = (
        "The revocation list on redis://127.0.0.1:1/3 can't be asked (). Check that the server "
        "runs, is reachable from here, has memory left, and lets this user run INFO, MGET, GET, "
        "SET, TIME, SCAN, EVAL and EVALSHA on keys that begin with dcs1."
    )
    with pytest.raises(RevocationListUnavailable) as caught:
        the_list.lookup((SCOPE,))
    assert told(caught.value) == expected
    with pytest.raises(RevocationListUnavailable) as caught:
        asyncio.run(the_list.alookup((SCOPE,)))
    assert told(caught.value) == expected


def test_addresses(server: RedisServer) -> None:
    for scheme in ("redis://", "rediss://", "unix://"):
        assert RedisRevocationList(scheme + "h/0")
    with pytest.raises(InvalidSettings) as caught:
        RedisRevocationList("http://h")
    assert str(caught.value) == (
        "url (SESSION_REVOCATION_URL) has another scheme; allowed: redis://, rediss://, unix://."
    )
    only = RedisRevocationList(async_client=redis.asyncio.Redis(port=server.port))
    only.bind(SETTINGS)
    with pytest.raises(InvalidArgument) as refused:
        only.lookup((SCOPE,))
    assert str(refused.value) == (
        "RedisRevocationList was given only async_client=: give client= too for calls that are "
        "not awaited."
    )


# Answers that are reused


class Hand:
    """A clock that the test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def answers(clock: Hand) -> Answers:
    made = Answers(clock)
    made.max_staleness = 10
    return made


def test_of_two_answers_the_one_asked_for_later_stays_scope_by_scope() -> None:
    clock = Hand()
    kept = answers(clock)
    early = kept.asking()
    clock.now = 101
    late = kept.asking()
    kept.keep(late, (b"a",), (7,))
    kept.keep(early, (b"a", b"b"), (1, 2))
    assert kept.reuse((b"a", b"b")) == (7, 2)
    again = kept.asking()
    kept.keep(again, (b"a",), (9,))
    assert kept.reuse((b"a",)) == (9,)


def test_an_answer_asked_for_before_any_revocation_of_ones_own_is_not_kept() -> None:
    clock = Hand()
    kept = answers(clock)
    before = kept.asking()
    kept.revoked(b"a")
    between = kept.asking()
    kept.revoked(b"b")
    kept.keep(before, (b"c",), (1,))
    kept.keep(between, (b"c",), (2,))
    assert kept.reuse((b"c",)) is None
    kept.keep(kept.asking(), (b"c",), (3,))
    assert kept.reuse((b"c",)) == (3,)


def test_an_answer_of_one_scope_says_nothing_of_the_others_age() -> None:
    clock = Hand()
    kept = answers(clock)
    kept.keep(kept.asking(), (b"a",), (5_000_000,))  # an epoch is no time
    clock.now = 105
    kept.keep(kept.asking(), (b"a",), (6_000_000,))
    clock.now = 112
    assert kept.reuse((b"a",)) == (6_000_000,)
    clock.now = 115
    assert kept.reuse((b"a",)) is None


def test_the_answer_kept_longest_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("duck_cookie_session.revocation._answers._REMEMBERED", 2)
    kept = answers(Hand())
    for scope in (b"a", b"b", b"a", b"c"):
        kept.keep(kept.asking(), (scope,), (1,))
    assert [kept.reuse((scope,)) for scope in (b"a", b"b", b"c")] == [(1,), None, (1,)]


# What is refused


class Stub:
    """A client of a server that is what the test says."""

    def __init__(self, **info: object) -> None:
        self.info = info

    def execute_command(self, *command: Any, **_: Any) -> Any:
        assert command == ("INFO",)
        return self.info


def test_a_replica_is_refused_in_these_words(make_list: MakeList) -> None:
    with pytest.raises(RevocationListUnavailable) as caught:
        make_list(client=Stub(role="slave")).lookup((SCOPE,))
    assert str(caught.value) == (
        "The server of the revocation list (the given client's server) is a replica, which may "
        "lag behind: use the address of the primary, or a Sentinel or Cluster client."
    )


@pytest.mark.parametrize("name", ["read_from_replicas", "load_balancing_strategy"])
def test_a_client_that_reads_from_replicas_is_refused_in_these_words(name: str) -> None:
    client = Stub()
    setattr(client, name, True)
    for arguments in ({"client": client}, {"async_client": client}):
        with pytest.raises(InvalidSettings) as caught:
            RedisRevocationList(**arguments)
        assert str(caught.value) == (
            "The client given to RedisRevocationList reads from replicas, which lag behind; make "
            "it without read_from_replicas and load_balancing_strategy."
        )


def test_a_list_without_a_server_is_refused_in_these_words() -> None:
    with pytest.raises(InvalidSettings) as caught:
        RedisRevocationList().bind(SETTINGS)
    assert str(caught.value) == (
        "RedisRevocationList has no server: set SESSION_REVOCATION_URL (revocation_url), as in "
        "redis://localhost:6379/0, or give url= or client=."
    )


def test_an_address_that_can_not_be_read_is_refused_in_these_words() -> None:
    with pytest.raises(InvalidSettings) as caught:
        RedisRevocationList("redis://h:port/0")
    assert str(caught.value) == (
        "url (SESSION_REVOCATION_URL) can't be read: its port is a number, its options are those "
        "of redis-py, and in a password / ? # @ are written %2F %3F %23 %40."
    )


def test_staleness_of_none_to_an_hour() -> None:
    for seconds in (0, 3_600):
        assert RedisRevocationList("redis://h", max_staleness=seconds)
    for seconds in (-0.001, 3_600.001):
        with pytest.raises(InvalidSettings):
            RedisRevocationList("redis://h", max_staleness=seconds)


@pytest.mark.parametrize("order", [(0, 60), (60, 0)])
def test_of_two_applications_the_more_careful_staleness_counts(
    server: RedisServer, make_list: MakeList, order: tuple[float, float]
) -> None:
    shared = RedisRevocationList(server.url, timeout=TIMEOUT)
    for number, seconds in enumerate(order):
        shared.bind(make_settings(audience=str(number), max_staleness=seconds))
    scope = Scopes(make_settings(audience="0")).session(b"x" * 16)
    assert shared.lookup((scope,), fresh=False) == (0,)
    other = make_list()
    other.bind(make_settings(audience="0"))
    other.end(scope)
    assert shared.lookup((scope,), fresh=False) == (LAST_EPOCH,)
    shared.close()
