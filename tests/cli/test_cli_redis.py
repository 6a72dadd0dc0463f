"""The command line over a real Redis: `check` looks at the server, the others at its list."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

redis = pytest.importorskip("redis", reason="redis-py is not installed (extra `redis`)")

from duck_cookie_session import SessionSettings, SessionStorageConnector  # noqa: E402  # as above
from duck_cookie_session.cli import main  # noqa: E402  # as above
from duck_cookie_session.cli.redis_checks import (  # noqa: E402  # as above
    _check_clock,
    _check_durable,
    _check_eviction,
    _check_latency,
    _check_replicas,
    _check_role,
    _check_room,
    check_redis,
)
from duck_cookie_session.revocation.redis import RedisRevocationList  # noqa: E402  # as above
from tests.helpers.redis_server import RedisServer  # noqa: E402  # needs redis-py

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


def test_a_clock_that_is_apart(server: RedisServer) -> None:
    class Late:
        """A server whose clock is an hour late."""

        def time(self) -> tuple[int, int]:
            with server.client() as client:
                seconds, micros = client.time()
            return seconds - 3600, micros

    assert _check_clock(Late(), 60).level == "bad"
    assert _check_clock(Late(), 4000).level == "good"


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


@pytest.mark.parametrize(
    ("replicas", "to_write", "wanted", "may_fail_over", "level", "said"),
    [
        (0, "0", 0, False, "good", "none"),
        (0, "0", 0, True, "bad", "SESSION_MIN_REPLICAS"),
        (2, "1", 0, False, "bad", "SESSION_MIN_REPLICAS"),
        (0, "1", 1, True, "bad", "refuses to answer"),
        (1, "0", 1, True, "bad", "min-replicas-to-write 0; set it to 1"),
        (2, "1", 1, True, "note", "could take over"),
        (1, "1", 1, True, "good", "1 replicas"),
        (1, None, 1, True, "good", "1 replicas"),
    ],
)
def test_replicas(
    replicas: int, to_write: str | None, wanted: int, may_fail_over: bool, level: str, said: str
) -> None:
    found = _check_replicas({"connected_slaves": replicas}, to_write, wanted, may_fail_over)
    assert (found.level, said in found.text) == (level, True)


def test_latency(server: RedisServer) -> None:
    with server.client() as client:
        assert _check_latency(client, b"dcs2", 60).level == "good"
        found = _check_latency(client, b"dcs2", 1e-9)
    assert found.level == "bad"
    assert "time-out" in found.text
