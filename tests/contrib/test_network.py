"""Applications whose list is a real server: what is asked first, and what happens without it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.contrib.served import COOKIE, KINDS, Site, serving
from tests.helpers.redis_server import RedisServer
from tests.helpers.sql_servers import SQLServer

Server = RedisServer | SQLServer


@pytest.fixture(params=["asgi", "duck", "duck-async"])
def over_redis(
    request: pytest.FixtureRequest, tmp_path: Path, make_redis_server: Callable[[], RedisServer]
) -> Iterator[tuple[Site, RedisServer]]:
    server = make_redis_server()
    with serving(KINDS[request.param], tmp_path, list_url=server.url) as running:
        yield running, server


@pytest.fixture(params=["asgi", "django"])
def over_a_database(
    request: pytest.FixtureRequest, tmp_path: Path, one_sql: SQLServer
) -> Iterator[tuple[Site, SQLServer]]:
    with serving(KINDS[request.param], tmp_path, list_url=one_sql.url) as running:
        yield running, one_sql
    if one_sql.process is None:
        one_sql.start()


def test_sessions_over_redis(over_redis: tuple[Site, RedisServer]) -> None:
    use(*over_redis, stays=False)  # it came back empty, so none may count that was there


@pytest.mark.slow
def test_sessions_over_a_database(over_a_database: tuple[Site, SQLServer]) -> None:
    use(*over_a_database, stays=True)


def use(site: Site, server: Server, stays: bool) -> None:
    client = site.client()
    assert client.get("/show").set_cookie is None
    client.get("/append", item="hat")
    client.get("/nested", node=1, item="scarf")
    client.get("/login", user="ada")
    state = client.show(node=1)
    assert state["user"]
    assert state["data"] == {"cart": ["hat", "scarf"]}
    copied = f"{COOKIE}={client.cookie}"
    assert client.get("/logout").deletes
    for node in (0, 1):
        assert client.show(node=node, cookie=copied)["user"] is None

    client.get("/login", user="ada")
    server.kill()
    for path in ("/show", "/logout", "/append?item=coat"):
        seen = client.get(path, node=1)
        assert seen.status == 503
        assert seen.all("Retry-After") == ["1"]
        assert seen.set_cookie is None
    assert site.client().get("/show").status == 200  # who brings no cookie is not looked up
    server.start()
    assert client.show(node=1)["user"] == (state["user"] if stays else None)
    assert client.show(node=1, cookie=copied)["user"] is None
