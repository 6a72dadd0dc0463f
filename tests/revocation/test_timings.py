"""How long lists say that their questions took, on real servers and files."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from duck_cookie_session import RevocationListUnavailable, SQLiteRevocationList
from duck_cookie_session.revocation._history import Entry
from duck_cookie_session.revocation._network import NetworkList
from duck_cookie_session.revocation.book import Book, BookRevocationList, Kept
from tests.helpers import Node
from tests.helpers.redis_server import RedisServer
from tests.helpers.sql_servers import SQLServer

MakeNode = Callable[..., Node]


def asked(node: Node) -> dict[str, float]:
    return of(node, "list_seconds")


def slow(node: Node) -> float:
    """How many took longer than a quarter of a second."""
    return asked(node)["+Inf"] - asked(node)["0.25"]


def of(node: Node, name: str) -> dict[str, float]:
    found = node.connector.stats()[name]
    assert isinstance(found, dict)
    return found


@pytest.fixture
def make_redis_node(
    make_node: MakeNode, make_redis_list: Callable[..., NetworkList]
) -> Callable[..., Node]:
    def make(**arguments: Any) -> Node:
        return make_node(make_redis_list(**arguments), clock=time.time)

    return make


def test_each_question_counts_plain_and_awaited(make_redis_node: Callable[..., Node]) -> None:
    node = make_redis_node()
    token = node.start(a=1)  # one
    node.read(token)  # two

    async def work() -> None:
        await node.connector.aload(token)  # three
        await node.connector.adelete_session(token)  # four
        await node.connector.revocations.aclose()

    asyncio.run(work())
    assert asked(node)["+Inf"] == 4
    assert 0 < asked(node)["sum"] < 4
    assert of(node, "list_wait_seconds")["+Inf"] == 0


def test_an_answer_that_was_reused_is_no_question(make_redis_node: Callable[..., Node]) -> None:
    node = make_redis_node(max_staleness=60)
    token = node.start(a=1)
    for _ in range(5):
        node.read(token)
    assert asked(node)["+Inf"] == 2


def test_a_question_that_nobody_answered_counts_too(
    make_redis_server: Callable[..., RedisServer], make_node: MakeNode
) -> None:
    from duck_cookie_session.revocation.redis import RedisRevocationList

    server = make_redis_server()
    node = make_node(RedisRevocationList(server.url, timeout=0.3), clock=time.time)
    token = node.start(a=1)
    before = slow(node)
    server.pause()
    with pytest.raises(RevocationListUnavailable):
        node.read(token)
    server.resume()
    assert slow(node) == before + 1


def test_tasks_that_wait_for_a_connection_to_redis(make_redis_node: Callable[..., Node]) -> None:
    node = make_redis_node()
    token = node.start(a=1)

    async def work() -> None:
        await asyncio.gather(*(node.connector.aload(token) for _ in range(100)))
        await node.connector.revocations.aclose()

    asyncio.run(work())
    waited = of(node, "list_wait_seconds")
    assert 0 < waited["+Inf"] < 100
    assert 0 < waited["sum"] < asked(node)["sum"]


def test_threads_that_wait_for_a_connection_to_a_database(
    one_sql: SQLServer, make_node: MakeNode
) -> None:
    from duck_cookie_session.revocation.sql import SQLRevocationList

    node = make_node(SQLRevocationList(one_sql.url, timeout=20), clock=time.time)
    token = node.start(a=1)
    with ThreadPoolExecutor(40) as pool:  # raises take turns, with a connection each
        for done in [pool.submit(node.connector.delete_session, token) for _ in range(200)]:
            done.result()
    waited = of(node, "list_wait_seconds")
    assert asked(node)["+Inf"] == 201
    assert 0 < waited["+Inf"] <= 200
    assert 0 < waited["sum"] < asked(node)["sum"]


def test_sqlite_says_it_of_what_it_writes_also_where_that_failed(
    tmp_path: Path, make_node: MakeNode
) -> None:
    node = make_node(SQLiteRevocationList(tmp_path, busy_timeout=0.3), clock=time.time)
    token = node.start(a=1)
    before = asked(node)["+Inf"]
    node.read(token)
    assert asked(node)["+Inf"] == before
    node.connector.delete_session(token)
    assert asked(node)["+Inf"] == before + 1
    before = slow(node)
    with sqlite3.connect(tmp_path / "revocations.sqlite3") as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(RevocationListUnavailable):
            node.connector.clear_all_sessions()
    other.close()
    assert slow(node) == before + 1


class InADict(BookRevocationList):
    """One of somebody's own, which can break."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: dict[bytes, Entry] = {}
        self.kept: Kept | None = None
        self.broken = False

    @contextmanager
    def turn(self, prefix: bytes) -> Iterator[Book]:
        if self.broken:
            raise RevocationListUnavailable("broken")
        book = Book(self.kept, self.entries, self.binding(prefix), int(time.time() * 1e6))
        yield book
        self.kept = book.kept

    def knows(self, prefix: bytes) -> bool:
        return self.kept is not None


def test_one_of_somebodys_own_says_it_too(make_node: MakeNode) -> None:
    revocations = InADict()
    node = make_node(revocations, clock=time.time)
    token = node.start(a=1)
    assert node.read(token) == {"a": 1}
    node.connector.delete_session(token)
    revocations.broken = True
    with pytest.raises(RevocationListUnavailable):
        node.read(token)
    assert asked(node)["+Inf"] == 4
