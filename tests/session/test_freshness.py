"""When a user last proved who they are, for pages that want a recent password."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from duck_cookie_session import InvalidArgument, MemoryRevocationList, SessionError
from tests.helpers import Clock, Node

MakeNode = Callable[..., Node]


@pytest.fixture
def node(make_node: MakeNode, clock: Clock) -> Node:
    return make_node(MemoryRevocationList(clock))


def at(clock: Clock) -> datetime:
    return datetime.fromtimestamp(int(clock()), UTC)


def test_a_login_is_a_proof(node: Node, clock: Clock) -> None:
    session = node.request()
    assert (session.authenticated_at, session.is_fresh(60)) == (None, False)
    session["user"] = 1
    assert session.is_fresh(60)
    session.save()
    then = at(clock)
    clock.tick(59)
    later = node.request(session.session_key)
    assert (later.authenticated_at, later.is_fresh(60)) == (then, True)
    clock.tick(1)
    assert not node.request(session.session_key).is_fresh(60)


def test_a_visitor_is_never_fresh(node: Node) -> None:
    session = node.request(node.start(cart=[1]))
    assert (session.authenticated_at, session.is_fresh(1e9)) == (None, False)


def test_without_a_subject_key_the_beginning_counts(make_node: MakeNode, clock: Clock) -> None:
    node = make_node(MemoryRevocationList(clock), subject_key=None)
    session = node.request(node.start(name="anna"))
    assert session.authenticated_at == session.created_at


def test_given_again(node: Node, clock: Clock) -> None:
    token = node.start(user=1)
    clock.tick(1000)
    session = node.request(token)
    before, created = session.session_id, session.created_at
    session.reauthenticated()
    assert session.is_fresh(1)
    new = session.session_id
    assert new != before
    session.save()
    assert node.read(token) is None  # as after cycle_key()
    clock.tick(5)
    later = node.request(session.session_key)
    assert (later.session_id, later.created_at) == (new, created)
    assert later.authenticated_at == at(clock) - timedelta(seconds=5)
    later["n"] = 1
    later.save()
    assert node.request(later.session_key).is_fresh(6)  # an ordinary save keeps it


def test_a_new_login_starts_anew(node: Node, clock: Clock) -> None:
    session = node.request(node.start(user=1))
    session.reauthenticated()
    session.save()
    clock.tick(100)
    session = node.request(session.session_key)
    session["user"] = 2
    session.save()
    assert session.authenticated_at == at(clock) == session.created_at


def test_a_failed_request_forgets_it(node: Node, clock: Clock) -> None:
    token = node.start(user=1)
    clock.tick(100)
    node.request(token).reauthenticated()  # never saved
    assert not node.request(token).is_fresh(100)


@pytest.mark.parametrize("data", [{}, {"cart": [1]}])
def test_nobody_is_there_to_be_asked(node: Node, data: dict[str, object]) -> None:
    with pytest.raises(SessionError, match="Nobody is logged in"):
        node.request(node.start(**data) if data else None).reauthenticated()


def test_not_in_the_request_that_logs_in(node: Node) -> None:
    session = node.request()
    session["user"] = 1
    with pytest.raises(SessionError, match="A login notes the time by itself"):
        session.reauthenticated()


@pytest.mark.parametrize("seconds", ["5", None, True, -1, float("nan")])
def test_seconds_that_are_none_are_refused(node: Node, seconds: Any) -> None:
    session = node.request(node.start(user=1))
    with pytest.raises(InvalidArgument, match=r"is_fresh\(\) takes seconds"):
        session.is_fresh(seconds)
    assert not session.is_fresh(0)
