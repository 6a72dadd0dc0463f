"""What the Redis list tells of its entries and its server, and what it refuses, word for word."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
import redis.asyncio

from duck_cookie_session.errors import InvalidArgument, InvalidSettings, RevocationListUnavailable
from duck_cookie_session.revocation._redis_format import key_of
from duck_cookie_session.revocation.base import LAST_EPOCH, Scopes
from duck_cookie_session.revocation.redis import RedisRevocationList
from tests.helpers import make_settings
from tests.helpers.redis_server import RedisServer

SETTINGS = make_settings()
SCOPES = Scopes(SETTINGS)
SCOPE = SCOPES.session(b"x" * 16)

MakeList = Callable[..., RedisRevocationList]


# What is told


def test_a_survey_of_nothing_tells_the_memory(make_redis_list: MakeList) -> None:
    survey = make_redis_list().survey(SCOPES.prefix)
    assert (survey.entries, survey.oldest) == (0, None)
    assert survey.bytes is not None
    assert survey.bytes > 0


def test_times_of_entries(make_redis_list: MakeList, bare_redis: redis.Redis) -> None:
    the_list = make_redis_list()
    the_list.end(SCOPE)
    survey = the_list.survey(SCOPES.prefix)
    assert survey.oldest == pytest.approx(time.time(), abs=120)
    assert survey.next_expiry == (survey.oldest or 0) + SETTINGS.absolute_age + SETTINGS.clock_skew
    ago = int((time.time() - 10_000_000) * 1_000_000)
    bare_redis.set(key_of(SCOPE), str(-ago))
    found = the_list.lookup((SCOPE,))
    assert found.made == (ago,)
    assert found.now / 1_000_000 == pytest.approx(time.time(), abs=120)


def test_the_warning_names_the_server_and_not_its_password(
    redis_server: RedisServer, bare_redis: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    bare_redis.acl_setuser(
        "node", enabled=True, passwords=["+hidden"], keys=["*"], commands=["+@all"]
    )
    the_list = RedisRevocationList(
        redis_server.url.replace("redis://", "redis://node:hidden@"), timeout=10
    )
    the_list.bind(SETTINGS)
    with caplog.at_level(logging.WARNING):
        the_list.lookup((SCOPES.everything,))
    the_list.close()
    bare_redis.acl_deluser("node")
    (message,) = (record.getMessage() for record in caplog.records)
    assert message.startswith(
        f"The revocation list in redis://127.0.0.1:{redis_server.port}/0 is new"
    )
    assert "hidden" not in message


def test_eviction_is_refused_or_warned_of_in_these_words(
    make_redis_list: MakeList,
    bare_redis: redis.Redis,
    redis_server: RedisServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    where = f"redis://127.0.0.1:{redis_server.port}/0"
    what = (
        f"The server of the revocation list ({where}) may evict entries "
        "(maxmemory-policy allkeys-lru), which would bring ended sessions back"
    )
    bare_redis.config_set("maxmemory", "64mb")
    bare_redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(RevocationListUnavailable) as caught:
            make_redis_list().end(SCOPE)
        accepted = make_redis_list(allow_eviction=True)
        with caplog.at_level(logging.WARNING):
            accepted.end(SCOPE)
            accepted.close()
            accepted.end(SCOPE)
    finally:
        bare_redis.config_set("maxmemory-policy", "noeviction")
        bare_redis.config_set("maxmemory", "0")
    assert str(caught.value) == (
        f"{what}: set maxmemory-policy to noeviction, or give the list a server of its own. "
        "RedisRevocationList(allow_eviction=True) accepts the risk."
    )
    messages = [record.getMessage() for record in caplog.records]
    assert [one for one in messages if "evict" in one] == [
        f"{what}; allow_eviction=True accepts it."
    ]


def test_a_server_that_is_away_is_told_in_these_words(redis_server: RedisServer) -> None:
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
        "SET, TIME, SCAN, EVAL, EVALSHA and WAIT on keys that begin with dcs2."
    )
    with pytest.raises(RevocationListUnavailable) as caught:
        the_list.lookup((SCOPE,))
    assert told(caught.value) == expected
    with pytest.raises(RevocationListUnavailable) as caught:
        asyncio.run(the_list.alookup((SCOPE,)))
    assert told(caught.value) == expected


def test_addresses(redis_server: RedisServer) -> None:
    for scheme in ("redis://", "rediss://", "unix://"):
        assert RedisRevocationList(scheme + "h/0")
    with pytest.raises(InvalidSettings) as caught:
        RedisRevocationList("http://h")
    assert str(caught.value) == (
        "url (SESSION_REVOCATION_URL) has another scheme; allowed: redis://, rediss://, unix://, "
        "redis+sentinel://, rediss+sentinel://, redis+cluster://, rediss+cluster://."
    )
    only = RedisRevocationList(async_client=redis.asyncio.Redis(port=redis_server.port))
    only.bind(SETTINGS)
    with pytest.raises(InvalidArgument) as refused:
        only.lookup((SCOPE,))
    assert str(refused.value) == (
        "RedisRevocationList was given only async_client=: give client= too for calls that are "
        "not awaited."
    )


# What is refused


class Stub:
    """A client of a server that is what the test says."""

    def __init__(self, **info: object) -> None:
        self.info = info

    def execute_command(self, *command: Any, **_: Any) -> Any:
        assert command == ("INFO",)
        return self.info


def test_a_replica_is_refused_in_these_words(make_redis_list: MakeList) -> None:
    with pytest.raises(RevocationListUnavailable) as caught:
        make_redis_list(client=Stub(role="slave")).lookup((SCOPE,))
    assert str(caught.value) == (
        "The server of the revocation list (the given client's server) is a replica, which may "
        "lag behind: use the address of the primary, or one of redis+sentinel:// or "
        "redis+cluster://."
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
        "of redis-py, and in a password / ? # @ are written %2F %3F %23 %40. With Sentinel it is "
        "redis+sentinel://host,host/service/0, with a Cluster redis+cluster://host,host."
    )


def test_staleness_of_none_to_an_hour() -> None:
    for seconds in (0, 3_600):
        assert RedisRevocationList("redis://h", max_staleness=seconds)
    for seconds in (-0.001, 3_600.001, "1", True):
        with pytest.raises(InvalidSettings, match="max_staleness"):
            RedisRevocationList("redis://h", max_staleness=seconds)


@pytest.mark.parametrize("order", [(0, 60), (60, 0)])
def test_of_two_applications_the_more_careful_staleness_counts(
    redis_server: RedisServer, make_redis_list: MakeList, order: tuple[float, float]
) -> None:
    shared = RedisRevocationList(redis_server.url, timeout=10)
    for number, seconds in enumerate(order):
        shared.bind(make_settings(audience=str(number), max_staleness=seconds))
    scope = Scopes(make_settings(audience="0")).session(b"x" * 16)
    assert shared.lookup((scope,), fresh=False).epochs == (0,)
    other = make_redis_list()
    other.bind(make_settings(audience="0"))
    other.end(scope)
    assert shared.lookup((scope,), fresh=False).epochs == (LAST_EPOCH,)
    shared.close()
