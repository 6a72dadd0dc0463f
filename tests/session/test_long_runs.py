"""Many random requests, threads and cancellations against what a plain model says."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from duck_cookie_session import (
    SessionError,
    SessionRevoked,
    SessionStore,
    SQLiteRevocationList,
    asession_headers,
    session_headers,
)
from duck_cookie_session.revocation.base import Standing
from tests.helpers import Clock, NetworkList, Node, sent_cookie

pytestmark = pytest.mark.slow

MakeNode = Callable[..., Node]
SEED = 20_261_125


# Nested mutation.


def some_value(chance: random.Random, depth: int = 0) -> Any:
    kind = chance.randrange(8 if depth < 3 else 4)
    if kind < 4:
        return chance.choice([None, True, 1, 1.0, "", "text", b"bytes", 2**40, -1])
    if kind == 4:
        return [some_value(chance, depth + 1) for _ in range(chance.randrange(3))]
    if kind == 5:
        return {chance.choice("abc"): some_value(chance, depth + 1) for _ in range(2)}
    if kind == 6:
        return {chance.randrange(5) for _ in range(3)}
    return (some_value(chance, depth + 1), some_value(chance, depth + 1))


def reached(chance: random.Random, value: Any) -> Any:
    """Some container in a value, by a random walk; None if it has none that can change."""
    found = value if isinstance(value, (list, dict, set)) else None
    inner = list(value.values() if isinstance(value, dict) else value)
    if inner and not isinstance(value, set) and chance.random() < 0.6:
        deeper = chance.choice(inner)
        if isinstance(deeper, (list, dict, tuple, set)):
            return reached(chance, deeper) or found
    return found


def mutate(chance: random.Random, container: Any) -> None:
    if isinstance(container, set):
        chance.choice([container.add, container.discard])(chance.randrange(5))
    elif isinstance(container, list):
        if container and chance.random() < 0.4:
            container.pop(chance.randrange(len(container)))
        elif container and chance.random() < 0.3:
            container.reverse()
        else:
            container.append(some_value(chance, 2))
        del container[5:]
    else:
        key = chance.choice("abcd")
        if chance.random() < 0.3:
            container.pop(key, None)
        else:
            container[key] = some_value(chance, 2)


def do_the_same(seed: int, contents: Any) -> None:
    """One request's work, the same for a session and for the dict that models it."""
    chance = random.Random(seed)
    for _ in range(chance.randrange(1, 4)):
        key, way = chance.choice("abcde"), chance.randrange(8)
        if way == 0:
            contents[key] = some_value(chance)
        elif way == 1:
            contents.pop(key, None)
        elif way == 2:
            contents.get(key)
        elif way == 3:
            held = contents.setdefault(key, [])
            if isinstance(held, list):
                mutate(chance, held)
        else:
            for name, value in contents.items():
                if name == key and isinstance(value, (list, dict, set, tuple)):
                    found = reached(chance, value)
                    if found is not None:
                        mutate(chance, found)


def shape(value: Any) -> Any:
    """What tells two values apart that compare equal: 1, True and 1.0; the order of dicts."""
    if isinstance(value, dict):
        return ("dict", [(key, shape(inner)) for key, inner in value.items()])
    if isinstance(value, (list, tuple)):
        return (type(value).__name__, [shape(inner) for inner in value])
    return (type(value).__name__, sorted(value) if isinstance(value, set) else repr(value))


def test_20000_requests_of_nested_mutation(node: Node) -> None:
    chance = random.Random(SEED)
    tokens: list[tuple[str, dict[str, Any]]] = [(node.start(a=[1]), {"a": [1]})]
    sent = 0
    for number in range(20_000):
        token, held = chance.choice(tokens)
        expected = copy.deepcopy(held)
        session = node.request(token)
        do_the_same(number, session)
        do_the_same(number, expected)
        cookie = sent_cookie(session_headers(session))
        if not expected and held:
            assert cookie == ""
            tokens = [one for one in tokens if node.read(one[0]) is not None]
        elif cookie is None:
            assert shape(expected) == shape(held)
        else:
            sent += 1
            assert shape(node.read(cookie)) == shape(expected)
            tokens.append((cookie, expected))
        tokens = tokens[-50:] or [(node.start(a=[1]), {"a": [1]})]
    assert sent > 5_000


# Of parallel requests that supersede, one wins.


