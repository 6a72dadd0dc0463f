"""Ending a session: what a call revokes, and where a plain call can't."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from duck_cookie_session import (
    SessionError,
    SessionRevoked,
    SessionStore,
    SessionTooLarge,
    session_headers,
)
from duck_cookie_session.session.phase import Phase
from tests.helpers import DAY, LOOKED_AT, Clock, NetworkList, Node, SwitchableList, sent_cookie

MakeNode = Callable[..., Node]


@pytest.fixture
def network(make_node: MakeNode, clock: Clock) -> Node:
    """A node whose list is across the network."""
    return make_node(NetworkList(clock))


# A plain call in a coroutine can't wait for the network, and later nobody would carry it out.


async def by_a_new_store(node: Node, token: str) -> Any:
    node.request().delete(token)


async def by_a_new_store_and_an_id(node: Node, token: str) -> Any:
    session = node.request(token)
    await session.aload()
    node.request().delete(session.session_id)


async def by_a_store_that_was_loaded(node: Node, token: str, call: str = "clear") -> Any:
    session = node.request(token)
    await session.aload()
    getattr(session, call)()


async def by_flush(node: Node, token: str) -> Any:
    await by_a_store_that_was_loaded(node, token, "flush")


async def by_delete(node: Node, token: str) -> Any:
    await by_a_store_that_was_loaded(node, token, "delete")


async def by_another_session_of_the_subject(node: Node, token: str) -> Any:
    await by_a_store_that_was_loaded(node, node.start(user=1), "delete_other_sessions")


async def in_a_task_that_outlives_its_request(
    node: Node, token: str, act: Callable[[SessionStore], object] = SessionStore.clear
) -> Any:
    session = node.responding(token)
    await session.aload()
    responded = asyncio.Event()

    async def outlive() -> None:
        await responded.wait()
        act(session)

    task = asyncio.create_task(outlive())
    session._request.phase = Phase.CLOSED
    responded.set()
    await task


async def of_others_in_such_a_task(node: Node, token: str) -> Any:
    await in_a_task_that_outlives_its_request(
        node, node.start(user=1), lambda session: session.delete(token)
    )


@pytest.mark.parametrize(
    "revoke",
    [
        by_a_new_store,
        by_a_new_store_and_an_id,
        by_a_store_that_was_loaded,
        by_flush,
        by_delete,
        by_another_session_of_the_subject,
        in_a_task_that_outlives_its_request,
        of_others_in_such_a_task,
    ],
)
def test_a_plain_revocation_in_a_coroutine_names_what_to_await(
    network: Node, revoke: Callable[[Node, str], Awaitable[Any]]
) -> None:
    token = network.start(user=1)

    async def work() -> None:
        with pytest.raises(SessionError, match=r"adelete\b.*|adelete_session"):
            await revoke(network, token)

    asyncio.run(work())
    assert network.read(token) == {"user": 1}


def test_what_was_named_works_there(network: Node) -> None:
    async def work() -> None:
        token, another, third = (network.start(user=1) for _ in range(3))
        await network.request().adelete(token)
        session = network.request(another)
        await session.adelete_other_sessions()
        await session.aclear()
        for ended in (token, another, third):
            assert await network.request(ended).aload() == {}

    asyncio.run(work())


# By an older token of a session that lives.


ENDS = pytest.mark.parametrize(
    "end",
    [
        lambda node, token: node.request(token).delete(token),
        lambda node, token: node.request(token).delete(),
        lambda node, token: node.request(token).clear(),
        lambda node, token: node.request(token).flush(),
        lambda node, token: node.request().delete(token),
        lambda node, token: node.connector.delete_session(token),
    ],
)


@ENDS
def test_a_token_from_before_delete_other_sessions_ends_a_session_that_lives(
    two_nodes: tuple[Node, Node], end: Callable[[Node, str], None]
) -> None:
    node, other = two_nodes
    older = node.start(user=1)
    session = node.request(older)
    session.delete_other_sessions()
    session.save()
    assert node.read(older) is None
    assert node.read(session.session_key) == {"user": 1}
    end(other, older)
    for reader in two_nodes:
        assert reader.read(session.session_key) is None


@ENDS
def test_an_expired_token_ends_a_session_that_lives(
    two_nodes: tuple[Node, Node], clock: Clock, end: Callable[[Node, str], None]
) -> None:
    node, other = two_nodes
    older = node.connector.set_session(None, {"user": 1}, expiry=60)
    session = node.request(older)
    session.set_expiry(DAY)
    session.save()
    clock.tick(61)
    assert node.read(older) is None
    assert node.read(session.session_key) == {"user": 1}
    end(other, older)
    for reader in two_nodes:
        assert reader.read(session.session_key) is None


@pytest.mark.parametrize("given", [0, -1, timedelta(0), datetime(1999, 1, 1)])
def test_a_session_that_expires_now_is_ended(two_nodes: tuple[Node, Node], given: Any) -> None:
    node, other = two_nodes
    copied = node.start(user=1)
    session = node.request(copied)
    session.set_expiry(given)
    assert other.read(copied) == {"user": 1}  # with its save, not before
    session.save()
    for reader in two_nodes:
        assert reader.read(copied) is reader.read(session.session_key) is None
    assert other.connector.stats()["refused"]["ended"] == 1  # type: ignore[index,call-overload]


def test_a_new_session_that_expires_now_costs_no_entry(
    node: Node, revocations: SwitchableList
) -> None:
    session = node.request()
    session["a"] = 1
    session.set_expiry(0)
    session.save()
    assert node.read(session.session_key) is None
    assert set(revocations.asked) == {"lookup"}


# Another key for the same contents.


@pytest.mark.parametrize("revoke", ["session", "subject", "everything"])
def test_a_session_that_was_revoked_gets_no_new_key(
    two_nodes: tuple[Node, Node], revoke: str
) -> None:
    node, other = two_nodes
    token = node.start(user=1)
    session = node.request(token)
    assert session["user"] == 1
    connector = other.connector
    {
        "session": lambda: connector.delete_session(token),
        "subject": lambda: connector.delete_subject(1),
        "everything": connector.clear_all_sessions,
    }[revoke]()
    with pytest.raises(SessionRevoked):
        session.assign_new_session_key()
    assert session.session_key == token


def test_a_session_that_had_ended_gets_no_new_key(node: Node) -> None:
    token = node.start(user=1)
    node.connector.delete_session(token)
    session = node.request(token)
    session["a"] = 1
    with pytest.raises(SessionRevoked):
        session.assign_new_session_key()


def test_a_new_key_every_six_days_does_not_pass_absolute_age(node: Node, clock: Clock) -> None:
    session = node.request(node.start(user=1))
    created = session.created_at
    for _ in range(5):  # 30 days
        session = node.request(session.assign_new_session_key())
        assert session["user"] == 1
        assert session.created_at == created
        clock.tick(6 * DAY)
    assert node.read(session.session_key) is None


# A login just after the session before it was ended.


@pytest.mark.parametrize("subject_key", [None, "user"])
def test_a_login_moments_after_an_end_is_stored(
    make_node: MakeNode, revocations: SwitchableList, subject_key: str | None
) -> None:
    node = make_node(revocations, subject_key=subject_key)
    token = node.start(user=1)
    node.connector.delete_session(token)
    session = node.request(token)
    session["user"] = 2
    assert node.sent(session) == {"user": 2}


def test_without_a_subject_key_any_write_may_be_a_login(
    make_node: MakeNode, revocations: SwitchableList
) -> None:
    """So none is held back; with one, what is no login is."""
    for subject_key, expected in ((None, {"a": 1}), ("user", None)):
        node = make_node(revocations, subject_key=subject_key)
        token = node.start(a=0)
        node.connector.delete_session(token)
        session = node.request(token)
        session["a"] = 1
        headers = session_headers(session)
        assert node.read(sent_cookie(headers)) == expected
        assert (headers == LOOKED_AT) is (expected is None)


def test_superseding_a_session_that_leaves_no_room_changes_nothing(
    two_nodes: tuple[Node, Node],
) -> None:
    node, other = two_nodes
    outcomes = set()
    for size in range(2700, 2900, 8):
        try:
            token = node.start(user=1, pad="x" * size)
        except SessionTooLarge:
            break
        session = node.request(token)
        try:
            session.supersede()
        except SessionTooLarge:
            assert other.read(token) is not None
            outcomes.add("refused")
        else:
            session.save()
            assert other.read(token) is None
            assert other.read(session.session_key) is not None
            outcomes.add("superseded")
        node.connector.clear_all_sessions()
    assert outcomes == {"refused", "superseded"}
