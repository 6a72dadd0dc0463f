"""What the tests of the lists share: an application, and one list of each kind."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from duck_cookie_session.revocation.base import RevocationList, Scopes
from duck_cookie_session.revocation.memory import MemoryRevocationList
from duck_cookie_session.revocation.sqlite import SQLiteRevocationList
from duck_cookie_session.settings import SessionSettings
from tests.helpers import SECRET, Clock

if TYPE_CHECKING:  # what needs redis-py or SQLAlchemy
    import redis

    from duck_cookie_session.revocation.redis import RedisRevocationList
    from duck_cookie_session.revocation.sql import SQLRevocationList
    from tests.helpers.redis_server import RedisServer


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


@pytest.fixture
def bare_redis(redis_server: RedisServer) -> Iterator[redis.Redis]:
    """A client of the shared server, to look and to interfere."""
    with redis_server.client() as client:
        yield client


@pytest.fixture
def make_redis_list(
    redis_server: RedisServer, app: App
) -> Iterator[Callable[..., RedisRevocationList]]:
    """Makes lists on the shared server, or on the client given, bound to `app`."""
    from duck_cookie_session.revocation.redis import RedisRevocationList

    made: list[RedisRevocationList] = []

    def make(**arguments: Any) -> RedisRevocationList:
        if not {"client", "async_client"} & arguments.keys():
            arguments["url"] = redis_server.url
        made.append(RedisRevocationList(**{"timeout": 10, **arguments}))
        made[-1].bind(app.settings)
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def make_sql_list(app: App) -> Iterator[Callable[..., SQLRevocationList]]:
    """Makes lists in a database, by its address, bound to `app`."""
    from duck_cookie_session.revocation.sql import SQLRevocationList

    made: list[SQLRevocationList] = []

    def make(url: str, **arguments: Any) -> SQLRevocationList:
        made.append(SQLRevocationList(url, **{"timeout": 20, **arguments}))
        made[-1].bind(app.settings)
        return made[-1]

    yield make
    for one in made:
        one.close()
