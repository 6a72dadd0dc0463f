"""Tasks that take turns: in order, none lost, and no wait is an error while others are answered."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from duck_cookie_session._counting import Histogram
from duck_cookie_session.revocation._turns import NoAnswer, Turns


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_first_come_first_served_and_newcomers_do_not_overtake() -> None:
    async def work() -> list[int]:
        turns, order = Turns(1, 10, Histogram()), []

        async def ask(number: int) -> None:
            await turns.take()
            order.append(number)

        await turns.take()
        tasks = [asyncio.create_task(ask(number)) for number in range(3)]
        await settle()
        turns.give_back()
        tasks.append(asyncio.create_task(ask(3)))
        for _ in range(3):
            await settle()
            turns.give_back()
        await asyncio.gather(*tasks)
        return order

    assert asyncio.run(work()) == [0, 1, 2, 3]


def test_a_task_cancelled_while_it_waits_or_gets_its_turn_leaves_it_to_the_next() -> None:
    async def work() -> None:
        turns = Turns(1, 10, Histogram())
        await turns.take()
        waiting = [asyncio.create_task(turns.take()) for _ in range(3)]
        await settle()
        waiting[0].cancel()
        await settle()
        turns.give_back()
        waiting[1].cancel()  # whose turn it has just become
        await waiting[2]
        turns.give_back()
        await asyncio.wait_for(turns.take(), 1)
        assert [task.cancelled() for task in waiting] == [True, True, False]

    asyncio.run(work())


def test_where_nobody_is_answered_a_wait_ends_after_the_time_out() -> None:
    async def work() -> None:
        turns = Turns(1, 0.02, Histogram())
        await turns.take()
        with pytest.raises(NoAnswer, match=r"0\.02 s"):
            await turns.take()
        turns.give_back()
        await asyncio.wait_for(turns.take(), 1)

    asyncio.run(work())


def test_while_others_are_answered_a_wait_has_no_end() -> None:
    async def work() -> float:
        loop = asyncio.get_running_loop()
        waited, began = Histogram(), loop.time()
        turns = Turns(1, 0.05, waited)
        await turns.take()
        waiting = asyncio.create_task(turns.take())
        while loop.time() - began < 0.3:
            turns.answered()
            await asyncio.sleep(0.005)
        assert not waiting.done()
        turns.give_back()
        await waiting
        found = waited.as_dict()
        assert (found["0.25"], found["+Inf"]) == (0, 1)  # who had a turn at once did not wait
        return found["sum"]

    assert asyncio.run(work()) >= 0.3


def test_more_may_ask_with_the_answers_up_to_all_places() -> None:
    async def work() -> list[int]:
        turns, found = Turns(10, 0.02, Histogram()), []
        for _ in range(5):
            taken = 0
            with contextlib.suppress(NoAnswer):
                while True:
                    await turns.take()
                    taken += 1
            found.append(taken)
            for _ in range(taken):
                turns.give_back()
            await asyncio.sleep(0.02)
            for _ in range(4):
                turns.answered()
            await asyncio.sleep(0.02)
        return found

    assert asyncio.run(work()) == [8, 9, 10, 10, 10]
