"""Applications whose list is a real Redis: what is asked first, and what happens without it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.contrib.served import COOKIE, KINDS, Site, serving
from tests.helpers.redis_server import RedisServer


@pytest.fixture
def redis(make_redis_server: Callable[[], RedisServer]) -> RedisServer:
    return make_redis_server()


@pytest.fixture(params=["asgi", "duck", "duck-async"])
def site(request: pytest.FixtureRequest, tmp_path: Path, redis: RedisServer) -> Iterator[Site]:
    with serving(KINDS[request.param], tmp_path, redis=redis.url) as running:
        yield running


def test_sessions_over_redis(site: Site, redis: RedisServer) -> None:
    client = site.client()
    assert client.get("/show").set_cookie is None
    client.get("/append", item="hat")
    client.get("/login", user="ada")
    assert client.show(node=1)["user"] == "ada"
    copied = f"{COOKIE}={client.cookie}"
    assert client.get("/logout").deletes
    for node in (0, 1):
        assert client.show(node=node, cookie=copied)["user"] is None

    client.get("/login", user="ada")
    redis.kill()
    for path in ("/show", "/logout", "/append?item=coat"):
        seen = client.get(path, node=1)
        assert seen.status == 503
        assert seen.all("Retry-After") == ["1"]
        assert seen.set_cookie is None
    assert site.client().get("/show").status == 200  # who brings no cookie is not looked up
    redis.start()  # it came back empty, so whoever was logged out there must not come back
    assert client.show(node=1)["user"] is None
