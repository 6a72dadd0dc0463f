"""Two requests of one session at once, in every order of their questions to the list."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator, Sequence
from typing import Any

import pytest

from duck_cookie_session import MemoryRevocationList, SessionRevoked, SessionStore
from duck_cookie_session.revocation.base import Standing
from tests.helpers import Clock, Node

MakeNode = Callable[..., Node]
Call = Callable[[SessionStore], Awaitable[None]]


class _Turn:
    """Awaited before each question; whoever drives the coroutine says when it goes on."""

    def __await__(self) -> Generator[None]:
        yield


class TurnsList(MemoryRevocationList):
    """A list across a network, whose every question waits for its turn."""

    local = False

    async def alookup(
        self, scopes: Sequence[bytes], *, checkpoint: int = 0, fresh: bool = True
    ) -> Standing:
        await _Turn()
        return self.lookup(scopes, checkpoint=checkpoint, fresh=fresh)

    async def araise_epoch(self, scope: bytes) -> int:
        await _Turn()
        return self.raise_epoch(scope)

    async def acompare_and_raise(self, scope: bytes, expected: int, **options: Any) -> int | None:
        await _Turn()
        return self.compare_and_raise(scope, expected, **options)

    async def aend(self, scope: bytes) -> None:
        await _Turn()
        self.end(scope)


class Part:
    """A request of the session that both are about, up to its save.

    Attributes:
        elsewhere: a token of another session of the same user.
        called: whether the call that it is about returned; a save is none.
        saved: whether it then was saved.
    """

    def __init__(self, session: SessionStore, elsewhere: str, call: Call) -> None:
        self.session, self.elsewhere = session, elsewhere
        self.called = self.saved = False
        self._coroutine: Coroutine[Any, Any, None] | None = self._run(call)

    async def _run(self, call: Call) -> None:
        try:
            await call(self.session)
            self.called = True
            await self.session.async_save()
            self.saved = True
        except SessionRevoked:
            pass

    def go_on(self) -> bool:
        """Up to its next question; whether there is one."""
        assert self._coroutine is not None
        try:
            self._coroutine.send(None)
        except StopIteration:
            self._coroutine = None
        return self._coroutine is not None


async def others(session: SessionStore) -> None:
    await session.adelete_other_sessions()


async def supersede(session: SessionStore) -> None:
    await session.asupersede()


async def cycle(session: SessionStore) -> None:
    session.cycle_key()


async def regroup(session: SessionStore) -> None:
    session["tenant"] = "zeta"


async def log_out_of_subject(session: SessionStore) -> None:
    del session["user"]


CALLS = [supersede, cycle, regroup, log_out_of_subject]


def orders(begin: Callable[[], list[Part]]) -> Iterator[tuple[tuple[int, ...], list[Part]]]:
    """Each order in which the parts can ask, with the parts that went through it."""
    waiting: list[tuple[int, ...]] = [()]
    while waiting:
        order = waiting.pop()
        parts = begin()
        open_ = {number for number, part in enumerate(parts) if part.go_on()}
        for number in order:
            if not parts[number].go_on():
                open_.discard(number)
        if open_:
            waiting += [(*order, number) for number in open_]
            for part in parts:
                if part._coroutine is not None:
                    part._coroutine.close()
        else:
            yield order, parts


@pytest.fixture
def node(make_node: MakeNode, clock: Clock) -> Node:
    return make_node(TurnsList(clock), group_keys=("tenant",))


_users = itertools.count()


def begin(node: Node, *calls: Call) -> list[Part]:
    data = {"user": next(_users), "tenant": "acme"}
    token, elsewhere = node.start(**data), node.start(**data)
    sessions = [node.request(token) for _ in calls]
    assert all(session.load() == data for session in sessions)
    return [Part(session, elsewhere, call) for session, call in zip(sessions, calls, strict=True)]


def lives(node: Node, part: Part) -> bool:
    return part.saved and node.read(part.session.session_key) is not None


@pytest.mark.parametrize("call", CALLS)
def test_who_ends_the_other_sessions_goes_on_or_is_told(node: Node, call: Call) -> None:
    """So that nobody is logged out by two requests which both believe that they went through."""
    told = set()
    for order, (ending, other) in orders(lambda: begin(node, others, call)):
        assert lives(node, ending) == ending.called, order
        if ending.called:
            assert not other.saved or order.index(1) < order.index(0), order
        told.add(ending.called)
    assert told == {True, False}


def test_of_two_who_end_the_other_sessions_at_least_one_is_told(node: Node) -> None:
    """And the session of the other, which may be a thief's, ends all the same."""
    for order, parts in orders(lambda: begin(node, others, others)):
        assert not all(part.called for part in parts), order
        assert not any(lives(node, part) for part in parts), order


@pytest.mark.parametrize("call", [others, *CALLS])
def test_the_other_sessions_end_whoever_was_faster(node: Node, call: Call) -> None:
    for order, (ending, _) in orders(lambda: begin(node, others, call)):
        assert node.read(ending.elsewhere) is None, order


@pytest.mark.parametrize(("one", "another"), [*itertools.combinations_with_replacement(CALLS, 2)])
def test_of_two_others_one_goes_on(node: Node, one: Call, another: Call) -> None:
    for order, parts in orders(lambda: begin(node, one, another)):
        assert sum(lives(node, part) for part in parts) == 1, order