def test_150_rounds_of_supersede_at_once(make_node: MakeNode, clock: Clock, tmp_path: Path) -> None:
    nodes = [make_node(SQLiteRevocationList(tmp_path, clock=clock)) for _ in range(3)]
    with ThreadPoolExecutor(6) as pool:
        for credit in range(150):
            token = nodes[0].start(user=1, credit=credit)
            line = threading.Barrier(6)

            def spend(place: int, token: str = token, line: threading.Barrier = line) -> str | None:
                session = nodes[place % 3].request(token)
                session.get("credit")
                line.wait()
                try:
                    session.supersede()
                except SessionRevoked:
                    return None
                session["spent"] = True
                return sent_cookie(session_headers(session))

            (winner,) = [cookie for cookie in pool.map(spend, range(6)) if cookie]
            for node in nodes:
                assert node.read(winner) == {"user": 1, "credit": credit, "spent": True}
                assert node.read(token) is None


# Cancelled at any await.


class SlowList(NetworkList):
    """The event loop does other things before and after each answer."""

    def __init__(self, clock: Clock, chance: random.Random) -> None:
        super().__init__(clock)
        self.chance = chance

    async def _pause(self) -> None:
        for _ in range(self.chance.randrange(4)):
            await asyncio.sleep(0)

    async def alookup(
        self, scopes: Sequence[bytes], *, checkpoint: int = 0, fresh: bool = True
    ) -> Standing:
        await self._pause()
        found = self.lookup(scopes, checkpoint=checkpoint, fresh=fresh)
        await self._pause()
        return found

    async def acompare_and_raise(self, scope: bytes, expected: int, **how: Any) -> int | None:
        await self._pause()
        raised = self.compare_and_raise(scope, expected, **how)
        await self._pause()
        return raised

    async def aend(self, scope: bytes) -> None:
        await self._pause()
        self.end(scope)
        await self._pause()


class Visits:
    """Requests of one session at a time, many at once, with what is known of them."""

    def __init__(self, node: Node, chance: random.Random) -> None:
        self.node, self.chance = node, chance
        self.counts = {"cancelled": 0, "saved": 0, "ended": 0}
        self.live: set[str] = set()
        self.ended: set[str] = set()

    async def visit(self, token: str) -> None:
        session = self.node.request(token)
        contents = await session.aload()
        session_id = session.session_id
        if not contents or session_id is None:
            return
        act = self.chance.randrange(4)
        if act == 0:
            await session.aclear()
            self.ended.add(session_id)
            self.counts["ended"] += 1
        elif act == 1:
            await session.asupersede()
        elif act == 2:
            session["n"] = contents["n"] + 1
        else:
            session.cycle_key()
        cookie = sent_cookie(await asession_headers(session))
        if cookie:
            self.counts["saved"] += 1
            self.live.add(cookie)

    async def at_once(self) -> None:
        """Five requests, some of them cancelled somewhere."""
        chance = self.chance
        tasks = [
            asyncio.create_task(self.visit(chance.choice(sorted(self.live)))) for _ in range(5)
        ]
        for task in tasks:
            for _ in range(chance.randrange(3)):
                await asyncio.sleep(0)
            if chance.random() < 0.4:
                self.counts["cancelled"] += task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError, SessionRevoked):
                await task

    async def rounds(self, number: int) -> None:
        for _ in range(number):
            self.live, self.ended = {self.node.start(user=1, n=0)}, set()
            for _ in range(4):
                await self.at_once()
                await self.check()

    async def check(self) -> None:
        for cookie in self.live:
            session = self.node.request(cookie)
            contents = await session.aload()
            assert contents == {} or contents["user"] == 1
            assert not contents or session.session_id not in self.ended


def test_cancelled_at_any_await(make_node: MakeNode, clock: Clock) -> None:
    """What was cancelled may or may not have happened; what returned did happen."""
    chance = random.Random(SEED)
    visits = Visits(make_node(SlowList(clock, chance)), chance)
    asyncio.run(visits.rounds(1_000))
    assert min(visits.counts.values()) > 500


def test_a_plain_call_beside_cancelled_ones_finds_no_lock_held(
    make_node: MakeNode, clock: Clock
) -> None:
    chance = random.Random(SEED)
    node = make_node(SlowList(clock, chance))

    async def work() -> None:
        session: SessionStore = node.request(node.start(user=1))
        await session.aload()
        for number in range(500):
            session["n"] = number
            saving = asyncio.create_task(session.async_save())
            for _ in range(chance.randrange(6)):
                await asyncio.sleep(0)
            saving.cancel()
            with contextlib.suppress(asyncio.CancelledError, SessionError):
                await saving
            assert await asyncio.wait_for(asyncio.to_thread(session.get, "n"), 5) == number

    asyncio.run(work())
