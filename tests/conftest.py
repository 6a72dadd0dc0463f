"""Fixtures of all tests, and the profiles of hypothesis."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from duck_cookie_session import RevocationList, SessionSettings, SQLiteRevocationList
from duck_cookie_session.session import process as registry
from duck_cookie_session.session_storage_connector import globals as process
from tests.helpers import Clock, Node, SwitchableList, make_settings

if TYPE_CHECKING:
    from tests.helpers.redis_server import RedisServer  # needs redis-py
    from tests.helpers.sql_servers import SQLServer  # needs SQLAlchemy

# A deadline would make the suite fail on a busy machine, and says nothing of the code. A node
# serves all examples of a test: each has sessions of its own.
settings.register_profile(
    "quick",
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile("deep", settings.get_profile("quick"), max_examples=3_000)
# Mutation testing runs every test many times in one process, over code that changes.
settings.register_profile(
    "mutation",
    settings.get_profile("quick"),
    max_examples=20,
    suppress_health_check=list(HealthCheck),
    database=None,
    derandomize=True,
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


# Whoever asks for one of these talks to a server: Redis, a database, or a served application.
SERVERS = {"needs_redis", "needs_sql", "started"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`server` follows from what a test asks for, so that nobody has to think of it."""
    for item in items:
        if SERVERS.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.server)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def revocations(clock: Clock) -> SwitchableList:
    return SwitchableList(clock)


@pytest.fixture
def make_node(clock: Clock) -> Iterator[Callable[..., Node]]:
    """Makes nodes, closed at the end: `make_node(list, clock=..., **settings)`."""
    made: list[Node] = []

    def make(
        revocations: RevocationList,
        *,
        clock: Callable[[], float] = clock,
        settings: SessionSettings | None = None,
        **changed: object,
    ) -> Node:
        made.append(Node(revocations, clock, settings or make_settings(**changed)))
        return made[-1]

    yield make
    for node in made:
        node.connector.close()


@pytest.fixture
def node(make_node: Callable[..., Node], revocations: SwitchableList) -> Node:
    return make_node(revocations)


@pytest.fixture
def other(make_node: Callable[..., Node], revocations: SwitchableList, node: Node) -> Node:
    """A second node over the same list."""
    return make_node(revocations)


@pytest.fixture(params=["memory", "sqlite"])
def two_nodes(
    request: pytest.FixtureRequest,
    make_node: Callable[..., Node],
    clock: Clock,
    tmp_path: Path,
) -> tuple[Node, Node]:
    """Two nodes: over one memory list, or each with its own opening of one SQLite file."""
    if request.param == "memory":
        shared = SwitchableList(clock)
        return make_node(shared), make_node(shared)
    return (
        make_node(SQLiteRevocationList(tmp_path, clock=clock)),
        make_node(SQLiteRevocationList(tmp_path, clock=clock)),
    )


@pytest.fixture
def clean_process() -> Iterator[None]:
    """The process without a connector, before and after."""

    def forget() -> None:
        if process.session_storage_connector is not None:
            process.session_storage_connector.close()
        process.session_storage_connector = process.configured = None
        registry._registered.clear()  # applications of other tests that still live

    forget()
    yield
    forget()


@pytest.fixture(autouse=True)
def closed_lists(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Closes the SQLite lists that the test leaves open, of which Python 3.13 warns."""
    made: list[SQLiteRevocationList] = []
    bind = SQLiteRevocationList.bind

    def remember(self: SQLiteRevocationList, settings: SessionSettings) -> None:
        made.append(self)
        bind(self, settings)

    monkeypatch.setattr(SQLiteRevocationList, "bind", remember)
    yield
    for one in made:
        one.close()


@pytest.fixture(scope="session")
def needs_redis() -> None:
    """Skips where there is no redis-server to start."""
    pytest.importorskip("redis", reason="redis-py is not installed (extra `redis`)")
    from tests.helpers.redis_server import WHY_NOT, redis_binary

    if redis_binary() is None:
        pytest.skip(WHY_NOT)


@pytest.fixture(scope="session")
def one_redis(needs_redis: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server for all tests that do it no harm."""
    from tests.helpers.redis_server import RedisServer

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
def make_redis_server(needs_redis: None, tmp_path: Path) -> Iterator[Callable[..., RedisServer]]:
    """Makes servers that the test may kill: `make_redis_server("--appendonly", "yes")`."""
    from tests.helpers.redis_server import RedisServer

    made: list[RedisServer] = []

    def make(*arguments: str, **more: Any) -> RedisServer:
        directory = tmp_path / f"redis{len(made)}"
        directory.mkdir()
        made.append(RedisServer(directory, *arguments, **more))
        made[-1].start()
        return made[-1]

    yield make
    for server in made:
        server.kill()


@pytest.fixture(scope="session")
def needs_sql() -> None:
    """Skips where SQLAlchemy is not installed."""
    pytest.importorskip("sqlalchemy", reason="SQLAlchemy is not installed (extra `sql`)")


def _one_of(name: str) -> Iterator[SQLServer]:
    from tests.helpers.sql_servers import KINDS, why_not

    reason = why_not(KINDS[name])
    if reason is not None:
        pytest.skip(reason)
    server = KINDS[name](clock=True)
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def one_postgresql(needs_sql: None) -> Iterator[SQLServer]:
    """A server for all tests that leave it as it was; its clock can be moved."""
    yield from _one_of("postgresql")


@pytest.fixture(scope="session")
def one_mariadb(needs_sql: None) -> Iterator[SQLServer]:
    """The same of MariaDB."""
    yield from _one_of("mariadb")


@pytest.fixture(params=["postgresql", "mariadb"])
def sql_kind(request: pytest.FixtureRequest, needs_sql: None) -> str:
    """The test is run on each."""
    from tests.helpers.sql_servers import KINDS, why_not

    reason = why_not(KINDS[request.param])
    if reason is not None:
        pytest.skip(reason)
    kind: str = request.param
    return kind


@pytest.fixture
def one_sql(sql_kind: str, request: pytest.FixtureRequest) -> SQLServer:
    """The shared server of this kind."""
    server: SQLServer = request.getfixturevalue(f"one_{sql_kind}")
    return server


@pytest.fixture
def make_sql_server(sql_kind: str) -> Iterator[Callable[..., SQLServer]]:
    """Makes servers that the test may kill: `make_sql_server("setting=value")`."""
    from tests.helpers.sql_servers import KINDS

    made: list[SQLServer] = []

    def make(*options: str, start: bool = True, **arguments: Any) -> SQLServer:
        made.append(KINDS[sql_kind](*options, **arguments))
        if start:
            made[-1].start()
        return made[-1]

    yield make
    for server in made:
        server.remove()
