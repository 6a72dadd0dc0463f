"""Changes whose answer is lost on its way: carried out once, and whoever made them is told so."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator

import pytest

from duck_cookie_session.revocation.base import Witness
from duck_cookie_session.revocation.redis import RedisRevocationList
from tests.helpers import Node, make_settings
from tests.helpers.redis_proxy import LosesAnswers
from tests.helpers.redis_server import RedisServer

TIMES = 100


@pytest.fixture
def proxy(redis_server: RedisServer) -> Iterator[LosesAnswers]:
    made = LosesAnswers(redis_server, every=3)
    yield made
    made.close()


@pytest.fixture
def node(proxy: LosesAnswers) -> Iterator[Node]:
    """A node that reaches its list through the proxy."""
    made = Node(RedisRevocationList(proxy.url, timeout=10), time.time, make_settings())
    yield made
    made.connector.close()


def supersede(node: Node, number: int) -> None:
    session = node.request(node.start(user=f"user {number}", n=number))
    session.supersede()
    session["n"] = -number
    session.save()
    assert node.read(session.session_key) == {"user": f"user {number}", "n": -number}


def log_in(node: Node, number: int) -> None:
    before = node.start(n=number)
    session = node.request(before)
    session["user"] = f"user {number}"
    session.save()
    assert node.read(before) is None
    assert node.read(session.session_key) == {"user": f"user {number}", "n": number}


def cycle_key(node: Node, number: int) -> None:
    before = node.start(user="somebody", n=number)
    session = node.request(before)
    session.cycle_key()
    session.save()
    assert node.read(before) is None
    assert node.read(session.session_key)


def delete_other_sessions(node: Node, number: int) -> None:
    other = node.start(user=f"user {number}", n=number)
    session = node.request(node.start(user=f"user {number}", n=number))
    session.delete_other_sessions()
    session.save()
    assert node.read(other) is None
    assert node.read(session.session_key)


@pytest.mark.parametrize("what", [supersede, log_in, cycle_key, delete_other_sessions])
def test_nobody_is_refused_without_a_competitor(
    node: Node, proxy: LosesAnswers, what: Callable[[Node, int], None]
) -> None:
    for number in range(TIMES):
        what(node, number)
    assert proxy.lost >= TIMES // 3
    assert node.connector.stats()["unreachable"] == 0


def test_nobody_is_refused_without_a_competitor_awaited(node: Node, proxy: LosesAnswers) -> None:
    async def work() -> None:
        for number in range(TIMES):
            session = node.request(node.start(n=number))
            await session.asupersede()
            session["user"] = f"user {number}"
            await session.async_save()
            assert node.read(session.session_key) == {"n": number, "user": f"user {number}"}
        await node.revocations.aclose()

    asyncio.run(work())
    assert proxy.lost >= TIMES // 3


def test_of_two_that_compete_one_wins_all_the_same(node: Node, proxy: LosesAnswers) -> None:
    won = []
    for number in range(TIMES):
        scope = node.connector.rules.scopes.session(b"%16d" % number)
        answers = [
            node.revocations.compare_and_raise(scope, 0, nonce=b"%8d%8d" % (number, which))
            for which in range(2)
        ]
        won.append([answer is not None for answer in answers])
    assert won == [[True, False]] * TIMES
    assert proxy.lost >= TIMES // 3


def test_whoever_found_out_that_the_list_forgot_is_told_so(node: Node, proxy: LosesAnswers) -> None:
    """Or everybody would be logged out with nothing in the log that says why."""
    scope = node.connector.rules.scopes.everything
    node.revocations.raise_epoch(scope)
    for _ in range(12):
        found = node.revocations.lookup((scope,))
        proof = Witness(found.birth, 7, found.reach, found.epochs[0])
        raised = node.revocations.raise_if_forgotten(scope, proof)
        assert raised == node.revocations.lookup((scope,)).epochs[0]
        assert raised != found.epochs[0]
    assert proxy.lost >= 4
