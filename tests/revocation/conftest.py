"""What the tests of the lists share: a clock to turn, settings, one list of each kind."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis_server import WHY_NOT, RedisServer, redis_binary

from duck_cookie_session.revocation.base import RevocationList, Scopes
from duck_cookie_session.revocation.memory import MemoryRevocationList
from duck_cookie_session.revocation.sqlite import SQLiteRevocationList
from duck_cookie_session.settings import SessionSettings

START = 1_800_000_000.0
SECRET = "s" * 32


@dataclass
class Clock:
    """Seconds since 1970, moved by the test."""

    now: float = START

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class App:
    """One application: its settings and its scopes."""

    settings: SessionSettings
    scopes: Scopes

    def session(self) -> bytes:
        return self.scopes.session(os.urandom(16))

    def subject(self) -> bytes:
        return self.scopes.subject(os.urandom(8).hex())

    @property
    def everything(self) -> bytes:
        return self.scopes.everything


@pytest.fixture
def make_app() -> Callable[..., App]:
    def make(**settings: object) -> App:
        made = SessionSettings.from_mapping({}, secret_keys=SECRET, **settings)
        return App(made, Scopes(made))

    return make


@pytest.fixture
def app(make_app: Callable[..., App]) -> App:
    return make_app()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "sessions"


@pytest.fixture
def make_sqlite(
    directory: Path, clock: Clock, app: App
) -> Iterator[Callable[..., SQLiteRevocationList]]:
    """Makes lists over one file, bound to `app`, closed at the end."""
    made: list[SQLiteRevocationList] = []

    def make(**arguments: object) -> SQLiteRevocationList:
        arguments.setdefault("clock", clock)
        made.append(SQLiteRevocationList(directory, **arguments))  # type: ignore[arg-type]  # tests pass what they like
        made[-1].bind(app.settings)
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def memory(clock: Clock, app: App) -> MemoryRevocationList:
    made = MemoryRevocationList(clock)
    made.bind(app.settings)
    return made


@pytest.fixture(params=["memory", "sqlite"])
def local_list(request: pytest.FixtureRequest) -> RevocationList:
    if request.param == "memory":
        return request.getfixturevalue("memory")
    return request.getfixturevalue("make_sqlite")()


@pytest.fixture(scope="session")
def one_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server for all tests that do it no harm."""
    if redis_binary() is None:
        pytest.skip(WHY_NOT)
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def redis_server(one_redis: RedisServer) -> RedisServer:
    """The shared server, empty."""
    with one_redis.client() as client:
        client.flushall()
    return one_redis


@pytest.fixture
def make_redis_server(tmp_path: Path) -> Iterator[Callable[..., RedisServer]]:
    """Makes servers that the test may kill: `make_redis_server("--appendonly", "yes")`."""
    if redis_binary() is None:
        pytest.skip(WHY_NOT)
    made: list[RedisServer] = []

    def make(*arguments: str) -> RedisServer:
        directory = tmp_path / f"redis{len(made)}"
        directory.mkdir()
        made.append(RedisServer(directory, *arguments))
        made[-1].start()
        return made[-1]

    yield make
    for server in made:
        server.kill()
